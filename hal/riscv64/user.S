// To user mode and back on riscv64; see hal/user.h. The frame is `hal::riscv64::UserFrame`.

  .set SEPC, 256
  .set SSTATUS, 264
  .set SCAUSE, 272
  .set STVAL, 280
  .set KERNEL_TP, 288
  .set KERNEL_SCRATCH, 296
  .set KERNEL_VECTOR, 304

  .macro each_but_sp action
  .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  \action x\n, 8*\n(sp)
  .endr
  .endm

  .section .text.baton_riscv64_user, "ax", @progbits
  .type baton_riscv64_user_trap, @function
  .balign 4
baton_riscv64_user_trap:
  csrrw sp, sscratch, sp  // the frame, which is where the kernel stack is empty
  each_but_sp sd
  ld tp, KERNEL_TP(sp)
  ld t0, KERNEL_SCRATCH(sp)
  csrrw t0, sscratch, t0
  sd t0, 16(sp)
  // From here on a fault is the kernel's own.
  ld t0, KERNEL_VECTOR(sp)
  csrw stvec, t0
  csrr t0, sepc
  csrr t1, sstatus
  csrr t2, scause
  csrr t3, stval
  sd t0, SEPC(sp)
  sd t1, SSTATUS(sp)
  sd t2, SCAUSE(sp)
  sd t3, STVAL(sp)
  // The end of every backtrace.
  li s0, 0
  li ra, 0
  mv a0, sp
  call baton_user_trap
  mv a0, sp
  // On into the way back.

  .globl baton_riscv64_enter_user
  .type baton_riscv64_enter_user, @function
baton_riscv64_enter_user:  // (UserFrame* frame)
  mv sp, a0
  sd tp, KERNEL_TP(sp)
  csrr t0, stvec
  sd t0, KERNEL_VECTOR(sp)
  lla t0, baton_riscv64_user_trap
  csrw stvec, t0
  csrrw t0, sscratch, sp
  sd t0, KERNEL_SCRATCH(sp)
  ld t0, SEPC(sp)
  ld t1, SSTATUS(sp)
  csrw sepc, t0
  csrw sstatus, t1
  each_but_sp ld
  ld sp, 16(sp)
  sret
  .size baton_riscv64_enter_user, . - baton_riscv64_enter_user
