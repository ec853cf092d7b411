/* SPDX-License-Identifier: ISC */
#include "service.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "handover.h"
#include "keys.h"
#include "notify.h"
#include "say.h"
#include "server.h"
#include "statistics.h"
#include "table.h"
#include "ticker.h"

/* All that the service has, in one place that every mode treats alike. */
static struct {
    struct keys keys;
    struct table table;
    struct handover handover;
    struct statistics statistics;
    struct ticker ticker;
    struct server server;
    struct text text; /* an answer, at the end the report */
} own;

/* Says what is wrong, if anything. */
static bool passed(const char *subject, const char *wrong)
{
    if (wrong != NULL)
        say(subject, wrong);
    return wrong == NULL;
}

static const char *open_ended(int *fd)
{
    *fd = eventfd(0, EFD_CLOEXEC);
    return *fd >= 0 ? NULL : strerror(errno);
}

static void connect_parts(const struct options *options, int ended)
{
    own.ticker = (struct ticker){.ticks = options->ticks,
                                 .table = &own.table,
                                 .keys = &own.keys,
                                 .handover = &own.handover,
                                 .statistics = &own.statistics,
                                 .ended = ended};
    own.server = (struct server){.path = options->socket,
                                 .mode = options->mode,
                                 .keys = &own.keys,
                                 .handover = &own.handover,
                                 .statistics = &own.statistics,
                                 .ended = ended,
                                 .answer = &own.text};
}

/* From here on it ticks, in its mode. */
static bool tick_and_serve(const struct options *options)
{
    const char *name = mode_names[options->mode];
    if (!passed(name, mode_start_thread(options->mode, options->priority, ticker_run,
                                        &own.ticker)))
        return false;
    notify_ready(name);
    bool good = passed(options->socket, server_run(&own.server));
    notify_stopping();
    atomic_store(&own.ticker.stop, true);
    mode_join_thread(options->mode);
    if (atomic_load(&own.ticker.failed))
        good = passed(name, "there is no memory for the witness of page faults");
    return good;
}

static bool print(FILE *out, const struct text *text)
{
    (void)fwrite(text->bytes, 1, text->length, out);
    return fflush(out) == 0 && !ferror(out);
}

/* The report is of the mode; what is said after leaving it is of the secrets alone. */
static bool leave_and_report(const struct options *options, FILE *out)
{
    securemem_rt_status status;
    own.text.length = 0;
    server_tell(&own.server, &own.text);
    mode_leave(options->mode);
    if (securemem_rt_get_status(&status) == 0)
        text_add(&own.text, "locked-bytes-after %zu\n", status.locked);
    text_add(&own.text, "secrets-locked-after %u\n", keys_locked(&own.keys));
    statistics_tell_work(&own.statistics, &own.text);
    return passed("report", print(out, &own.text) ? NULL : "cannot be printed");
}

bool service_run(const struct options *options, FILE *out)
{
    int ended;
    bool good = false;
    if (!passed("eventfd", open_ended(&ended)))
        return false;
    connect_parts(options, ended);
    if (!passed(options->token, keys_load(&own.keys, options->token)))
        goto free_keys;
    if (!passed("table", table_make(&own.table, options->working_set)))
        goto free_keys;
    if (!passed(options->socket, server_open(&own.server)))
        goto free_table;
    if (!passed(mode_names[options->mode], mode_enter(options->mode, &own.table)))
        goto close_server;
    good = tick_and_serve(options);
    good = leave_and_report(options, out) && good;
close_server:
    server_close(&own.server);
free_table:
    table_free(&own.table);
free_keys:
    keys_free(&own.keys);
    (void)close(ended);
    return good;
}
