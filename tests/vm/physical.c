/* SPDX-License-Identifier: ISC */
/*
 * Attack: read the machine's memory from outside, as who freezes it or has a port with
 * direct access does. The host counts markers while they are alive, after they were freed,
 * and after the process that had them was killed. Controls: malloc and free, and what
 * mlock(2) leaves behind.
 */
#include <errno.h>
#include <securemem.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "vm/marks.h"

#define SYSCALL_SECRET 447

static securemem_arena *arena;

static void *take_secret(size_t size)
{
    return securemem_arena_alloc(arena, size);
}

static void *take_plain(size_t size)
{
    return malloc(size);
}

/* By page, as libsecuremem's are; locked, but wiped by nobody. */
static void *take_locked(size_t size)
{
    void *pages =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED || mlock(pages, size) != 0 ? NULL : pages;
}

struct memory {
    const char *name;
    void *(*take)(size_t size);
    void (*give)(void *place);
    size_t left_freed;         /* at least; or none */
    bool left_killed;          /* found after SIGKILL, or not */
    securemem_policy required; /* of the arena */
    securemem_placement placement;
};

static const struct memory memories[] = {
    /* The kernel hands a page or two of what was freed to whoever comes first. */
    {"malloc", take_plain, free, COPIES - 4, true, 0, 0},
    {"mlock", take_locked, NULL, 0, true, 0, 0},
    {"secrets", take_secret, securemem_free, 0, true, SECUREMEM_OFF, SECUREMEM_GUARDED},
    {"packed-secrets", take_secret, securemem_free, 0, true, SECUREMEM_OFF,
     SECUREMEM_PACKED},
    {"secret-memory", take_secret, securemem_free, 0, false, SECUREMEM_REQUIRED,
     SECUREMEM_GUARDED},
};

static bool make_arena(const struct memory *memory)
{
    bool secret = memory->required != SECUREMEM_OFF;
    arena = securemem_arena_create(&(securemem_arena_options){
        .placement = memory->placement,
        .secret_memory = memory->required,
        .fork = secret ? SECUREMEM_FORK_DROP : SECUREMEM_FORK_WIPE,
    });
    return arena != NULL;
}

/* Small enough to be packed, where they are to be. */
static void *take_small(size_t size)
{
    return securemem_arena_alloc(arena, size / 4);
}

static bool fill(const struct memory *memory, struct places *places,
                 const struct mark *mark)
{
    bool packed = memory->placement == SECUREMEM_PACKED;
    return places_fill(places, packed ? take_small : memory->take, mark);
}

static void name_it(char *out, size_t length, const struct memory *memory,
                    const char *moment)
{
    snprintf(out, length, "%s-%s", memory->name, moment);
}

static bool look_alive_and_freed(const struct memory *memory)
{
    char name[64];
    struct places places;
    struct mark mark;
    mark_draw(&mark);
    if (!fill(memory, &places, &mark))
        return false;
    name_it(name, sizeof name, memory, "alive");
    mark_look(name, COPIES, COPIES, &mark);
    if (memory->give == NULL)
        return true;
    places_free(&places, memory->give);
    name_it(name, sizeof name, memory, "freed");
    mark_look(name, memory->left_freed, memory->left_freed > 0 ? COPIES : 0, &mark);
    return true;
}

/* In a process of its own, which is killed when it has its markers. */
static bool look_killed(const struct memory *memory)
{
    char name[64], byte = 0;
    struct mark mark;
    int ends[2], status;
    mark_draw(&mark);
    if (pipe(ends) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        struct places places;
        if (!make_arena(memory) || !fill(memory, &places, &mark) ||
            write(ends[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    bool filled = pid > 0 && read(ends[0], &byte, 1) == 1;
    close(ends[0]);
    if (pid <= 0 || kill(pid, SIGKILL) != 0 || waitpid(pid, &status, 0) != pid || !filled)
        return false;
    name_it(name, sizeof name, memory, "killed");
    mark_look(name, memory->left_killed, memory->left_killed ? COPIES : 0, &mark);
    return true;
}

/* The kernel itself is asked: what the library refuses there is a failure, no skip. */
static bool kernel_has(const struct memory *memory)
{
    if (memory->required == SECUREMEM_OFF)
        return true;
    int descriptor = (int)syscall(SYSCALL_SECRET, 0);
    if (descriptor >= 0)
        close(descriptor);
    return descriptor >= 0;
}

int main(void)
{
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++) {
        const struct memory *memory = &memories[i];
        if (!kernel_has(memory)) {
            printf("SKIP: physical memory: %s: this kernel does not have it\n",
                   memory->name);
            continue;
        }
        if (!make_arena(memory) || !look_alive_and_freed(memory) ||
            !look_killed(memory)) {
            printf("%s: %s; %s\n", memory->name, strerror(errno),
                   securemem_last_error()->message);
            return 1;
        }
        securemem_arena_destroy(arena);
    }
    return 0;
}
