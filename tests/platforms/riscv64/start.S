// S-mode, MMU off, as OpenSBI starts the kernel: a stack is all that is missing.

    .section .text.boot, "ax"
    .globl _start
_start:
    la t0, boot_device_tree
    sd a1, 0(t0)
    la sp, stack_top
    call image_main

    .bss
    .align 12
    .skip 16384
stack_top:
