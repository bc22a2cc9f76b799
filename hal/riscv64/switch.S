// The riscv64 context switch: what the ABI preserves across a call, and nothing else.
//
// Called with interrupts masked. The registers go just below the stack pointer, which itself does
// not move: nobody writes there, because interrupts are masked, exceptions in the kernel have a
// stack of their own, and a task that does not run has no frames to push. That saves the two
// adjustments. Each task comes back to where it called, interrupts still masked.

  .section .text.baton_riscv64_switch, "ax", @progbits
  .globl baton_riscv64_switch
  .type baton_riscv64_switch, @function
baton_riscv64_switch:  // (void** save_sp, void* load_sp)
  sd ra, -8(sp)
  sd s0, -16(sp)
  sd s1, -24(sp)
  sd s2, -32(sp)
  sd s3, -40(sp)
  sd s4, -48(sp)
  sd s5, -56(sp)
  sd s6, -64(sp)
  sd s7, -72(sp)
  sd s8, -80(sp)
  sd s9, -88(sp)
  sd s10, -96(sp)
  sd s11, -104(sp)
  sd sp, 0(a0)
  mv sp, a1
  ld ra, -8(sp)
  ld s0, -16(sp)
  ld s1, -24(sp)
  ld s2, -32(sp)
  ld s3, -40(sp)
  ld s4, -48(sp)
  ld s5, -56(sp)
  ld s6, -64(sp)
  ld s7, -72(sp)
  ld s8, -80(sp)
  ld s9, -88(sp)
  ld s10, -96(sp)
  ld s11, -104(sp)
  ret
  .size baton_riscv64_switch, . - baton_riscv64_switch
