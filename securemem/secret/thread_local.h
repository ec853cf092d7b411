/* SPDX-License-Identifier: ISC */
/*
 * Variables of a thread that are read in every call. glibc keeps room for a few such
 * bytes of libraries that are loaded later, so that they need no call to be found
 * (Drepper, ELF Handling For Thread-Local Storage, 4.3).
 */
#ifndef SMEM_THREAD_LOCAL_H
#define SMEM_THREAD_LOCAL_H

#if defined(__GLIBC__)
#define SMEM_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define SMEM_THREAD_LOCAL _Thread_local
#endif

#endif
