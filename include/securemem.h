/* SPDX-License-Identifier: ISC */
/*
 * securemem: memory for secrets.
 *
 * A secret is memory of its own between two guard pages, locked against swap, left out
 * of core dumps, wiped in a forked child, and wiped, unlocked and unmapped when it is
 * freed. A secret that cannot have the protections asked for is not handed out.
 *
 * WHAT HOLDS EVERYWHERE
 *
 * Results   int functions return 0 or a negative errno from the set that their comment
 *           lists; pointer functions return NULL and set errno to one of the set. Both
 *           leave the detail in securemem_last_error(). A failed call changes nothing:
 *           what was allocated stays valid, outputs are left as they were.
 * NULL      securemem_free(NULL) and securemem_arena_destroy(NULL) do nothing. Any other
 *           NULL where an object is expected is -EINVAL, or misuse where the function
 *           returns nothing; securemem_wipe and securemem_equal check nothing.
 * Zero      a size of 0 gives a pointer of its own that may not be read, and is freed
 *           like any other. A zero-filled option struct asks for the strongest defaults.
 * Threads   every function may be called from any thread at any time; none but those of
 *           realtime.h and witness.h is a cancellation point (pthreads(7)). Contents are the
 *           caller's: two threads that write one secret need the caller's own lock.
 * Fork      see securemem_fork in arena.h. fork(2) from any thread is safe; the child
 *           may call everything. vfork(2), clone(2) and posix_spawn(3): see there too.
 * Signals   securemem_wipe, securemem_wipe_all and securemem_clear_registers alone are
 *           async-signal-safe.
 * errno     every call that succeeds, and every free, keeps errno; int functions do not
 *           set it.
 * Aborts    only misuse stops the program (misuse.h): a double free, a pointer that is
 *           not a secret given to free, a broken canary, what is no arena destroyed.
 *           Never a refusal of the kernel.
 * Global    nothing here sets an rlimit, a signal handler, the dumpable flag or a malloc
 *           option, but what is there to do just that (process.h, realtime.h, and the prompt
 *           of transfer.h while it stands). The library registers fork handlers with
 *           pthread_atfork(3) when it is loaded, and reads no environment variable, but
 *           those that a call names, and no configuration file.
 */
#ifndef SECUREMEM_H
#define SECUREMEM_H

#include <securemem/access.h>
#include <securemem/arena.h>
#include <securemem/error.h>
#include <securemem/misuse.h>
#include <securemem/process.h>
#include <securemem/protection.h>
#include <securemem/realtime.h>
#include <securemem/scratch.h>
#include <securemem/sealed.h>
#include <securemem/secret.h>
#include <securemem/transfer.h>
#include <securemem/witness.h>

#endif
