// Interrupts taken in kernel mode on riscv64; see hal/interrupt.h.
//
// Saves on the interrupted stack what a call may clobber. sepc and sstatus are saved only if a
// switch follows: nothing else can change them, because interrupts stay masked until sret and an
// exception in the kernel does not return.

  .set FRAME, 144  // 16 registers, sepc, sstatus: a multiple of 16

  .section .text.baton_riscv64_interrupt, "ax", @progbits
  .globl baton_riscv64_interrupt
  .type baton_riscv64_interrupt, @function
  .balign 4
baton_riscv64_interrupt:
  addi sp, sp, -FRAME
  sd ra, 0(sp)
  sd t0, 8(sp)
  sd t1, 16(sp)
  sd t2, 24(sp)
  sd a0, 32(sp)
  sd a1, 40(sp)
  sd a2, 48(sp)
  sd a3, 56(sp)
  sd a4, 64(sp)
  sd a5, 72(sp)
  sd a6, 80(sp)
  sd a7, 88(sp)
  sd t3, 96(sp)
  sd t4, 104(sp)
  sd t5, 112(sp)
  sd t6, 120(sp)
  csrr a0, scause
  call baton_interrupt
  bnez a0, 2f
1:
  ld ra, 0(sp)
  ld t0, 8(sp)
  ld t1, 16(sp)
  ld t2, 24(sp)
  ld a0, 32(sp)
  ld a1, 40(sp)
  ld a2, 48(sp)
  ld a3, 56(sp)
  ld a4, 64(sp)
  ld a5, 72(sp)
  ld a6, 80(sp)
  ld a7, 88(sp)
  ld t3, 96(sp)
  ld t4, 104(sp)
  ld t5, 112(sp)
  ld t6, 120(sp)
  addi sp, sp, FRAME
  sret
2:
  csrr t0, sepc
  csrr t1, sstatus
  sd t0, 128(sp)
  sd t1, 136(sp)
  call baton_preempt
  ld t0, 128(sp)
  ld t1, 136(sp)
  csrw sepc, t0
  csrw sstatus, t1
  j 1b
  .size baton_riscv64_interrupt, . - baton_riscv64_interrupt
