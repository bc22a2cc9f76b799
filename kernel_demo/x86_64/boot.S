// From the PVH entry (32-bit protected mode, no paging; Xen docs/misc/pvh) to C++ in long mode.
//
// The loader finds the entry in the note below. It leaves flat segments, interrupts off and the
// address of its start_info in ebx.

#include "kernel_demo/kit/stacks.h"

#define CR0_WP_AND_PG 0x80010000
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME_AND_NXE 0x900
#define CODE_SELECTOR 0x08

    .section .note.Xen, "a", @note
    .balign 4
    .long 4           // size of the name
    .long 8           // size of the entry's address
    .long 18          // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad _start

    .section .text.boot, "ax", @progbits
    .code32
    .globl _start
    .type _start, @function
_start:
    cli
    cld
    mov $__bss_start, %edi
    mov $__bss_end, %ecx
    sub %edi, %ecx
    xor %eax, %eax
    rep stosb

    mov $kit_boot_tables, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $CR4_PAE, %eax
    mov %eax, %cr4
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LME_AND_NXE, %eax
    wrmsr
    mov %cr0, %eax
    or $CR0_WP_AND_PG, %eax
    mov %eax, %cr0
    // Paging with LME is long mode, as soon as the code segment says so.
    lgdt kit_boot_gdt_pointer
    ljmp $CODE_SELECTOR, $long_mode

    .code64
long_mode:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov %eax, %ss
    mov $(kit_boot_stack + KIT_BOOT_STACK_GUARD + KIT_BOOT_STACK_SIZE), %esp
    xor %ebp, %ebp    // ends every backtrace
    mov %ebx, %edi
    call kit_start
    ud2
    .size _start, . - _start

    // Enough to run C++ until it has built the real tables: the first GiB, writable and executable.
    // In .data, because .bss is cleared above.
    .section .data.kit_boot_tables, "aw", @progbits
    .balign 4096
kit_boot_tables:
    .quad kit_boot_gigabytes + 3
    .fill 511, 8, 0
kit_boot_gigabytes:
    .quad kit_boot_blocks + 3
    .fill 511, 8, 0
kit_boot_blocks:
    .set block, 0
    .rept 512
    .quad block + 0x83              // present, writable, 2 MiB
    .set block, block + 0x200000
    .endr

    .section .rodata.kit_boot_gdt, "a", @progbits
    .balign 8
kit_boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        // 64-bit code
kit_boot_gdt_pointer:
    .word . - kit_boot_gdt - 1
    .long kit_boot_gdt
