/* SPDX-License-Identifier: ISC */
#include "picture.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Lengths in pixels. */
#define WIDTH     860
#define LEFT      64
#define RIGHT     24
#define HEAD      46
#define PANEL     150 /* a histogram, with its title above it */
#define TITLE     30
#define FOOT      46
#define FOOT_TEXT 23
#define DRAWN     (WIDTH - LEFT - RIGHT)
#define HEIGHT    (PANEL - TITLE)

/* 1 us to 1 s, in columns of a twentieth of a decade. */
#define FIRST_DECADE 3
#define DECADES      6
#define COLUMNS      ((size_t)20 * DECADES)
#define PERIOD       1e6

/* 1 tick to 100,000; one tick alone has a bar of half a decade. */
#define COUNT_DECADES 5
#define COUNT_FLOOR   0.5

static const char *const colours[] = {"#b3402e", "#c9902a", "#2a6fb0", "#5b6770"};

static double x_of(double nanoseconds)
{
    double decades = log10(nanoseconds < 1 ? 1 : nanoseconds) - FIRST_DECADE;
    double clipped = decades < 0 ? 0 : decades > DECADES ? DECADES : decades;
    return LEFT + DRAWN * clipped / DECADES;
}

static double height_of(double count)
{
    double decades = log10(count) + COUNT_FLOOR;
    double most = COUNT_DECADES + COUNT_FLOOR;
    return HEIGHT * (decades > most ? most : decades) / most;
}

static void draw_line(FILE *file, double x1, double y1, double x2, double y2,
                      const char *style)
{
    (void)fprintf(file, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n",
                  x1, y1, x2, y2, style);
}

static void draw_text(FILE *file, double x, double y, const char *anchor,
                      const char *text)
{
    (void)fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x,
                  y, anchor, text);
}

static void draw_grid(FILE *file, double base)
{
    static const char *const counts[] = {"1", "10", "100", "1,000", "10,000"};
    static const char *const times[] = {"1 &#181;s", "10 &#181;s", "100 &#181;s", "1 ms",
                                        "10 ms",     "100 ms",     "1 s"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        double y = base - height_of(pow(10, (double)i));
        draw_line(file, LEFT, y, WIDTH - RIGHT, y, "stroke=\"#e3e6ea\"");
        draw_text(file, LEFT - 6, y + 4, "end", counts[i]);
    }
    for (int i = 0; i <= DECADES; i++) {
        double x = x_of(pow(10, FIRST_DECADE + i));
        draw_line(file, x, base - HEIGHT, x, base, "stroke=\"#e3e6ea\"");
        draw_text(file, x, base + 14, "middle", times[i]);
    }
    draw_line(file, LEFT, base, WIDTH - RIGHT, base, "stroke=\"#5b6770\"");
}

static void draw_mark(FILE *file, double nanoseconds, double base, bool left,
                      const char *name, const char *colour)
{
    double x = x_of(nanoseconds);
    (void)fprintf(file,
                  "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
                  "stroke-dasharray=\"4 3\"/>\n",
                  x, base - HEIGHT, x, base, colour);
    draw_text(file, left ? x - 4 : x + 4, base - HEIGHT + 10, left ? "end" : "start",
              name);
}

/* The columns of one histogram, which is finer than they are. */
static void draw_columns(FILE *file, const struct histogram *work, double base,
                         const char *colour)
{
    uint64_t columns[COLUMNS] = {0};
    for (size_t i = 0; i < HISTOGRAM_PLACES; i++) {
        uint32_t count = atomic_load_explicit(&work->counts[i], memory_order_relaxed);
        double at = (x_of((double)histogram_floor(i)) - LEFT) * COLUMNS / DRAWN;
        columns[at < COLUMNS - 1 ? (size_t)at : COLUMNS - 1] += count;
    }
    const double width = (double)DRAWN / COLUMNS;
    for (size_t i = 0; i < COLUMNS; i++) {
        double height = columns[i] == 0 ? 0 : height_of((double)columns[i]);
        if (height > 0)
            (void)fprintf(file,
                          "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                          "fill=\"%s\"/>\n",
                          LEFT + (double)i * width, base - height, width - 0.5, height,
                          colour);
    }
}

static void draw_panel(FILE *file, const struct outcome *outcome, double top,
                       const char *colour)
{
    const uint64_t *figures = outcome->figures;
    double base = top + PANEL;
    (void)fprintf(file,
                  "<text x=\"%d\" y=\"%.1f\" font-size=\"13\" fill=\"%s\">"
                  "<tspan font-weight=\"bold\">%s</tspan>: %" PRIu64 " of %" PRIu64
                  " ticks missed, %" PRIu64 " minor and %" PRIu64
                  " major faults</text>\n",
                  LEFT, top + TITLE - 10, colour, outcome->mode, figures[TICKS_MISSED],
                  figures[TICKS_DUE], figures[RUSAGE_MINOR], figures[RUSAGE_MAJOR]);
    draw_grid(file, base);
    draw_columns(file, &outcome->work, base, colour);
    draw_mark(file, (double)figures[WORK_P999], base, true, "p99.9", colour);
    draw_mark(file, (double)figures[WORK_MAX], base, false, "max", colour);
    draw_line(file, x_of(PERIOD), base - HEIGHT, x_of(PERIOD), base,
              "stroke=\"#1d2329\"");
}

const char *picture_draw(const char *path, const struct outcome *outcomes, size_t count)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return strerror(errno);
    (void)fprintf(file,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
                  "font-family=\"sans-serif\" font-size=\"11\" fill=\"#1d2329\">\n"
                  "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
                  "<text x=\"%d\" y=\"26\" font-size=\"15\">How long the work of a tick "
                  "took: ticks (logarithmic) by time (logarithmic)</text>\n",
                  WIDTH, HEAD + count * (PANEL + TITLE) + FOOT, LEFT);
    for (size_t i = 0; i < count; i++)
        draw_panel(file, &outcomes[i], (double)(HEAD + i * (PANEL + TITLE)),
                   colours[i % (sizeof colours / sizeof *colours)]);
    draw_text(
        file, LEFT, (double)(HEAD + count * (PANEL + TITLE) + FOOT_TEXT), "start",
        "The black line is the period, 1 ms: work that takes longer misses ticks. So "
        "does a tick that is woken late.");
    (void)fprintf(file, "</svg>\n");
    bool bad = ferror(file) != 0;
    return fclose(file) != 0 || bad ? "cannot be written" : NULL;
}
