// From the PVH entry (32-bit, paging off; the Xen boot ABI, docs/misc/pvh.pandoc there) to image_main in long
// mode, with the first GiB mapped onto itself.

    .section .note.Xen, "a", @note
    .align 4
    .long 4, 4, 18              // Name size, value size, XEN_ELFNOTE_PHYS32_ENTRY.
    .asciz "Xen"
    .long _start

    .section .text.boot, "ax"
    .code32
    .globl _start
_start:
    movl %ebx, boot_start_info
    movl $stack_top, %esp
    movl $pdpt + 3, pml4
    movl $pd + 3, pdpt
    xorl %ecx, %ecx
1:  movl %ecx, %eax             // Entry n of pd: 2 MiB page n, present and writable.
    shll $21, %eax
    orl $0x83, %eax
    movl %eax, pd(, %ecx, 8)
    incl %ecx
    cmpl $512, %ecx
    jne 1b
    movl $pml4, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax             // PAE.
    movl %eax, %cr4
    movl $0xc0000080, %ecx      // EFER:
    rdmsr
    orl $0x100, %eax            // long mode.
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax       // Paging and protection.
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $start64

    .code64
start64:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    call image_main

    .section .rodata
    .align 8
gdt:
    .quad 0
    .quad 0x00209a0000000000    // 64-bit code.
gdt_pointer:
    .word 15
    .long gdt

    .bss
    .align 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
pd:
    .skip 4096
    .skip 16384
stack_top:
