// From QEMU's `virt` (EL1, MMU and caches off, the image loaded as an ELF file) to C++.

#include "kernel_demo/kit/stacks.h"

    .section .text.boot, "ax", %progbits
    .globl _start
    .type _start, %function
_start:
    msr daifset, #0xf
    // Which stack pointer exceptions use: SP_EL1, at all times.
    msr spsel, #1
    adrp x1, __bss_start
    add x1, x1, :lo12:__bss_start
    adrp x2, __bss_end
    add x2, x2, :lo12:__bss_end
0:  cmp x1, x2
    b.hs 1f
    str xzr, [x1], #8
    b 0b
1:  adrp x1, kit_boot_stack
    add x1, x1, :lo12:kit_boot_stack
    add x1, x1, #KIT_BOOT_STACK_GUARD
    add sp, x1, #KIT_BOOT_STACK_SIZE
    // Both zero: the end of every backtrace.
    mov x29, xzr
    mov x30, xzr
    // An ELF image gets no device tree address; QEMU puts the tree where RAM begins.
    mov x0, #0x40000000
    bl kit_start
    udf #0
    .size _start, . - _start
