// From the PVH entry (32-bit protected mode, no paging; Xen docs/misc/pvh) to C++ in long mode; and
// there from the real mode that a further CPU begins in.
//
// The loader finds the entry in the note below. It leaves flat segments, interrupts off and the
// address of its start_info in ebx.

#include "kernel_demo/kit/stacks.h"

#define CR0_WP_AND_PG 0x80010000
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME_AND_NXE 0x900
#define CR0_PE 0x1
#define CR0_CD_AND_NW 0x60000000
#define CODE_SELECTOR 0x08
#define CODE32_SELECTOR 0x10
#define DATA_SELECTOR 0x18

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

    mov $(kit_boot_stacks + KIT_BOOT_STACK_STRIDE), %esp
    mov %ebx, %edi
    mov $kit_start, %esi

    // With a function, its argument and its stack in esi, edi and esp.
enter_long_mode:
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
    // The upper halves are undefined after the change of mode.
    mov %esp, %esp
    mov %edi, %edi
    mov %esi, %esi
    xor %ebp, %ebp    // ends every backtrace
    call *%rsi
    ud2
    .size _start, . - _start

    // A further CPU, from its start-up interrupt: in real mode, in a copy of this below 1 MiB.
    .code16
    .globl kit_trampoline
kit_trampoline:
    cli
    cld
    lgdtl %cs:(trampoline_gdt_pointer - kit_trampoline)
    mov %cr0, %eax
    or $CR0_PE, %eax
    // As the loader leaves it for the first CPU: caches on, which INIT does not do.
    and $~CR0_CD_AND_NW, %eax
    mov %eax, %cr0
    ljmpl $CODE32_SELECTOR, $further_cpu
    .balign 4
trampoline_gdt_pointer:
    .word kit_boot_gdt_end - kit_boot_gdt - 1
    .long kit_boot_gdt
    .globl kit_trampoline_end
kit_trampoline_end:

    .code32
further_cpu:
    mov $DATA_SELECTOR, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    // Its number is its APIC id, which CPUID tells.
    mov $1, %eax
    cpuid
    shr $24, %ebx
    cmp $KIT_CPUS, %ebx
    jae 1f
    mov %ebx, %edi
    imul $KIT_BOOT_STACK_STRIDE, %ebx, %esp
    add $(kit_boot_stacks + KIT_BOOT_STACK_STRIDE), %esp
    mov $kit_start_cpu, %esi
    jmp enter_long_mode
1:  hlt
    jmp 1b

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
    .quad 0x00cf9b000000ffff        // 32-bit code
    .quad 0x00cf93000000ffff        // data
kit_boot_gdt_end:
kit_boot_gdt_pointer:
    .word kit_boot_gdt_end - kit_boot_gdt - 1
    .long kit_boot_gdt
