/* SPDX-License-Identifier: ISC */
#include "scratch/switch.h"

#ifdef __CET__
#include <cet.h> /* marks the object as fit for shadow stacks and indirect branches */
#else
#define _CET_ENDBR
#endif

#if defined(__x86_64__) && SMEM_SCRATCH_SWITCHES

/*
 * The old stack pointer rests in %rbp, which function preserves and by which unwinders come
 * back to the caller's stack. Calls and returns pair, so that a shadow stack needs no more.
 */
        .text
        .globl  smem_scratch_switch
        .hidden smem_scratch_switch
        .type   smem_scratch_switch, @function
        .p2align 4
smem_scratch_switch:
        .cfi_startproc
        _CET_ENDBR
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        movq    %rdx, %rsp
        movq    %rdi, %rax
        movq    %rsi, %rdi
        call    *%rax
        call    securemem_clear_registers@PLT
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   smem_scratch_switch, . - smem_scratch_switch

#endif

        .section .note.GNU-stack, "", @progbits
