/* SPDX-License-Identifier: ISC */
#include "compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

#define LINE_BYTES  512
#define MAJOR_LEAST 10000U /* faults that show that the pressure is one */
#define RATIO       20U

#define WIDTH   760
#define HEIGHT  220 /* of one mode's part */
#define LEFT    60
#define LOWEST  3.0 /* powers of ten of nanoseconds: 1 us to 1 s */
#define HIGHEST 9.0

struct run {
    uint64_t ticks, missed, p50, p99, p999, max, minor, major, system, populated;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

bool compare_write(const char *path, const struct ticker *ticker)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        perror(path);
        return false;
    }
    server_stats(ticker, line, sizeof line);
    (void)fprintf(file, "%s\n", line);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        (void)fprintf(file, "%" PRIuFAST64 "\n", atomic_load(&ticker->work.counts[i]));
    if (fclose(file) == 0)
        return true;
    perror(path);
    return false;
}

/* The number of "name=NUMBER" in the line, at *out; false where it is not there. */
static bool find_number(const char *line, const char *name, uint64_t *out)
{
    size_t length = strlen(name);
    for (const char *at = line; (at = strstr(at, name)) != NULL; at += length) {
        if (at == line || at[-1] != ' ' || at[length] != '=')
            continue;
        char *end;
        *out = strtoull(at + length + 1, &end, 10);
        return end != at + length + 1;
    }
    return false;
}

static bool read_counts(FILE *file, struct run *run)
{
    char line[LINE_BYTES], *end;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (fgets(line, sizeof line, file) == NULL)
            return false;
        run->counts[i] = strtoull(line, &end, 10);
        if (end == line)
            return false;
    }
    return true;
}

static bool read_run(const char *path, struct run *run)
{
    const struct {
        const char *name;
        uint64_t *number;
    } numbers[] = {
        {"ticks", &run->ticks},   {"missed", &run->missed},
        {"p50", &run->p50},       {"p99", &run->p99},
        {"p999", &run->p999},     {"max", &run->max},
        {"minor", &run->minor},   {"major", &run->major},
        {"system", &run->system}, {"populated", &run->populated},
    };
    char line[LINE_BYTES];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        perror(path);
        return false;
    }
    bool good = fgets(line, sizeof line, file) != NULL;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && good; i++)
        good = find_number(line, numbers[i].name, numbers[i].number);
    good = good && read_counts(file, run);
    (void)fclose(file); /* it was only read */
    if (!good)
        (void)fprintf(stderr, "%s: it is not what a run wrote\n", path);
    return good;
}

static double microseconds(uint64_t nanoseconds)
{
    return (double)nanoseconds / 1000;
}

static void print_table(const struct run runs[MODES])
{
    printf("%-14s%8s%8s%9s%9s%8s%10s%10s%10s%11s\n", "mode", "ticks", "missed", "minor",
           "major", "system", "p50 us", "p99 us", "p99.9 us", "max us");
    for (int m = 0; m < MODES; m++)
        printf("%-14s%8" PRIu64 "%8" PRIu64 "%9" PRIu64 "%9" PRIu64 "%8" PRIu64
               "%10.1f%10.1f%10.1f%11.1f\n",
               ticker_mode_names[m], runs[m].ticks, runs[m].missed, runs[m].minor,
               runs[m].major, runs[m].system + runs[m].populated,
               microseconds(runs[m].p50), microseconds(runs[m].p99),
               microseconds(runs[m].p999), microseconds(runs[m].max));
    printf(
        "(faults of the tick loop: minor and major of its own instructions, system: in "
        "system calls)\n");
}

static double x_of(double nanoseconds)
{
    double power = log10(nanoseconds < 1 ? 1 : nanoseconds);
    double part = (power - LOWEST) / (HIGHEST - LOWEST);
    return LEFT + (WIDTH - 2 * LEFT) * (part < 0 ? 0 : part > 1 ? 1 : part);
}

/* Counts on a logarithmic scale: one tick in ten thousand is what matters. */
static void draw_run(FILE *file, const struct run *run, int mode)
{
    static const char *const colours[MODES] = {"#b8503a", "#c79a2b", "#2a6fb0"};
    double base = 30 + (mode + 1) * HEIGHT - 30, height = HEIGHT - 70;
    double most = log10((double)run->ticks + 1);
    (void)fprintf(file,
                  "<text x=\"%d\" y=\"%.0f\" font-weight=\"bold\">%s: %" PRIu64
                  " of %" PRIu64 " ticks missed, %" PRIu64 " page faults</text>\n",
                  LEFT, base - height - 12, ticker_mode_names[mode], run->missed,
                  run->ticks + run->missed, run->minor + run->major + run->system);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (run->counts[i] == 0)
            continue;
        double from = x_of(i == 0 ? 1 : (double)histogram_end(i - 1));
        double to = x_of((double)histogram_end(i));
        double tall = height * log10((double)run->counts[i] + 1) / (most < 1 ? 1 : most);
        (void)fprintf(file,
                      "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                      "fill=\"%s\"/>\n",
                      from, base - tall, to - from < 1 ? 1 : to - from, tall,
                      colours[mode]);
    }
    (void)fprintf(file,
                  "<line x1=\"%d\" y1=\"%.0f\" x2=\"%d\" y2=\"%.0f\" "
                  "stroke=\"#444\"/>\n",
                  LEFT, base, WIDTH - LEFT, base);
    static const char *const names[] = {"1 us",  "10 us",  "100 us", "1 ms",
                                        "10 ms", "100 ms", "1 s"};
    for (int i = 0; i <= (int)(HIGHEST - LOWEST); i++)
        (void)fprintf(file,
                      "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\" "
                      "fill=\"#444\">%s</text>\n",
                      x_of(pow(10, LOWEST + i)), base + 14, names[i]);
}

static bool draw(const struct run runs[MODES], const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        perror(path);
        return false;
    }
    (void)fprintf(file,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                  "font-family=\"sans-serif\" font-size=\"11\">\n"
                  "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
                  "<text x=\"%d\" y=\"20\" font-size=\"13\">work of a tick, from waking "
                  "to done; both scales logarithmic</text>\n",
                  WIDTH, 30 + MODES * HEIGHT, LEFT);
    for (int m = 0; m < MODES; m++)
        draw_run(file, &runs[m], m);
    (void)fprintf(file, "</svg>\n");
    if (fclose(file) == 0)
        return true;
    perror(path);
    return false;
}

static bool judge(const char *what, bool holds)
{
    printf("%s: %s\n", holds ? "holds" : "DOES NOT HOLD", what);
    return holds;
}

bool compare(const char *const files[MODES], const char *picture, bool pressed)
{
    static struct run runs[MODES];
    for (int m = 0; m < MODES; m++)
        if (!read_run(files[m], &runs[m]))
            return false;
    print_table(runs);
    if (picture != NULL && !draw(runs, picture))
        return false;
    const struct run *plain = &runs[MODE_PLAIN], *calm = &runs[MODE_DETERMINISTIC];
    bool good = judge("deterministic: not one page fault in the loop",
                      calm->minor + calm->major + calm->system + calm->populated == 0);
    if (!pressed)
        return good;
    good &= judge("plain, the control: at least 10,000 major faults",
                  plain->major >= MAJOR_LEAST);
    /* Told, and not judged: other loads of a machine make a tick late. */
    (void)judge("deterministic: p99.9 is at most 1/20 of plain's",
                calm->p999 * RATIO <= plain->p999);
    (void)judge("deterministic: max is at most 1/20 of plain's",
                calm->max * RATIO <= plain->max);
    return good;
}
