/* SPDX-License-Identifier: ISC */
/*
 * securemem_wipe_all comes while another thread copies a secret, or frees one that is
 * closed: it is stopped where that thread would go wrong, had it not to look out for it.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "kernel/kernel.h"
#include "region/region.h"
#include "region/visit.h"
#include "region/wipe.h"
#include "unit/unit.h"

#define GRACE 1 /* seconds, for who does not come */

long __real_smem_kernel_read(int descriptor, void *buffer, size_t length);
long __wrap_smem_kernel_read(int descriptor, void *buffer, size_t length);
int __real_smem_kernel_protect(void *start, size_t length,
                               enum smem_kernel_access access);
int __wrap_smem_kernel_protect(void *start, size_t length,
                               enum smem_kernel_access access);
unsigned __real_smem_wipe_count(void);
unsigned __wrap_smem_wipe_count(void);
bool __real_smem_visit_is_on(void);
bool __wrap_smem_visit_is_on(void);
int __real_smem_region_set_access(struct smem_region *region, uint32_t slot,
                                  enum smem_kernel_access access);
int __wrap_smem_region_set_access(struct smem_region *region, uint32_t slot,
                                  enum smem_kernel_access access);

/* Where the wiper comes to a copy. */
enum moment { NEVER, BEFORE_THE_COUNT, AFTER_THE_LOOK };

static enum moment moment;
static bool copies, frees, looks;
static sem_t stopped, go_on, closed;
static const char *wiped; /* what the wiper wiped before it was stopped */
static _Thread_local bool stops_at_read, stops_at_close;

/* Who waits for a thread that never comes goes on, and the test says what came of it. */
static void wait_for(sem_t *semaphore)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GRACE;
    while (sem_timedwait(semaphore, &until) != 0 && errno == EINTR)
        continue;
}

static void *wipe_until_read(void *unused)
{
    stops_at_read = true;
    (void)securemem_wipe_all();
    return unused;
}

static void *wipe_until_close(void *unused)
{
    stops_at_close = true;
    (void)securemem_wipe_all();
    return unused;
}

static pthread_t start(void *(*wiper)(void *))
{
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, wiper, NULL) == 0);
    wait_for(&stopped);
    return thread;
}

static pthread_t copys_wiper;

static void let_it_come_to_the_copy(void)
{
    moment = NEVER;
    copys_wiper = start(wipe_until_read);
    copies = true;
}

/* It has wiped one secret, and stops before the next. */
long __wrap_smem_kernel_read(int descriptor, void *buffer, size_t length)
{
    long result = __real_smem_kernel_read(descriptor, buffer, length);
    if (stops_at_read) {
        stops_at_read = false;
        wiped = buffer;
        sem_post(&stopped);
        wait_for(&go_on);
    }
    return result;
}

/* It saw a secret closed, and closes it again when the free has opened it to wipe it. */
int __wrap_smem_kernel_protect(void *start, size_t length, enum smem_kernel_access access)
{
    bool stops = stops_at_close && access == SMEM_ACCESS_NONE;
    if (stops) {
        stops_at_close = false;
        sem_post(&stopped);
        wait_for(&go_on);
    }
    int result = __real_smem_kernel_protect(start, length, access);
    if (stops) {
        sem_post(&closed);
        wait_for(&go_on);
    }
    return result;
}

unsigned __wrap_smem_wipe_count(void)
{
    if (moment == BEFORE_THE_COUNT)
        let_it_come_to_the_copy();
    return __real_smem_wipe_count();
}

bool __wrap_smem_visit_is_on(void)
{
    bool is_on = __real_smem_visit_is_on();
    if (moment == AFTER_THE_LOOK)
        let_it_come_to_the_copy();
    if (looks)
        sem_post(&go_on);
    looks = false;
    return is_on;
}

int __wrap_smem_region_set_access(struct smem_region *region, uint32_t slot,
                                  enum smem_kernel_access access)
{
    int result = __real_smem_region_set_access(region, slot, access);
    if (copies) /* and is done: the access is put back */
        sem_post(&go_on);
    copies = false;
    if (frees) {
        frees = false;
        looks = true;
        sem_post(&go_on);
        wait_for(&closed);
    }
    return result;
}

static void begin(void)
{
    NEED(sem_init(&stopped, 0, 0) == 0 && sem_init(&go_on, 0, 0) == 0 &&
         sem_init(&closed, 0, 0) == 0);
}

#define SIZE 100

static void *move(void *secret)
{
    return securemem_realloc(secret, 3 * view_page_size());
}

struct act {
    void *(*copy)(void *secret);
    enum moment moment;
};

/* Two secrets of several pages: the wiper comes to the new one first. */
static int copy_amid(void *argument)
{
    const struct act *act = argument;
    begin();
    securemem_arena *arena =
        arena_of((securemem_arena_options){.guard_kind = SECUREMEM_GUARDS_PROT_NONE});
    size_t size = 3 * view_page_size();
    char *first = securemem_arena_alloc(arena, size);
    char *old = securemem_arena_alloc(arena, size - 1); /* as many pages */
    NEED(first != NULL && old != NULL && first < old);
    memset(old, 0x5a, size - 1);
    securemem_free(first); /* the new one takes its place */
    moment = act->moment;
    char *moved = act->copy(old);
    NEED(moved != NULL);
    NEED(moment == NEVER && !copies);
    NEED(pthread_join(copys_wiper, NULL) == 0);
    NEED(wiped == moved);
    NEED(all_bytes_are(moved, size - 1, 0));
    securemem_arena_destroy(arena);
    return 0;
}

static void *dup_of(void *secret)
{
    return securemem_dup(secret);
}

static void a_copy_does_not_escape_the_wiper(void **state)
{
    (void)state;
    struct act acts[] = {{move, BEFORE_THE_COUNT},
                         {move, AFTER_THE_LOOK},
                         {dup_of, BEFORE_THE_COUNT},
                         {dup_of, AFTER_THE_LOOK}};
    for (size_t i = 0; i < COUNT(acts); i++)
        CHILD_PASSES(copy_amid, &acts[i]);
}

static int free_amid(void *unused)
{
    (void)unused;
    begin();
    char *secret = securemem_alloc(SIZE);
    NEED(secret != NULL && securemem_set_access(secret, SECUREMEM_NONE) == 0);
    pthread_t wiper = start(wipe_until_close);
    frees = true;
    securemem_free(secret);
    NEED(!frees && !looks);
    NEED(pthread_join(wiper, NULL) == 0);
    char *next = securemem_alloc(SIZE);
    NEED(next != NULL && permissions_are(next, "rw-p"));
    securemem_free(next);
    return 0;
}

static void a_free_waits_until_nobody_closes_what_it_wipes(void **state)
{
    (void)state;
    CHILD_PASSES(free_amid, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_does_not_escape_the_wiper),
        cmocka_unit_test(a_free_waits_until_nobody_closes_what_it_wipes),
    };
    return RUN_GROUP(tests);
}
