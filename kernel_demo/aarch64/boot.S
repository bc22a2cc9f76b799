// From QEMU's `virt` (EL1, MMU and caches off, the image loaded as an ELF file) to C++; and from
// the firmware's CPU_ON, which leaves a further CPU in the same state.

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
1:  adrp x1, kit_boot_stacks
    add x1, x1, :lo12:kit_boot_stacks
    mov x2, #KIT_BOOT_STACK_STRIDE
    add sp, x1, x2
    // Both zero: the end of every backtrace.
    mov x29, xzr
    mov x30, xzr
    // An ELF image gets no device tree address; QEMU puts the tree where RAM begins.
    mov x0, #0x40000000
    bl kit_start
    udf #0
    .size _start, . - _start

    // A further CPU, with its number in x0. It has translation and caches before it touches memory
    // that others have in their caches, and so before it has a stack.
    .globl kit_further_cpu
    .type kit_further_cpu, %function
kit_further_cpu:
    msr daifset, #0xf
    msr spsel, #1
    adrp x1, kit_translation
    add x1, x1, :lo12:kit_translation
    ldp x2, x3, [x1]
    ldp x4, x5, [x1, #16]
    msr mair_el1, x2
    msr tcr_el1, x3
    msr ttbr0_el1, x4
    tlbi vmalle1
    ic iallu
    dsb sy
    isb
    msr sctlr_el1, x5
    isb
    adrp x1, kit_boot_stacks
    add x1, x1, :lo12:kit_boot_stacks
    mov x2, #KIT_BOOT_STACK_STRIDE
    madd x1, x0, x2, x1
    add sp, x1, x2
    mov x29, xzr
    mov x30, xzr
    bl kit_start_cpu
    udf #0
    .size kit_further_cpu, . - kit_further_cpu
