// Where exceptions arrive in a kernel with user programs, on the emergency stack like the kit's:
// the kernel's own go on to the kit's entry, the others to their process's kernel stack.

    .text
    .balign 32
    .globl demo_user_exception_entries
demo_user_exception_entries:    // 32 of them, 32 bytes each
    .set vector, 0
    .rept 32
    .balign 32
    // As in exceptions.S: these come with an error code.
    .set has_code, vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
    .set has_code, has_code || vector == 29 || vector == 30
    .if has_code
    testb $3, 16(%rsp)
    jz kit_exception_entries + 16 * vector
    .else
    testb $3, 8(%rsp)
    jz kit_exception_entries + 16 * vector
    push $0
    .endif
    push $vector
    jmp baton_x86_64_user_exception
    .set vector, vector + 1
    .endr

    .section .note.GNU-stack, "", @progbits
