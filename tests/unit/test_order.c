/* SPDX-License-Identifier: ISC */
/*
 * Which of the places that a thread freed is the next: none that an observer of some could
 * name, as often as all others, and in no two arenas in the same order.
 */
#include <pthread.h>
#include <stdlib.h>

#include "unit/unit.h"

#define MOST  64
#define LOOPS 4000
#define RANKS 120

static const struct {
    securemem_placement placement;
    size_t size;
} kinds[] = {{SECUREMEM_GUARDED, 32}, {SECUREMEM_PACKED, 32}};

/* Places that the thread has freed, the last one first. */
struct history {
    void *places[MOST];
    size_t count;
};

static size_t rank_of(const struct history *history, const void *place)
{
    size_t rank = 0;
    while (rank < history->count && history->places[rank] != place)
        rank++;
    return rank;
}

/* Takes it out, if it is there, and gives its rank. */
static size_t come(struct history *history, const void *place)
{
    size_t rank = rank_of(history, place);
    if (rank == history->count)
        return rank;
    history->count--;
    memmove(history->places + rank, history->places + rank + 1,
            (history->count - rank) * sizeof *history->places);
    return rank;
}

static void go(struct history *history, void *place)
{
    NEED(history->count < MOST);
    memmove(history->places + 1, history->places,
            history->count * sizeof *history->places);
    history->places[0] = place;
    history->count++;
    securemem_free(place);
}

/* An arena of which this thread has freed so many places, more than which it does not keep. */
static securemem_arena *begin(size_t kind, size_t kept, struct history *history)
{
    securemem_arena *arena = securemem_arena_create(&(securemem_arena_options){
        .placement = kinds[kind].placement,
        .guard_kind = SECUREMEM_GUARDS_PROT_NONE,
        .idle = kinds[kind].placement == SECUREMEM_PACKED ? SIZE_MAX
                                                          : kept * view_page_size()});
    NEED(arena != NULL);
    void *places[MOST];
    history->count = 0;
    for (int round = 0; round < 2; round++) { /* the first makes the cache */
        for (size_t i = 0; i < kept; i++)
            NEED((places[i] = securemem_arena_alloc(arena, kinds[kind].size)) != NULL);
        for (size_t i = 0; i < kept; i++)
            round == 0 ? securemem_free(places[i]) : go(history, places[i]);
    }
    return arena;
}

/* Of few all; of many as many, which are not the last one. */
#define CHOICES 8U

static void expect_even(size_t kind, size_t kept, size_t choices)
{
    struct history history;
    securemem_arena *arena = begin(kind, kept, &history);
    size_t counts[MOST + 1] = {0}, often = 0;
    for (size_t i = 0; i < LOOPS; i++) {
        void *place = securemem_arena_alloc(arena, kinds[kind].size);
        counts[come(&history, place)]++;
        go(&history, place);
    }
    for (size_t rank = 0; rank <= MOST; rank++) {
        assert_true(counts[rank] <= LOOPS / choices * 3 / 2);
        often += counts[rank] >= LOOPS / choices / 2;
    }
    assert_int_equal(often, choices);
    securemem_arena_destroy(arena);
}

static void each_of_those_that_may_be_next_is_it_as_often(void **state)
{
    (void)state;
    for (size_t kept = 2; kept <= 16; kept++)
        expect_even(0, kept, kept <= CHOICES ? kept : CHOICES);
    expect_even(1, 32, CHOICES);
}

static void look(size_t kind, size_t ranks[RANKS])
{
    struct history history;
    securemem_arena *arena = begin(kind, 16, &history);
    for (size_t i = 0; i < RANKS; i++) {
        void *place = securemem_arena_alloc(arena, kinds[kind].size);
        ranks[i] = come(&history, place);
        go(&history, place);
    }
    securemem_arena_destroy(arena);
}

/* How many ranks in a row are those of the other, wherever in it that begins. */
static size_t longest_common(const size_t a[RANKS], const size_t b[RANKS])
{
    size_t longest = 0;
    for (size_t i = 0; i < RANKS; i++)
        for (size_t k = 0; k < RANKS; k++) {
            size_t length = 0;
            while (i + length < RANKS && k + length < RANKS &&
                   a[i + length] == b[k + length])
                length++;
            longest = length > longest ? length : longest;
        }
    return longest;
}

static void no_arena_repeats_what_was_seen_in_another(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
        static size_t ranks[4][RANKS];
        for (size_t i = 0; i < COUNT(ranks); i++) {
            look(kind, ranks[i]);
            for (size_t k = 0; k < i; k++)
                assert_true(longest_common(ranks[i], ranks[k]) < RANKS / 4);
        }
        assert_int_equal(longest_common(ranks[0], ranks[0]), RANKS);
    }
}

static pthread_barrier_t both_are_there;

struct looking {
    size_t kind;
    size_t ranks[RANKS];
};

static void *look_in_thread(void *argument)
{
    struct looking *looking = argument;
    pthread_barrier_wait(&both_are_there);
    look(looking->kind, looking->ranks);
    pthread_barrier_wait(&both_are_there);
    return NULL;
}

/* Of two that are there at once neither goes on where another thread has ended. */
static void no_thread_repeats_what_was_seen_in_another(void **state)
{
    (void)state;
    static struct looking lookings[2];
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
        pthread_t threads[2];
        pthread_barrier_init(&both_are_there, NULL, 2);
        for (size_t i = 0; i < 2; i++) {
            lookings[i].kind = kind;
            assert_int_equal(
                pthread_create(&threads[i], NULL, look_in_thread, &lookings[i]), 0);
        }
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        pthread_barrier_destroy(&both_are_there);
        assert_true(longest_common(lookings[0].ranks, lookings[1].ranks) < RANKS / 4);
    }
}

#define CANARY 16 /* bytes behind each of sizes that are multiples of 16 */
#define OFTEN  64 /* for each place */

static void expect_first_anywhere(size_t size, securemem_policy door)
{
    size_t places = view_page_size() / (size + CANARY), different = 0;
    size_t *seen = calloc(places, sizeof *seen);
    assert_non_null(seen);
    for (size_t i = 0; i < OFTEN * places; i++) {
        securemem_arena *arena = arena_of((securemem_arena_options){
            .placement = SECUREMEM_PACKED, .protection_key = door});
        uintptr_t first = (uintptr_t)securemem_arena_alloc(arena, size);
        assert_true(first != 0);
        different += seen[first % view_page_size() / (size + CANARY)]++ == 0;
        securemem_arena_destroy(arena);
    }
    assert_int_equal(different, places);
    for (size_t i = 0; i < places; i++)
        assert_in_range(seen[i], 1, 3 * OFTEN);
    free(seen);
}

/* Of a thread's cache, and of an arena that has none; of one batch to a page, and of more. */
static void the_first_of_an_arena_may_be_anywhere_on_its_page(void **state)
{
    (void)state;
    static const size_t sizes[] = {32, 256};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        expect_first_anywhere(sizes[i], SECUREMEM_OFF);
        expect_first_anywhere(sizes[i], SECUREMEM_PREFERRED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_those_that_may_be_next_is_it_as_often),
        cmocka_unit_test(the_first_of_an_arena_may_be_anywhere_on_its_page),
        cmocka_unit_test(no_arena_repeats_what_was_seen_in_another),
        cmocka_unit_test(no_thread_repeats_what_was_seen_in_another),
    };
    return RUN_GROUP(tests);
}
