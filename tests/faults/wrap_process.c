/* SPDX-License-Identifier: ISC */
/* The seam of real-time mode, wrapped as in wrap.c. */
#include "faults/wrap.h"
#include "kernel/pagemap.h"
#include "kernel/perf.h"
#include "kernel/process.h"
#include "kernel/signal.h"

WRAP(int, FAULT_LOCK_ALL, smem_kernel_lock_all, (enum smem_kernel_lock_all what), (what))
WRAP(int, FAULT_UNLOCK_ALL, smem_kernel_unlock_all, (void), ())
WRAP(int, FAULT_SET_LOCK_LIMIT, smem_kernel_set_lock_limit, (size_t soft), (soft))
WRAP(int, FAULT_GET_FLAG, smem_kernel_get_flag, (enum smem_kernel_flag flag), (flag))
WRAP(int, FAULT_SET_FLAG, smem_kernel_set_flag, (enum smem_kernel_flag flag, bool value),
     (flag, value))
WRAP(int, FAULT_MAP, smem_kernel_map, (size_t length, void **out), (length, out))
WRAP(int, FAULT_THREAD_FAULTS, smem_kernel_thread_faults,
     (struct smem_kernel_faults * out), (out))
WRAP(int, FAULT_STACK_LEFT, smem_kernel_stack_left, (size_t * out), (out))
WRAP(int, FAULT_TUNE_MALLOC, smem_kernel_tune_malloc, (void), ())
WRAP(int, FAULT_INHERIT, smem_kernel_inherit, (void *start, size_t length, bool inherit),
     (start, length, inherit))
WRAP(int, FAULT_TOUCH_CLOCKS, smem_kernel_touch_clocks, (void), ())
WRAP(long, FAULT_SCAN_PAGES, smem_kernel_scan_pages,
     (int descriptor, uintptr_t start, uintptr_t end, struct smem_pages *out,
      size_t count, uintptr_t *next),
     (descriptor, start, end, out, count, next))
WRAP(long, FAULT_READ_PAGES, smem_kernel_read_pages,
     (int descriptor, uintptr_t start, uint64_t *out, size_t count),
     (descriptor, start, out, count))
WRAP(int, FAULT_PERF_OPEN, smem_kernel_perf_open,
     (enum smem_perf_event event, int leader), (event, leader))
WRAP(int, FAULT_PERF_ENABLE, smem_kernel_perf_enable, (int descriptor, bool enable),
     (descriptor, enable))
WRAP(int, FAULT_PERF_JOIN, smem_kernel_perf_join, (int descriptor, int ring),
     (descriptor, ring))
WRAP(int, FAULT_PERF_ID, smem_kernel_perf_id, (int descriptor, uint64_t *out),
     (descriptor, out))
WRAP(int, FAULT_PERF_MAP, smem_kernel_perf_map,
     (int descriptor, size_t pages, void **out), (descriptor, pages, out))
WRAP(int, FAULT_PERF_COUNTS, smem_kernel_perf_counts,
     (int descriptor, uint64_t *counts, size_t count), (descriptor, counts, count))
WRAP(int, FAULT_SET_TRAP, smem_kernel_set_trap, (smem_trap_handler handler), (handler))
WRAP(int, FAULT_UNSET_TRAP, smem_kernel_unset_trap, (void), ())
WRAP(int, FAULT_TRAP_IS_BLOCKED, smem_kernel_trap_is_blocked, (void), ())
