/* SPDX-License-Identifier: ISC */
#include <securemem/process.h>
#include <securemem/secret.h>
#include <stdatomic.h>

#include "kernel/exit.h"
#include "region/error.h"

static atomic_bool wanted, registered;

static void wipe(void)
{
    if (atomic_load(&wanted))
        (void)securemem_wipe_all(); /* nobody is left to tell */
}

int securemem_wipe_on_exit(bool wipes)
{
    /* Registered twice, by two threads at once, it wipes twice. */
    if (wipes && !atomic_load(&registered)) {
        int result = smem_kernel_at_quick_exit(wipe);
        if (result != 0)
            return smem_error_kernel("at_quick_exit", result, 0);
        atomic_store(&registered, true);
    }
    atomic_store(&wanted, wipes);
    return 0;
}

/*
 * Behind every handler of atexit(3), since the loader's own was registered first; behind
 * the destructors of the program, since what a library is needed by is ended before it,
 * and of those in one program the lowest priority comes last.
 */
__attribute__((destructor(101))) static void on_unload(void)
{
    wipe();
}
