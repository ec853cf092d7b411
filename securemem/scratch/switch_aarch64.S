/* SPDX-License-Identifier: ISC */
#include "scratch/switch.h"

#if defined(__aarch64__) && SMEM_SCRATCH_SWITCHES

/*
 * As switch_x86_64.S, with the old stack pointer in x29. The hints are instructions on
 * processors that have them (BTI, pointer authentication), and nothing on others.
 */
        .text
        .globl  smem_scratch_switch
        .hidden smem_scratch_switch
        .type   smem_scratch_switch, %function
        .p2align 4
smem_scratch_switch:
        .cfi_startproc
        hint    #25                     /* paciasp, which is a landing pad as well */
        .cfi_negate_ra_state
        stp     x29, x30, [sp, #-16]!
        .cfi_def_cfa_offset 16
        .cfi_offset x29, -16
        .cfi_offset x30, -8
        mov     x29, sp
        .cfi_def_cfa_register x29
        mov     sp, x2
        mov     x9, x0
        mov     x0, x1
        blr     x9
        bl      securemem_clear_registers
        mov     sp, x29
        .cfi_def_cfa_register sp
        ldp     x29, x30, [sp], #16
        .cfi_restore x29
        .cfi_restore x30
        .cfi_def_cfa_offset 0
        hint    #29                     /* autiasp */
        .cfi_negate_ra_state
        ret
        .cfi_endproc
        .size   smem_scratch_switch, . - smem_scratch_switch

/* This object keeps to BTI and pointer authentication (ELF for the Arm 64-bit ABI, 6.2). */
        .section .note.gnu.property, "a"
        .p2align 3
        .word   4, 16, 5
        .asciz  "GNU"
        .word   0xc0000000, 4, 3, 0

#endif

        .section .note.GNU-stack, "", %progbits
