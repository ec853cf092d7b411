/* SPDX-License-Identifier: ISC */
#include "notify.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "say.h"

#ifdef METRONOME_WITH_SYSTEMD
#include <systemd/sd-daemon.h>

#define MICROSECONDS 1000U /* of a millisecond */

/* Who does not listen has chosen so: the service runs on. */
static void tell(const char *state)
{
    (void)sd_notify(0, state);
}

int notify_interval(void)
{
    uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) <= 0)
        return 0;
    uint64_t half =
        microseconds / MICROSECONDS / 2; /* as sd_watchdog_enabled(3) has it */
    return half > INT_MAX ? INT_MAX : (int)half;
}
#else
static void tell(const char *state)
{
    (void)state;
}

int notify_interval(void)
{
    return 0;
}
#endif

void notify_ready(const char *status)
{
#ifndef METRONOME_WITH_SYSTEMD
    if (getenv("NOTIFY_SOCKET") != NULL)
        say("sd_notify", "built without libsystemd: systemd is not told; use Type=exec");
#endif
    char state[128];
    (void)snprintf(state, sizeof state, "READY=1\nSTATUS=%s", status);
    tell(state);
}

void notify_stopping(void)
{
    tell("STOPPING=1");
}

void notify_alive(void)
{
    tell("WATCHDOG=1");
}
