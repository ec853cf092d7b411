/* SPDX-License-Identifier: ISC */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH     820
#define ROW       17
#define LABEL     200
#define HEAD      34
#define GAP       2 /* rows for a size, and before the next */
#define DECADES   6 /* 1 ns to 1 ms */
#define BAR_WIDTH (WIDTH - LABEL - 110)

const size_t report_sizes[REPORT_SIZES] = {16, 32, 64, 256, 1024, 4096, 65536};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median over rounds of one figure of a peer, or of its ratio to another figure. */
static double median(const struct report *report, const double *figure,
                     const double *other)
{
    double values[REPORT_ROUNDS];
    const char *first = (const char *)report->samples;
    size_t count = 0;
    for (size_t r = 0; r < report->rounds; r++) {
        /* Samples of a peer lie side by side, a round each. */
        size_t step = r * sizeof(struct sample);
        double value = *(
            const double *)(const void *)(first + ((const char *)figure - first) + step);
        double base =
            other == NULL
                ? 1
                : *(const double *)(const void *)(first + ((const char *)other - first) +
                                                  step);
        if (value > 0 && base > 0)
            values[count++] = value / base;
    }
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void print_figure(double value, double ratio)
{
    if (value <= 0)
        printf("%16s", "-");
    else
        printf("%9.0f %6.2f", value, ratio);
}

static void print_pattern(const struct report *report, enum pattern pattern,
                          const char *title)
{
    printf("\n%s: nanoseconds, and how many times %s\n\n%-34s", title,
           peers[PEER_MALLOC].name, "");
    for (size_t s = 0; s < REPORT_SIZES; s++)
        printf("%12zu B  ", report_sizes[s]);
    printf("\n");
    for (size_t p = 0; p < PEERS; p++) {
        printf("%-34s", peers[p].name);
        for (size_t s = 0; s < REPORT_SIZES; s++) {
            const double *figure = &report->samples[p][0].one[pattern][s];
            print_figure(
                median(report, figure, NULL),
                median(report, figure, &report->samples[PEER_MALLOC][0].one[pattern][s]));
        }
        printf("\n");
    }
}

static void print_threads(const struct report *report)
{
    printf(
        "\nTwo threads at 32 B: throughput, times that of one; then a cache line's way there "
        "and back\n\n%-34s%12s%12s%12s%12s%12s\n",
        "", "at once", "1,000 live", "passed on", "its way", "p99/median");
    for (size_t p = 0; p < PEERS; p++) {
        const struct sample *first = &report->samples[p][0];
        printf("%-34s", peers[p].name);
        for (int pattern = ONCE; pattern < PATTERNS; pattern++) {
            double ratio = median(report, &first->two[pattern], NULL);
            if (ratio <= 0)
                printf("%12s", "-");
            else
                printf("%12.2f", ratio);
        }
        printf("%9.0f ns%12.1f\n", median(report, &first->trip, NULL),
               median(report, &first->tail, NULL));
    }
}

void report_print(const struct report *report)
{
    print_pattern(report, ONCE, "Freed at once");
    print_pattern(report, LIVE, "With 1,000 live");
    print_threads(report);
}

static void draw_bar(FILE *file, size_t row, const char *label, double nanoseconds,
                     bool ours)
{
    double length = BAR_WIDTH * log10(nanoseconds < 1 ? 1 : nanoseconds) / DECADES;
    size_t y = HEAD + row * ROW;
    fprintf(file,
            "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">%s</text>"
            "<rect x=\"%d\" y=\"%zu\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>"
            "<text x=\"%.1f\" y=\"%zu\">%.0f ns</text>\n",
            LABEL - 6, y + 12, label, LABEL, y + 2, length, ROW - 4,
            ours ? "#2a6fb0" : "#b8bec6", LABEL + length + 5, y + 12, nanoseconds);
}

/* A row for the size, and one for each peer that is there. */
static void draw_group(FILE *file, const struct report *report, size_t size, size_t row)
{
    fprintf(file, "<text x=\"10\" y=\"%zu\" font-weight=\"bold\">%zu B</text>\n",
            HEAD + row * ROW + 12, report_sizes[size]);
    for (size_t p = 0; p < PEERS; p++) {
        double value = median(report, &report->samples[p][0].one[LIVE][size], NULL);
        if (value > 0)
            draw_bar(file, ++row, peers[p].name, value, peers[p].ours);
    }
}

bool report_draw(const struct report *report, const char *path)
{
    static const size_t drawn[] = {1, 3, 5}; /* 32 B, 256 B, 4 KiB */
    const size_t groups = sizeof drawn / sizeof *drawn;
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
            "font-family=\"sans-serif\" font-size=\"11\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"10\" y=\"20\" font-size=\"13\">allocate, write, free with 1,000 "
            "live; logarithmic, shorter is better</text>\n",
            WIDTH, HEAD + groups * (PEERS + GAP) * ROW);
    for (size_t i = 0; i < groups; i++)
        draw_group(file, report, drawn[i], i * (PEERS + GAP));
    fprintf(file, "</svg>\n");
    return fclose(file) == 0;
}
