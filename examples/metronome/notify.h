/* SPDX-License-Identifier: ISC */
/*
 * What systemd is told (sd_notify(3)). Without NOTIFY_SOCKET nothing is; built without
 * libsystemd nothing can be, which notify_ready says on standard error.
 */
#ifndef METRONOME_NOTIFY_H
#define METRONOME_NOTIFY_H

void notify_ready(const char *status);
void notify_stopping(void);

/* How often notify_alive is to be called, in milliseconds; 0: never (WatchdogSec=). */
int notify_interval(void);
void notify_alive(void);

#endif
