// Where exceptions and panics arrive: on the emergency stack (IST 1), with what the processor has
// pushed. Each entry adds its vector number, and an error code where the processor gives none; then
// all registers are stored for the report. Nothing returns from here.

    .text
    .balign 16
    .globl kit_exception_entries
kit_exception_entries:          // 33 of them, 16 bytes each
    .set vector, 0
    .rept 33
    .balign 16
    // 8, 10 to 14, 17, 21, 29, 30 come with an error code (Intel SDM volume 3, 6.15; AMD64 APM).
    .set has_code, vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
    .if !has_code && vector != 29 && vector != 30
    push $0
    .endif
    push $vector
    jmp save_all
    .set vector, vector + 1
    .endr

save_all:
    cld
    push %r15
    push %r14
    push %r13
    push %r12
    push %r11
    push %r10
    push %r9
    push %r8
    push %rbp
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rbx
    push %rax
    mov %rsp, %rdi
    and $-16, %rsp
    call kit_exception
    ud2

// kit::panic(rule, task): an exception on purpose, so that the caller's registers are stored and
// the emergency stack is taken in one place.
    .balign 16
    .globl kit_panic
    .type kit_panic, @function
kit_panic:
    int3
    .globl kit_panic_end
kit_panic_end:
    ud2
    .size kit_panic, . - kit_panic
