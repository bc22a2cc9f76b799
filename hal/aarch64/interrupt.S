// Interrupts taken in kernel mode on aarch64; see hal/interrupt.h.
//
// Saves on the interrupted stack what a call may clobber. ELR_EL1 and SPSR_EL1 are saved only if a
// switch follows: nothing else can change them, because interrupts stay masked until eret and an
// exception in the kernel does not return.

  .set FRAME, 176  // x0 to x18, x30, ELR, SPSR

  .section .text.baton_aarch64_interrupt, "ax", @progbits
  .globl baton_aarch64_interrupt
  .type baton_aarch64_interrupt, @function
baton_aarch64_interrupt:
  stp x0, x1, [sp, #-FRAME]!
  stp x2, x3, [sp, #16]
  stp x4, x5, [sp, #32]
  stp x6, x7, [sp, #48]
  stp x8, x9, [sp, #64]
  stp x10, x11, [sp, #80]
  stp x12, x13, [sp, #96]
  stp x14, x15, [sp, #112]
  stp x16, x17, [sp, #128]
  stp x18, x30, [sp, #144]
  bl baton_interrupt
  tbnz w0, #0, 2f
1:
  ldp x2, x3, [sp, #16]
  ldp x4, x5, [sp, #32]
  ldp x6, x7, [sp, #48]
  ldp x8, x9, [sp, #64]
  ldp x10, x11, [sp, #80]
  ldp x12, x13, [sp, #96]
  ldp x14, x15, [sp, #112]
  ldp x16, x17, [sp, #128]
  ldp x18, x30, [sp, #144]
  ldp x0, x1, [sp], #FRAME
  eret
2:
  mrs x0, elr_el1
  mrs x1, spsr_el1
  stp x0, x1, [sp, #160]
  bl baton_preempt
  ldp x0, x1, [sp, #160]
  msr elr_el1, x0
  msr spsr_el1, x1
  b 1b
  .size baton_aarch64_interrupt, . - baton_aarch64_interrupt
