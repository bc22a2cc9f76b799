// To user mode and back on aarch64; see hal/user.h. The frame is `hal::aarch64::UserFrame`; sp is
// its address when a trap arrives.

  .set SP_EL0, 248
  .set ELR, 256
  .set ESR, 272
  .set TPIDR, 288

  .section .text.baton_aarch64_user, "ax", @progbits
  .globl baton_aarch64_user_interrupt
  .type baton_aarch64_user_interrupt, @function
baton_aarch64_user_interrupt:
  stp x0, x1, [sp]
  mov x1, #1
  b save
  .size baton_aarch64_user_interrupt, . - baton_aarch64_user_interrupt

  .globl baton_aarch64_user_exception
  .type baton_aarch64_user_exception, @function
baton_aarch64_user_exception:
  stp x0, x1, [sp]
  mov x1, #0
save:
  mrs x0, tpidr_el0
  stp x0, x1, [sp, #TPIDR]
  stp x2, x3, [sp, #16]
  stp x4, x5, [sp, #32]
  stp x6, x7, [sp, #48]
  stp x8, x9, [sp, #64]
  stp x10, x11, [sp, #80]
  stp x12, x13, [sp, #96]
  stp x14, x15, [sp, #112]
  stp x16, x17, [sp, #128]
  stp x18, x19, [sp, #144]
  stp x20, x21, [sp, #160]
  stp x22, x23, [sp, #176]
  stp x24, x25, [sp, #192]
  stp x26, x27, [sp, #208]
  stp x28, x29, [sp, #224]
  mrs x0, sp_el0
  stp x30, x0, [sp, #240]
  mrs x0, elr_el1
  mrs x1, spsr_el1
  stp x0, x1, [sp, #ELR]
  mrs x0, esr_el1
  mrs x1, far_el1
  stp x0, x1, [sp, #ESR]
  // The end of every backtrace.
  mov x29, xzr
  mov x30, xzr
  mov x0, sp
  bl baton_user_trap
  mov x0, sp
  // On into the way back.
  .size baton_aarch64_user_exception, . - baton_aarch64_user_exception

  .globl baton_aarch64_enter_user
  .type baton_aarch64_enter_user, @function
baton_aarch64_enter_user:  // (UserFrame* frame)
  mov sp, x0
  ldp x0, x1, [sp, #ELR]
  msr elr_el1, x0
  msr spsr_el1, x1
  ldr x0, [sp, #TPIDR]
  msr tpidr_el0, x0
  ldp x30, x0, [sp, #240]
  msr sp_el0, x0
  ldp x2, x3, [sp, #16]
  ldp x4, x5, [sp, #32]
  ldp x6, x7, [sp, #48]
  ldp x8, x9, [sp, #64]
  ldp x10, x11, [sp, #80]
  ldp x12, x13, [sp, #96]
  ldp x14, x15, [sp, #112]
  ldp x16, x17, [sp, #128]
  ldp x18, x19, [sp, #144]
  ldp x20, x21, [sp, #160]
  ldp x22, x23, [sp, #176]
  ldp x24, x25, [sp, #192]
  ldp x26, x27, [sp, #208]
  ldp x28, x29, [sp, #224]
  ldp x0, x1, [sp]
  eret
  .size baton_aarch64_enter_user, . - baton_aarch64_enter_user
