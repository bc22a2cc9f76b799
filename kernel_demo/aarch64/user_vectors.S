// The vector table of a kernel with user programs (Arm ARM, D1.4): the kit's, but for what comes
// from EL0 in 64 bits.

    .macro kits number
    .balign 0x80
    b kit_vectors + 0x80 * \number
    .endm

    .text
    .balign 0x800
    .globl demo_user_vectors
demo_user_vectors:
    kits 0
    kits 1
    kits 2
    kits 3
    kits 4
    .balign 0x80
    b baton_aarch64_interrupt
    kits 6
    kits 7
    .balign 0x80
    b baton_aarch64_user_exception
    .balign 0x80
    b baton_aarch64_user_interrupt
    kits 10
    kits 11
    kits 12
    kits 13
    kits 14
    kits 15
    .balign 0x80
