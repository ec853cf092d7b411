/* SPDX-License-Identifier: ISC */
/*
 * In a program whose sanitizer replaces mlock by nothing and maps terabytes, locking
 * everything is refused and not reported as done; elsewhere there is nothing to refuse.
 */
#include <errno.h>

#include "unit/unit.h"

static securemem_rt_preflight_report report;

static bool refuses(securemem_rt_check check)
{
    for (size_t i = 0; i < report.count; i++)
        if (report.results[i].check == check &&
            report.results[i].severity == SECUREMEM_RT_REFUSAL)
            return true;
    return false;
}

/* The largest mapping, by the tests' own reading. */
static bool has_shadow(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long start, end;
    bool found = false;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        found = found ||
                (sscanf(line, "%lx-%lx", &start, &end) == 2 && end - start > 1UL << 40);
    assert_int_equal(fclose(maps), 0);
    return found;
}

static void locking_everything_is_refused_where_it_is_not_effective(void **state)
{
    (void)state;
    const securemem_rt_plan plan = SECUREMEM_RT_PLAN_DEFAULT;
    assert_int_equal(securemem_rt_preflight(&plan, &report), 0);
    assert_int_equal(refuses(SECUREMEM_RT_CHECK_SPARSE), has_shadow());
    if (!has_shadow())
        return;
    size_t locked = view_locked_bytes();
    assert_int_equal(securemem_rt_enter(&plan), -ENOTSUP);
    assert_non_null(strstr(securemem_last_error()->message, "not effective"));
    assert_false(securemem_rt_active());
    assert_int_equal(view_locked_bytes(), locked);
}

/* Declared ranges alone are locked there too, and really so. */
static void declared_ranges_are_locked_everywhere(void **state)
{
    (void)state;
    static char memory[1 << 16];
    const securemem_rt_range range = {memory, sizeof memory, false};
    const securemem_rt_plan plan = {
        .mode = SECUREMEM_RT_REGION, .ranges = &range, .range_count = 1};
    int result = securemem_rt_enter(&plan);
    if (result != 0) {
        print_message("%s\n", securemem_last_error()->message);
        SKIP("the ranges may not be locked here");
    }
    struct view view;
    assert_true(view_at(memory + 5000, &view) && view_has(&view, "lo"));
    assert_int_equal(securemem_rt_leave(), 0);
    assert_true(view_at(memory + 5000, &view) && !view_has(&view, "lo"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locking_everything_is_refused_where_it_is_not_effective),
        cmocka_unit_test(declared_ranges_are_locked_everywhere),
    };
    return RUN_GROUP(tests);
}
