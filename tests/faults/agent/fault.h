/* SPDX-License-Identifier: ISC */
/*
 * The agent with faults: each function outside of it that can fail is wrapped by the linker
 * (--wrap), and one call of all that it makes is refused, or that one and all later ones of
 * the same function. Unlike in faults/wrap.h calls are numbered over all functions: whoever
 * walks through the numbers forgets none.
 */
#ifndef FAULTS_AGENT_FAULT_H
#define FAULTS_AGENT_FAULT_H

#include <stdbool.h>
#include <stddef.h>

#define FAULT_CALLS_MOST 16384U

/* Who starts an agent in the background, and the agent, are two processes. */
enum fault_side { FAULT_STARTER, FAULT_AGENT, FAULT_SIDES };

struct fault_plan {
    enum fault_side side;
    unsigned call;    /* from 1; 0: none */
    unsigned variant; /* which of its refusals */
    bool onward;
};

/* A call that was made. */
struct fault_call {
    const char *name;
    unsigned variants;
};

/* Shared by all processes of a trial. */
struct faults {
    struct fault_plan plan;
    bool armed, hit;
    bool served,
        finished; /* whether the client had a turn, and whether it had them all */
    const char *hit_name;
    unsigned refusals; /* after the first one */
    unsigned counts[FAULT_SIDES];
    struct fault_call calls[FAULT_SIDES][FAULT_CALLS_MOST];
};
extern struct faults *faults;

/* Of this thread: false, as at first, where its calls are not the agent's. */
extern _Thread_local bool fault_counts;
extern enum fault_side fault_side;

/* Counts a call. -1: it goes on; otherwise which of its refusals it is given. */
int fault_take(const char *name, unsigned variants);

#define FAULT_LENGTH(list) (sizeof(list) / sizeof *(list))

/* A function that gives -1 or NULL, with errno. */
#define FAULT_ERRNO(type, failed, name, parameters, arguments, ...)                      \
    type __real_##name parameters;                                                       \
    type __wrap_##name parameters;                                                       \
    type __wrap_##name parameters                                                        \
    {                                                                                    \
        static const int codes[] = {__VA_ARGS__};                                        \
        int variant = fault_take(#name, FAULT_LENGTH(codes));                            \
        if (variant < 0)                                                                 \
            return __real_##name arguments;                                              \
        errno = codes[variant];                                                          \
        return (type)failed;                                                             \
    }

/* A function that gives one of these values where it fails. */
#define FAULT_VALUE(type, name, parameters, arguments, ...)                              \
    type __real_##name parameters;                                                       \
    type __wrap_##name parameters;                                                       \
    type __wrap_##name parameters                                                        \
    {                                                                                    \
        static type const values[] = {__VA_ARGS__};                                      \
        int variant = fault_take(#name, FAULT_LENGTH(values));                           \
        return variant < 0 ? __real_##name arguments : values[variant];                  \
    }

#endif
