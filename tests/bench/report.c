/* SPDX-License-Identifier: ISC */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WIDTH     760
#define ROW       18
#define LABEL     190
#define HEAD      34
#define DECADES   6 /* 1 ns to 1 ms */
#define BAR_WIDTH (WIDTH - LABEL - 110)

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double report_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

void report_print(const struct report *report)
{
    printf("\nalloc + write + free, nanoseconds (ratio to %s)\n\n%-28s", report->peers[0],
           "");
    for (size_t s = 0; s < REPORT_SIZES; s++)
        printf("%12zu B     ", report->sizes[s]);
    printf("\n");
    for (size_t p = 0; p < REPORT_PEERS; p++) {
        printf("%-28s", report->peers[p]);
        for (size_t s = 0; s < REPORT_SIZES; s++)
            printf("%9.0f (%6.2f) ", report->nanoseconds[p][s],
                   report->nanoseconds[p][s] / report->nanoseconds[0][s]);
        printf("\n");
    }
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

bool report_draw(const struct report *report, const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    size_t rows = REPORT_SIZES * (REPORT_PEERS + 1);
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
            "font-family=\"sans-serif\" font-size=\"11\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"10\" y=\"20\" font-size=\"13\">alloc + write + free, logarithmic: "
            "shorter is better</text>\n",
            WIDTH, HEAD + rows * ROW + 10);
    size_t row = 0;
    for (size_t s = 0; s < REPORT_SIZES; s++, row++)
        for (size_t p = 0; p < REPORT_PEERS; p++, row++) {
            char label[64];
            snprintf(label, sizeof label, "%zu B  %s", report->sizes[s],
                     report->peers[p]);
            draw_bar(file, row, label, report->nanoseconds[p][s], p >= 2);
        }
    fprintf(file, "</svg>\n");
    return fclose(file) == 0;
}
