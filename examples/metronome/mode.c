/* SPDX-License-Identifier: ISC */
#include "mode.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <securemem.h>
#include <string.h>

#include "say.h"

/* What serving takes of the heap: the library's names of functions, and libsystemd. */
#define HEAP_BYTES ((size_t)256 * 1024)

const char *const mode_names[MODES] = {"plain", "onfault", "deterministic"};

/* What the mode may meet later, said while it can be remedied. */
static void say_warnings(enum mode mode, const securemem_rt_plan *plan)
{
    static securemem_rt_preflight_report report; /* large */
    if (securemem_rt_preflight(plan, &report) != 0)
        return; /* entering is refused for the same reason, and says it */
    for (size_t i = 0; i < report.count; i++)
        if (report.results[i].severity == SECUREMEM_RT_WARNING)
            say(mode_names[mode], report.results[i].sentence);
}

/* The ticking thread; of the mode's kind. */
static union {
    pthread_t ordinary;
    securemem_rt_thread *prepared;
} thread;

static const char *why(void)
{
    return securemem_last_error()->message;
}

const char *mode_enter(enum mode mode, const struct table *table)
{
    static securemem_rt_range ranges[1]; /* they outlive the mode */
    securemem_rt_plan plan = SECUREMEM_RT_PLAN_DEFAULT;
    plan.threads = 1;
    switch (mode) {
    case MODE_ONFAULT:
        plan.mode = SECUREMEM_RT_DECLARED;
        break;
    case MODE_DETERMINISTIC:
        ranges[0] = (securemem_rt_range){
            .start = table->records, .length = table->bytes, .keep_from_children = true};
        plan.ranges = ranges;
        plan.range_count = 1;
        plan.heap = HEAP_BYTES;
        plan.tune_malloc = true;
        break;
    default:
        return NULL;
    }
    say_warnings(mode, &plan);
    return securemem_rt_enter(&plan) == 0 ? NULL : why();
}

void mode_leave(enum mode mode)
{
    if (mode != MODE_PLAIN)
        (void)securemem_rt_leave(); /* refused, more stays locked until the end */
}

static const char *start_ordinary(int priority, void *(*start)(void *), void *argument)
{
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (code != 0)
        return strerror(code);
    if (priority != 0) {
        const struct sched_param parameter = {.sched_priority = priority};
        (void)pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
        (void)pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
        code = pthread_attr_setschedparam(&attributes, &parameter);
    }
    if (code == 0)
        code = pthread_create(&thread.ordinary, &attributes, start, argument);
    (void)pthread_attr_destroy(&attributes);
    if (code == EPERM)
        return "SCHED_FIFO is refused; raise RLIMIT_RTPRIO (LimitRTPRIO= in systemd)";
    return code == 0 ? NULL : strerror(code);
}

const char *mode_start_thread(enum mode mode, int priority, void *(*start)(void *),
                              void *argument)
{
    if (mode != MODE_DETERMINISTIC)
        return start_ordinary(priority, start, argument);
    const securemem_rt_thread_options options = {.fifo_priority = priority};
    int result = securemem_rt_thread_create(&thread.prepared, &options, start, argument);
    return result == 0 ? NULL : why();
}

void mode_join_thread(enum mode mode)
{
    if (mode == MODE_DETERMINISTIC)
        (void)securemem_rt_thread_join(thread.prepared, NULL);
    else
        (void)pthread_join(thread.ordinary, NULL); /* started, and joined once */
}
