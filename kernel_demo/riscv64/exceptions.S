// Where traps arrive, and the way to the report. Nothing returns from an exception; interrupts go
// to the machine's own entry.
//
// One entry for both, and not vectored mode, which would tell them apart for nothing: OpenSBI
// passes on the exceptions that are not delegated (illegal instructions and access faults among
// them) by jumping to what stvec holds, and QEMU 7.2 does not clear the mode bit from that address,
// so that such an exception would never arrive. What tells them apart here is gp: neither compiler
// nor linker uses it in a kernel (it serves relaxation, which lld leaves off).
//
// An exception may have come from a stack that is used up, so nothing may be stored on it: sscratch
// has this hart's emergency stack, and trades it for the stack pointer.

// As in exceptions.cc: x0 to x31, pc, sstatus, scause, stval.
#define FRAME_SIZE 288
#define FRAME_SP 16

    .text
    .balign 4
    .globl kit_trap_entry
kit_trap_entry:
    csrr gp, scause
    bgez gp, exception              // the top bit says interrupt
    j baton_riscv64_interrupt

exception:
    csrrw sp, sscratch, sp
    addi sp, sp, -FRAME_SIZE
    sd zero, 0(sp)
    sd x1, 8(sp)
    .irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, 8*\n(sp)
    .endr
    // The stack pointer that was, and the emergency stack again for whatever goes wrong now.
    addi t0, sp, FRAME_SIZE
    csrrw t0, sscratch, t0
    sd t0, FRAME_SP(sp)
    csrr t0, sepc
    sd t0, 256(sp)
    csrr t0, sstatus
    sd t0, 264(sp)
    csrr t0, scause
    sd t0, 272(sp)
    csrr t0, stval
    sd t0, 280(sp)
    mv a0, sp
    call kit_exception
    unimp

// kit::panic(rule, task): an exception on purpose, so that the caller's registers are stored and
// the emergency stack is taken in one place.
    .globl kit_panic
    .type kit_panic, @function
kit_panic:
    ebreak
    .size kit_panic, . - kit_panic
