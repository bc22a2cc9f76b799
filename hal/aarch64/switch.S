// The aarch64 context switch: what the ABI preserves across a call, and nothing else. Called with
// interrupts masked; each task comes back to where it called, interrupts still masked.

  .section .text.baton_aarch64_switch, "ax", @progbits
  .globl baton_aarch64_switch
  .type baton_aarch64_switch, @function
baton_aarch64_switch:  // (void** save_sp, void* load_sp)
  stp x19, x20, [sp, #-96]!
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp x19, x20, [sp], #96
  ret
  .size baton_aarch64_switch, . - baton_aarch64_switch
