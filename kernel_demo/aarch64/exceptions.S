// The vector table (Arm ARM, D1.4) and the way to the report. Nothing returns from an exception;
// interrupts go to the machine's own entry.
//
// An exception may have come from a stack that is used up, so nothing may be stored on it: x0 and
// the stack pointer wait in two system registers that EL1 has no other use for, until the emergency
// stack of this CPU is known.

#include "kernel_demo/kit/stacks.h"

// As in exceptions.cc: x0 to x30, sp, pc, spsr, esr, far, vector.
#define FRAME_SIZE 304
#define FRAME_X1 8

    .macro fatal vector
    .balign 0x80
    msr tpidrro_el0, x0
    mov x0, sp
    msr sp_el0, x0
    adrp x0, kit_emergency_stacks
    add x0, x0, :lo12:kit_emergency_stacks
    mov sp, x0
    mrs x0, mpidr_el1
    and x0, x0, #(KIT_EMERGENCY_STACKS - 1)
    lsl x0, x0, #KIT_EMERGENCY_STACK_SHIFT
    add sp, sp, x0
    mov x0, #(KIT_EMERGENCY_STACK_SIZE - FRAME_SIZE)
    add sp, sp, x0
    str x1, [sp, #FRAME_X1]
    mov x1, #\vector
    b save_all
    .endm

    .text
    .balign 0x800
    .globl kit_vectors
kit_vectors:
    // EL1 on SP_EL0, which is never used.
    fatal 0
    fatal 1
    fatal 2
    fatal 3
    // EL1 on SP_EL1: the kernel.
    fatal 4
    .balign 0x80
    b baton_aarch64_interrupt
    fatal 6
    fatal 7
    // EL0, in 64 and in 32 bits: a kernel with user programs has its own (user_vectors.S).
    fatal 8
    fatal 9
    fatal 10
    fatal 11
    fatal 12
    fatal 13
    fatal 14
    fatal 15

    .balign 0x80
save_all:
    mrs x0, tpidrro_el0
    str x0, [sp, #0]
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x19, [sp, #144]
    stp x20, x21, [sp, #160]
    stp x22, x23, [sp, #176]
    stp x24, x25, [sp, #192]
    stp x26, x27, [sp, #208]
    stp x28, x29, [sp, #224]
    mrs x2, sp_el0
    stp x30, x2, [sp, #240]
    mrs x2, elr_el1
    mrs x3, spsr_el1
    stp x2, x3, [sp, #256]
    mrs x2, esr_el1
    mrs x3, far_el1
    stp x2, x3, [sp, #272]
    str x1, [sp, #288]
    mov x0, sp
    bl kit_exception
    udf #0

// kit::panic(rule, task): an exception on purpose, so that the caller's registers are stored and
// the emergency stack is taken in one place.
    .globl kit_panic
    .type kit_panic, %function
kit_panic:
    brk #0
    .size kit_panic, . - kit_panic
