/* SPDX-License-Identifier: ISC */
#include "outcome.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 512

const char *const outcome_titles[FIGURES] = {
    [TICKS_DUE] = "ticks due",
    [TICKS_MISSED] = "ticks missed",
    [USER_MINOR] = "faults of its instructions, minor",
    [USER_MAJOR] = "faults of its instructions, major",
    [IN_SYSTEM_CALLS] = "faults in system calls",
    [POPULATING] = "faults by populating",
    [KERNEL_MAJOR] = "  major ones of these two",
    [RUSAGE_MINOR] = "all, by getrusage: minor",
    [RUSAGE_MAJOR] = "all, by getrusage: major",
    [WORK_P50] = "work, p50",
    [WORK_P99] = "work, p99",
    [WORK_P999] = "work, p99.9",
    [WORK_MAX] = "work, max",
    [WAKE_P999] = "woken late, p99.9",
    [WAKE_MAX] = "woken late, max",
    [LOCKED_BYTES] = "locked",
};

/* As statistics.h names them. */
static const char *const names[FIGURES] = {
    [TICKS_DUE] = "ticks-due",
    [TICKS_MISSED] = "ticks-missed",
    [USER_MINOR] = "faults-user-minor",
    [USER_MAJOR] = "faults-user-major",
    [IN_SYSTEM_CALLS] = "faults-in-system-calls",
    [POPULATING] = "faults-populating",
    [KERNEL_MAJOR] = "faults-in-the-kernel-major",
    [RUSAGE_MINOR] = "faults-rusage-minor",
    [RUSAGE_MAJOR] = "faults-rusage-major",
    [WORK_P50] = "work-p50",
    [WORK_P99] = "work-p99",
    [WORK_P999] = "work-p99.9",
    [WORK_MAX] = "work-max",
    [WAKE_P999] = "wake-p99.9",
    [WAKE_MAX] = "wake-max",
    [LOCKED_BYTES] = "locked-bytes",
};

/* The value behind "NAME ", or NULL where the line has another name. */
static const char *value_of(const char *line, const char *name)
{
    size_t length = strlen(name);
    return strncmp(line, name, length) == 0 && line[length] == ' ' ? line + length + 1
                                                                   : NULL;
}

/* The number at *at, behind which *at is left. */
static bool read_number(const char **at, uint64_t *number)
{
    char *end;
    *number = strtoull(*at, &end, 10);
    bool good = end != *at;
    *at = end;
    return good;
}

static void read_word(const char *value, char *word, size_t size)
{
    (void)snprintf(word, size, "%.*s", (int)strcspn(value, " \n"), value);
}

/* "VALUE COUNT" of the histogram. */
static void read_work(const char *value, struct histogram *work)
{
    uint64_t nanoseconds, count;
    if (read_number(&value, &nanoseconds) && read_number(&value, &count) &&
        count <= UINT32_MAX)
        histogram_put(work, nanoseconds, (uint32_t)count);
}

/* One line. A figure is noted in found, a bit each. */
static void read_line(const char *line, struct outcome *outcome, unsigned *found)
{
    const char *value;
    if ((value = value_of(line, "work")) != NULL)
        read_work(value, &outcome->work);
    else if ((value = value_of(line, "mode")) != NULL)
        read_word(value, outcome->mode, sizeof outcome->mode);
    else if ((value = value_of(line, "witness")) != NULL)
        read_word(value, outcome->witness, sizeof outcome->witness);
    else
        for (unsigned i = 0; i < FIGURES; i++)
            if ((value = value_of(line, names[i])) != NULL &&
                read_number(&value, &outcome->figures[i]))
                *found |= 1U << i;
}

/* Ticks that were left out have no work, and are among the missed. */
static bool is_whole(const struct outcome *outcome, unsigned found)
{
    uint64_t worked = histogram_total(&outcome->work);
    uint64_t due = outcome->figures[TICKS_DUE];
    return found == (1U << FIGURES) - 1 && outcome->mode[0] != '\0' &&
           outcome->witness[0] != '\0' && worked > 0 && worked <= due &&
           due - worked <= outcome->figures[TICKS_MISSED];
}

const char *outcome_read(const char *path, struct outcome *outcome)
{
    char line[LINE_BYTES];
    unsigned found = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return strerror(errno);
    memset(outcome, 0, sizeof *outcome);
    while (fgets(line, sizeof line, file) != NULL)
        read_line(line, outcome, &found);
    (void)fclose(file);
    atomic_store(&outcome->work.maximum, outcome->figures[WORK_MAX]);
    return is_whole(outcome, found) ? NULL : "is not the whole report of a run";
}

uint64_t outcome_faults(const struct outcome *outcome)
{
    uint64_t all = 0;
    for (int i = USER_MINOR; i <= RUSAGE_MAJOR; i++)
        all += outcome->figures[i];
    return all;
}
