/* SPDX-License-Identifier: ISC */
/* The seam of a process that is hardened, and of its end, wrapped as in wrap.c. */
#include "faults/wrap.h"
#include "kernel/exit.h"
#include "kernel/harden.h"
#include "kernel/signal.h"

WRAP(int, FAULT_HAS_NO_CORE, smem_kernel_has_no_core, (void), ())
WRAP(int, FAULT_SET_NO_CORE, smem_kernel_set_no_core, (void), ())
WRAP(int, FAULT_HAS_RENOUNCED, smem_kernel_has_renounced,
     (enum smem_kernel_renounced what), (what))
WRAP(int, FAULT_RENOUNCE, smem_kernel_renounce, (enum smem_kernel_renounced what), (what))
WRAP(int, FAULT_AT_QUICK_EXIT, smem_kernel_at_quick_exit, (void (*handler)(void)),
     (handler))
WRAP(int, FAULT_SET_FATAL, smem_kernel_set_fatal,
     (int number, smem_fatal_handler handler), (number, handler))
WRAP(int, FAULT_UNSET_FATAL, smem_kernel_unset_fatal, (int number), (number))
WRAP(int, FAULT_IS_DEFAULT, smem_kernel_is_default, (int number), (number))
