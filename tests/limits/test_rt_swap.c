/* SPDX-License-Identifier: ISC */
/* Pages in swap: the audit tells them, and each touch of one is a fault of the section. */
#include <securemem.h>
#include <string.h>
#include <sys/mman.h>

#include "attacks/swapfile.h"
#include "support/need.h"
#include "support/view.h"

#define PAGES          64
#define LOCKED         (PAGES / 2) /* those from there on */
#define ADVICE_PAGEOUT 21          /* Linux 5.4 */

static securemem_rt_audit_report report;
static securemem_rt_section section;

/* Bit 62 of an entry, by this test's own reading. */
static bool is_swapped(const char *address)
{
    uint64_t entry;
    FILE *pagemap = fopen("/proc/self/pagemap", "re");
    long at = (long)((uintptr_t)address / view_page_size() * sizeof entry);
    NEED(pagemap != NULL && fseek(pagemap, at, SEEK_SET) == 0);
    NEED(fread(&entry, sizeof entry, 1, pagemap) == 1 && fclose(pagemap) == 0);
    return entry >> 62 & 1;
}

/* Pages of a range that have a finding of that kind. */
static size_t pages_found(securemem_rt_finding_kind kind, const char *memory,
                          size_t pages)
{
    size_t found = 0, page = view_page_size();
    uintptr_t start = (uintptr_t)memory, end = start + pages * page;
    for (size_t i = 0; i < report.count && i < SECUREMEM_RT_FINDINGS; i++) {
        const securemem_rt_finding *f = &report.findings[i];
        uintptr_t from = f->start > start ? f->start : start;
        uintptr_t to = f->start + f->length < end ? f->start + f->length : end;
        if (f->kind == kind && from < to)
            found += (to - from) / page;
    }
    return found;
}

/* Half of the memory is locked: the control that stays where it is. */
static int put_out_and_look(void *argument)
{
    size_t page = view_page_size(), out = 0;
    (void)argument;
    NEED(mlockall(MCL_CURRENT) == 0);
    char *memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    memset(memory, 1, PAGES * page);
    NEED(mlock(memory + LOCKED * page, (PAGES - LOCKED) * page) == 0);
    NEED(securemem_rt_section_begin(&section) == 0);
    NEED(securemem_rt_section_end(&section) == 0);
    if (section.witness != SECUREMEM_RT_WITNESS_PERF)
        return SKIP_EXIT;

    NEED(madvise(memory, LOCKED * page, ADVICE_PAGEOUT) == 0);
    for (size_t i = 0; i < LOCKED; i++)
        out += is_swapped(memory + i * page);
    NEED(securemem_rt_audit(&report) == 0 && report.count <= SECUREMEM_RT_FINDINGS);
    NEED(out > 0);
    NEED(pages_found(SECUREMEM_RT_SWAPPED, memory, LOCKED) == out);
    NEED(report.swapped == out * page);
    NEED(pages_found(SECUREMEM_RT_NOT_PRESENT, memory, LOCKED) == 0);
    NEED(pages_found(SECUREMEM_RT_NOT_LOCKED, memory, LOCKED) == LOCKED);
    for (int k = SECUREMEM_RT_NOT_LOCKED; k <= SECUREMEM_RT_SHARED; k++)
        NEED(pages_found((securemem_rt_finding_kind)k, memory + LOCKED * page,
                         PAGES - LOCKED) == 0);

    NEED(securemem_rt_section_begin(&section) == 0);
    for (size_t i = 0; i < PAGES; i++)
        ((volatile char *)memory)[i * page] = 2;
    NEED(securemem_rt_section_end(&section) == 0);
    /* Major where it was read from the disk, minor where the kernel still had it. */
    NEED(section.user_major + section.user_minor == out && section.recorded == out);
    for (size_t i = 0; i < section.recorded; i++)
        NEED(section.faults[i].address - (uintptr_t)memory < LOCKED * page);
    NEED(securemem_rt_audit(&report) == 0 && report.swapped == 0);
    return 0;
}

static void pages_in_swap_are_told_and_a_touch_of_them_is_a_fault(void **state)
{
    (void)state;
    struct guardian guardian;
    struct child_end end;
    const char *refused = swapfile_start(&guardian);
    if (refused != NULL)
        SKIP(refused);
    child_run(put_out_and_look, NULL, &end);
    assert_int_equal(swapfile_finish(&guardian), 0);
    if (end.exit_code == SKIP_EXIT)
        SKIP("perf_event_open is refused here");
    if (end.exit_code != 0)
        print_error("signal %d: %s\n", end.signal, end.errors);
    assert_int_equal(end.exit_code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_in_swap_are_told_and_a_touch_of_them_is_a_fault),
    };
    return RUN_GROUP(tests);
}
