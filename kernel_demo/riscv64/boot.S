// From OpenSBI on QEMU's `virt` (S-mode, translation off, a0 = hart id, a1 = device tree) to C++;
// and from its hart_start (the same, a1 = what the kit has passed: the CPU's number).

#include "kernel_demo/kit/stacks.h"

#define SSTATUS_FS_AND_VS 0x6600

    // What every hart begins with, which gets the stacks of CPU \number. S-mode cannot ask which
    // hart it is: tp tells the kernel; and sscratch tells the kit which CPU.
    .macro begin number
    csrw sie, zero
    csrci sstatus, 2
    // No FPU and no vectors, as on the other machines: the firmware has left them on.
    li t0, SSTATUS_FS_AND_VS
    csrc sstatus, t0
    addi t2, \number, 1
    lla sp, kit_boot_stacks
    li t0, KIT_BOOT_STACK_STRIDE
    mul t0, t0, t2
    add sp, sp, t0
    lla t0, kit_emergency_stacks
    slli t2, t2, KIT_EMERGENCY_STACK_SHIFT
    add t0, t0, t2
    csrw sscratch, t0
    mv tp, a0
    // Both zero: the end of every backtrace.
    li s0, 0
    li ra, 0
    .endm

    .section .text.boot, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    begin zero
    lla t0, __bss_start
    lla t1, __bss_end
0:  bgeu t0, t1, 1f
    sd zero, (t0)
    addi t0, t0, 8
    j 0b
1:  lla t0, kit_boot_hart
    sd a0, (t0)
    mv a0, a1
    call kit_start
    unimp
    .size _start, . - _start

    .globl kit_further_cpu
    .type kit_further_cpu, @function
kit_further_cpu:
    begin a1
    mv a0, a1
    call kit_start_cpu
    unimp
    .size kit_further_cpu, . - kit_further_cpu
