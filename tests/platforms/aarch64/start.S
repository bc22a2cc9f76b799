// EL1, MMU off, as QEMU starts an ELF: a stack is all that is missing.

    .section .text.boot, "ax"
    .globl _start
_start:
    adrp x0, stack_top
    add x0, x0, :lo12:stack_top
    mov sp, x0
    bl image_main

    .bss
    .align 12
    .skip 16384
stack_top:
