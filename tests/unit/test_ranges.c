/* SPDX-License-Identifier: ISC */
/* Locks on memory that is not the library's, held against smaps. */
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "region/ranges.h"
#include "region/registry.h"
#include "support/smaps.h"
#include "unit/unit.h"

#define PAGES  48U
#define ROUNDS 600U

static size_t page;

static char *map(size_t pages)
{
    char *start = mmap(NULL, pages * page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(start, MAP_FAILED);
    return start;
}

static bool is_locked(const void *address)
{
    struct view view;
    return view_at(address, &view) && view_has(&view, "lo");
}

static void a_page_is_unlocked_by_the_last_that_shares_it(void **state)
{
    (void)state;
    char *memory = map(3);
    char *first = memory + page + 10, *second = first + 100;
    assert_int_equal(mlock(first, 10) | mlock(second, 10) | munlock(first, 10), 0);
    if (is_locked(second)) /* the control, past what a sanitizer pretends */
        print_message("NOTE: mlock(2) nests here\n");
    assert_false(is_locked(second));

    size_t before = view_locked_bytes();
    assert_int_equal(securemem_lock_range(first, 10), 0);
    assert_int_equal(securemem_lock_range(second, 10), 0);
    assert_int_equal(securemem_lock_range(second, page), 0);
    assert_int_equal(view_locked_bytes(), before + 2 * page);
    assert_int_equal(securemem_unlock_range(first, 10), 0);
    assert_true(is_locked(second));
    assert_int_equal(securemem_unlock_range(second, page), 0);
    assert_true(is_locked(second));
    assert_false(is_locked(second + page));
    assert_int_equal(securemem_unlock_range(second, 10), 0);
    assert_false(is_locked(second));
    assert_int_equal(view_locked_bytes(), before);
    munmap(memory, 3 * page);
}

static void what_is_no_range_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    size_t before = view_locked_bytes();
    char *memory = map(4);
    assert_int_equal(munmap(memory + 2 * page, page), 0);
    errno = 77;
    assert_int_equal(securemem_lock_range(NULL, 1), -EINVAL);
    assert_int_equal(securemem_lock_range(memory, 0), -EINVAL);
    assert_int_equal(securemem_lock_range(memory, SIZE_MAX - page), -EINVAL);
    char *last = (char *)(uintptr_t)-1; /* the address whose page has no end */
    assert_int_equal(securemem_lock_range(last, 1), -EINVAL);
    assert_int_equal(securemem_lock_range(last - page + 2, 1), -EINVAL);
    assert_int_equal(securemem_unlock_range(last, 1), -EINVAL);
    /* As many bytes as there are: a walk over each 64 KiB of them would not end. */
    assert_int_equal(securemem_lock_range((char *)page, SIZE_MAX - 2 * page), -EINVAL);
    assert_int_equal(securemem_lock_range(memory, 4 * page), -EINVAL);
    assert_non_null(strstr(securemem_last_error()->message, "not mapped"));
    assert_int_equal(securemem_unlock_range(NULL, 1), -EINVAL);
    assert_int_equal(securemem_unlock_range(memory, 0), -EINVAL);
    assert_int_equal(securemem_unlock_range(memory, 1), -EINVAL);
    assert_int_equal(errno, 77);
    assert_int_equal(view_locked_bytes(), before);

    /* A page in the middle is held: it stays so. */
    assert_int_equal(securemem_lock_range(memory + page, 1), 0);
    assert_int_equal(securemem_lock_range(memory, 4 * page), -EINVAL);
    assert_int_equal(securemem_unlock_range(memory, 2 * page), -EINVAL);
    assert_true(is_locked(memory + page) && !is_locked(memory));
    assert_int_equal(securemem_unlock_range(memory + page, 1), 0);
    assert_int_equal(view_locked_bytes(), before);
    smem_range_check();
    munmap(memory, 4 * page);
}

/* Whoever unmapped a part in the middle has the rest unlocked all the same. */
static void what_lies_behind_a_hole_is_unlocked(void **state)
{
    (void)state;
    size_t before = view_locked_bytes();
    char *memory = map(5);
    assert_int_equal(securemem_lock_range(memory, 5 * page), 0);
    assert_int_equal(view_locked_bytes(), before + 5 * page);
    assert_int_equal(munmap(memory + page, page), 0);
    assert_int_equal(munmap(memory + 3 * page, page), 0);
    assert_int_equal(securemem_unlock_range(memory, 5 * page), 0);
    assert_int_equal(view_locked_bytes(), before);
    smem_range_check();
    munmap(memory, 5 * page);
}

static void secrets_are_refused_and_stay_locked(void **state)
{
    (void)state;
    char *secret = securemem_alloc(100);
    assert_non_null(secret);
    assert_int_equal(securemem_lock_range(secret, 1), -EINVAL);
    assert_int_equal(securemem_lock_range(secret - 64 * page, 128 * page), -EINVAL);
    assert_int_equal(securemem_unlock_range(secret, 1), -EINVAL);
    /* By its first page alone, and from far before it, where no region is. */
    char *base = smem_registry_find(secret)->base;
    const size_t before[] = {page, (size_t)1 << 31, (size_t)1 << 33};
    for (size_t i = 0; i < COUNT(before); i++) {
        assert_int_equal(securemem_lock_range(base - before[i], before[i] + page),
                         -EINVAL);
        assert_non_null(strstr(securemem_last_error()->message, "library's own"));
        assert_int_equal(securemem_lock_range(base - before[i], before[i] + before[2]),
                         -EINVAL); /* and to far behind it */
        assert_non_null(strstr(securemem_last_error()->message, "library's own"));
    }
    assert_true(is_locked(secret));
    securemem_free(secret);
}

/* What the program unmapped without unlocking it is counted on, and becomes a region. */
static void a_region_where_a_range_was_is_never_unlocked(void **state)
{
    (void)state;
    const size_t pages = 4096, size = 256 * page; /* gaps are seldom so large */
    char *memory = map(pages), *secrets[4];
    if (securemem_lock_range(memory, pages * page) != 0) {
        munmap(memory, pages * page);
        SKIP("the lock limit is too small");
    }
    assert_int_equal(munmap(memory, pages * page), 0);
    bool within = false;
    for (size_t i = 0; i < COUNT(secrets); i++) {
        secrets[i] = securemem_alloc(size);
        assert_non_null(secrets[i]);
        within |= secrets[i] >= memory && secrets[i] < memory + pages * page;
    }
    assert_int_equal(securemem_unlock_range(memory, pages * page), 0);
    for (size_t i = 0; i < COUNT(secrets); i++) {
        assert_true(is_locked(secrets[i]) && is_locked(secrets[i] + size - 1));
        securemem_free(secrets[i]);
    }
    smem_range_check();
    if (!within)
        SKIP("no secret came where the range was");
}

struct model {
    char *memory;
    unsigned counts[PAGES];
};

static bool model_may_unlock(const struct model *model, size_t first, size_t pages)
{
    for (size_t i = first; i < first + pages; i++)
        if (model->counts[i] == 0)
            return false;
    return true;
}

static void step(struct model *model, unsigned short random[3])
{
    size_t first = (size_t)nrand48(random) % PAGES;
    size_t pages = 1 + (size_t)nrand48(random) % (PAGES - first);
    bool locks = nrand48(random) % 5 < 2;
    pages = pages > 8 && nrand48(random) % 4 != 0 ? pages % 8 + 1 : pages;
    /* Bytes that begin and end anywhere in their pages. */
    char *start = model->memory + first * page + (size_t)nrand48(random) % page;
    char *end = model->memory + (first + pages - 1) * page + 1;
    size_t length = end > start ? (size_t)(end - start) : 1;
    if (locks) {
        assert_int_equal(securemem_lock_range(start, length), 0);
        for (size_t i = first; i < first + pages; i++)
            model->counts[i]++;
    } else if (model_may_unlock(model, first, pages)) {
        assert_int_equal(securemem_unlock_range(start, length), 0);
        for (size_t i = first; i < first + pages; i++)
            model->counts[i]--;
    } else {
        assert_int_equal(securemem_unlock_range(start, length), -EINVAL);
    }
}

static void counts_are_those_of_a_simple_model(void **state)
{
    (void)state;
    unsigned short random[3] = {1, 2, 3};
    struct model model = {.memory = map(PAGES)};
    smaps_read();
    size_t before = view_locked_bytes();
    for (unsigned round = 0; round < ROUNDS; round++) {
        step(&model, random);
        smem_range_check();
        size_t held = 0;
        smaps_read();
        for (size_t i = 0; i < PAGES; i++) {
            const struct smaps_entry *entry = smaps_at(model.memory + i * page);
            assert_non_null(entry);
            assert_int_equal(entry->locked, model.counts[i] > 0);
            held += model.counts[i] > 0 ? page : 0;
        }
        assert_int_equal(smem_range_bytes(), held);
    }
    for (size_t i = 0; i < PAGES; i++)
        while (model.counts[i]-- > 0)
            assert_int_equal(securemem_unlock_range(model.memory + i * page, 1), 0);
    assert_int_equal(view_locked_bytes(), before);
    assert_int_equal(smem_range_bytes(), 0);
    munmap(model.memory, PAGES * page);
}

#define THREADS 4U
#define TIMES   400U

static bool kernel_locks(void *start)
{
    return syscall(SYS_msync, start, page, MS_INVALIDATE) != 0 && errno == EBUSY;
}

static void *lock_and_unlock(void *argument)
{
    char *memory = argument;
    unsigned short random[3] = {(unsigned short)(uintptr_t)&random, 5, 6};
    for (unsigned i = 0; i < TIMES; i++) {
        size_t first = (size_t)nrand48(random) % 8, pages = 1 + i % 8;
        char *start = memory + first * page;
        NEED(securemem_lock_range(start, pages * page) == 0);
        NEED(kernel_locks(start + (i % pages) * page));
        NEED(securemem_unlock_range(start, pages * page) == 0);
    }
    return NULL;
}

static int run_threads(void *argument)
{
    (void)argument;
    char *memory =
        mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    NEED(securemem_lock_range(memory + 15 * page, 1) == 0);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], NULL, lock_and_unlock, memory) == 0);
    for (size_t i = 0; i < THREADS; i++)
        NEED(pthread_join(threads[i], NULL) == 0);
    smem_range_check();
    NEED(smem_range_bytes() == page);
    NEED(kernel_locks(memory + 15 * page) && !kernel_locks(memory));
    return 0;
}

static void threads_unlock_no_page_of_each_other(void **state)
{
    (void)state;
    CHILD_PASSES(run_threads, NULL);
}

static int begin_anew(void *argument)
{
    char *memory = argument;
    NEED(view_locked_bytes() == 0);
    NEED(securemem_unlock_range(memory, 1) == -EINVAL);
    NEED(securemem_lock_range(memory, 1) == 0);
    NEED(view_locked_bytes() == page);
    NEED(securemem_unlock_range(memory, 1) == 0);
    NEED(view_locked_bytes() == 0);
    smem_range_check();
    return 0;
}

static void a_child_has_no_ranges_and_takes_none_from_its_parent(void **state)
{
    (void)state;
    char *memory = map(2);
    assert_int_equal(securemem_lock_range(memory, 2 * page), 0);
    CHILD_PASSES(begin_anew, memory);
    assert_true(is_locked(memory) && is_locked(memory + page));
    assert_int_equal(securemem_unlock_range(memory, 2 * page), 0);
    assert_false(is_locked(memory));
    munmap(memory, 2 * page);
}

static int meet_the_limit(void *argument)
{
    const size_t limit = 16 * page;
    (void)argument;
    char *memory =
        mmap(NULL, 2 * limit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    if (!child_become_ordinary(limit))
        return SKIP_EXIT;
    NEED(securemem_lock_range(memory, 4 * page) == 0);
    size_t before = view_locked_bytes();
    NEED(securemem_lock_range(memory, 2 * limit) == -ENOMEM);
    const securemem_error *error = securemem_last_error();
    NEED(error->code == ENOMEM && error->limit == limit && error->in_use == before);
    NEED(error->needed == 2 * limit - 4 * page);
    NEED(strstr(error->message, "LimitMEMLOCK=") != NULL);
    NEED(view_locked_bytes() == before);
    smem_range_check();
    NEED(securemem_unlock_range(memory, 4 * page) == 0 && view_locked_bytes() == 0);

    NEED(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0, 0}) == 0);
    NEED(securemem_lock_range(memory, 1) == -EPERM);
    NEED(securemem_last_error()->limit == 0 && view_locked_bytes() == 0);
    return 0;
}

static void a_limit_is_named_and_nothing_stays_locked(void **state)
{
    (void)state;
    CHILD_PASSES(meet_the_limit, NULL);
}

/* The kernel's own page in every process: mlock(2) answers 0 and locks nothing there. */
static void memory_that_the_kernel_does_not_lock_is_refused(void **state)
{
    (void)state;
    char *vdso = (char *)getauxval(AT_SYSINFO_EHDR); /* NOLINT: an address */
    if (vdso == NULL)
        SKIP("the kernel maps no vdso here");
    if (syscall(SYS_mlock, vdso, page) != 0 || is_locked(vdso))
        SKIP("this kernel locks the vdso, or refuses to");
    assert_int_equal(securemem_lock_range(vdso, page), -ENOTSUP);
    assert_int_equal(securemem_unlock_range(vdso, page), -EINVAL);
    smem_range_check();
}

/* A ring of perf_event_open(2), such memory too, between pages that can be locked. */
static void nor_is_it_between_what_is_locked(void **state)
{
    (void)state;
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE,
                                    .size = sizeof event,
                                    .config = PERF_COUNT_SW_PAGE_FAULTS,
                                    .exclude_kernel = 1};
    int descriptor = (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
    if (descriptor < 0)
        SKIP("perf_event_open is refused here");
    size_t before = view_locked_bytes();
    char *memory = map(4);
    void *ring = mmap(memory + page, 2 * page, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_FIXED, descriptor, 0);
    close(descriptor);
    if (ring == MAP_FAILED) {
        munmap(memory, 4 * page);
        SKIP("no ring may be mapped here");
    }
    assert_int_equal(securemem_lock_range(memory, 4 * page), -ENOTSUP);
    assert_false(is_locked(memory) || is_locked(memory + 3 * page));
    assert_int_equal(view_locked_bytes(), before);
    assert_int_equal(securemem_lock_range(memory + 3 * page, page), 0);
    assert_int_equal(securemem_unlock_range(memory + 3 * page, page), 0);
    smem_range_check();
    munmap(memory, 4 * page);
}

int main(void)
{
    page = view_page_size();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_unlocked_by_the_last_that_shares_it),
        cmocka_unit_test(what_is_no_range_is_refused_and_changes_nothing),
        cmocka_unit_test(what_lies_behind_a_hole_is_unlocked),
        cmocka_unit_test(secrets_are_refused_and_stay_locked),
        cmocka_unit_test(a_region_where_a_range_was_is_never_unlocked),
        cmocka_unit_test(counts_are_those_of_a_simple_model),
        cmocka_unit_test(threads_unlock_no_page_of_each_other),
        cmocka_unit_test(a_child_has_no_ranges_and_takes_none_from_its_parent),
        cmocka_unit_test(a_limit_is_named_and_nothing_stays_locked),
        cmocka_unit_test(memory_that_the_kernel_does_not_lock_is_refused),
        cmocka_unit_test(nor_is_it_between_what_is_locked),
    };
    return RUN_GROUP(tests);
}
