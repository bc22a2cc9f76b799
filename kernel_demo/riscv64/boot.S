// From OpenSBI on QEMU's `virt` (S-mode, translation off, a0 = hart id, a1 = device tree) to C++.

#include "kernel_demo/kit/stacks.h"

#define SSTATUS_FS_AND_VS 0x6600

    .section .text.boot, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    csrw sie, zero
    csrci sstatus, 2
    // No FPU and no vectors, as on the other machines: the firmware has left them on.
    li t0, SSTATUS_FS_AND_VS
    csrc sstatus, t0
    lla t0, __bss_start
    lla t1, __bss_end
0:  bgeu t0, t1, 1f
    sd zero, (t0)
    addi t0, t0, 8
    j 0b
1:  lla sp, kit_boot_stack
    li t0, KIT_BOOT_STACK_GUARD + KIT_BOOT_STACK_SIZE
    add sp, sp, t0
    // S-mode cannot ask which hart it is: tp tells the kernel, kit_boot_hart the kit.
    mv tp, a0
    lla t0, kit_boot_hart
    sd a0, (t0)
    mv a0, a1
    // Both zero: the end of every backtrace.
    li s0, 0
    li ra, 0
    call kit_start
    unimp
    .size _start, . - _start
