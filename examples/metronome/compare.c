/* SPDX-License-Identifier: ISC */
#include "compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mode.h"
#include "outcome.h"
#include "picture.h"
#include "say.h"

#define NUMBER_BYTES    32
#define MAJOR_FAULTS    10000U /* under pressure a plain run has more */
#define TIMES_FASTER    20U
#define MICROSECOND     1000.0
#define MILLISECOND     1000000.0
#define MEBIBYTE_DOUBLE 1048576.0

static struct outcome outcomes[COMPARE_MOST]; /* large */

/* 1234567 as "1,234,567". */
static void write_count(char text[NUMBER_BYTES], uint64_t value)
{
    char digits[NUMBER_BYTES];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, value);
    size_t at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
}

static void write_figure(char text[NUMBER_BYTES], enum outcome_figure figure,
                         uint64_t value)
{
    if (figure == LOCKED_BYTES)
        (void)snprintf(text, NUMBER_BYTES, "%.1f MiB", (double)value / MEBIBYTE_DOUBLE);
    else if (figure >= WORK_P50 && (double)value < MILLISECOND)
        (void)snprintf(text, NUMBER_BYTES, "%.1f us", (double)value / MICROSECOND);
    else if (figure >= WORK_P50)
        (void)snprintf(text, NUMBER_BYTES, "%.2f ms", (double)value / MILLISECOND);
    else
        write_count(text, value);
}

static void print_table(size_t count)
{
    char text[NUMBER_BYTES];
    (void)printf("%-36s", "");
    for (size_t i = 0; i < count; i++)
        (void)printf("%15s", outcomes[i].mode);
    for (int figure = 0; figure < FIGURES; figure++) {
        (void)printf("\n%-36s", outcome_titles[figure]);
        for (size_t i = 0; i < count; i++) {
            write_figure(text, (enum outcome_figure)figure, outcomes[i].figures[figure]);
            (void)printf("%15s", text);
        }
    }
    (void)printf("\n%-36s", "witness beside getrusage");
    for (size_t i = 0; i < count; i++)
        (void)printf("%15s", outcomes[i].witness);
    (void)printf("\n\n");
}

static const struct outcome *find(size_t count, enum mode mode)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(outcomes[i].mode, mode_names[mode]) == 0)
            return &outcomes[i];
    return NULL;
}

static bool verdict(bool holds, const char *what)
{
    (void)printf("%s: %s\n", holds ? "holds" : "does not hold", what);
    return holds;
}

static void judge_latency(const struct outcome *plain, const struct outcome *steady,
                          enum outcome_figure figure)
{
    char text[128];
    uint64_t slow = plain->figures[figure], fast = steady->figures[figure];
    (void)snprintf(text, sizeof text,
                   "deterministic's %s is at most 1/%u of plain's (1/%.0f)",
                   outcome_titles[figure], TIMES_FASTER,
                   (double)slow / (double)(fast == 0 ? 1 : fast));
    (void)verdict(fast * TIMES_FASTER <= slow, text);
}

/* True: what must hold does. */
static bool judge(bool pressed, const struct outcome *plain, const struct outcome *steady)
{
    bool control = outcome_faults(plain) > 0;
    if (pressed) {
        control = plain->figures[RUSAGE_MAJOR] > 0;
        (void)verdict(plain->figures[RUSAGE_MAJOR] >= MAJOR_FAULTS,
                      "plain has 10,000 major faults or more (the control)");
    } else {
        (void)verdict(control, "plain has faults (the control)");
    }
    bool good =
        verdict(outcome_faults(steady) == 0 && strcmp(steady->witness, "none") != 0,
                "deterministic has no fault of any kind");
    if (pressed) {
        judge_latency(plain, steady, WORK_P999);
        judge_latency(plain, steady, WORK_MAX);
    }
    return good && control;
}

bool compare(bool pressed, const char *picture, size_t count, char *const reports[])
{
    if (count > COMPARE_MOST) {
        say("compare", "takes four reports at most");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *wrong = outcome_read(reports[i], &outcomes[i]);
        if (wrong != NULL) {
            say(reports[i], wrong);
            return false;
        }
    }
    print_table(count);
    const char *wrong = picture_draw(picture, outcomes, count);
    if (wrong != NULL) {
        say(picture, wrong);
        return false;
    }
    const struct outcome *plain = find(count, MODE_PLAIN);
    const struct outcome *steady = find(count, MODE_DETERMINISTIC);
    return plain == NULL || steady == NULL || judge(pressed, plain, steady);
}
