// The riscv64 context switch: what the ABI preserves across a call, and nothing else.

#ifndef BATON_HAL_RISCV64_SWITCH_H_
#define BATON_HAL_RISCV64_SWITCH_H_

#include <cstddef>

namespace hal::riscv64 {

/// Leaves the stack whose pointer it stores `kOffset` bytes into `from` for the one whose pointer
/// is `kOffset` bytes into `to`. With interrupts masked, where there are any.
///
/// The registers go just below the stack pointer, which itself does not move: nobody
/// writes there, because interrupts are masked, exceptions in the kernel have a stack of their
/// own, and a task that does not run has no frames to push. That saves the two adjustments. Each
/// task comes back to where it called, interrupts still masked. Here and not in an assembly file
/// because the offset of the saved stack pointer is part of the instructions, whose reach is 2 KiB.
template <size_t kOffset>
  requires(kOffset < 2048)
[[gnu::naked, gnu::noinline]] inline void switch_stacks(void* /* from: a0 */, void* /* to: a1 */) {
  asm volatile(
      "sd ra, -8(sp)\n"
      "sd s0, -16(sp)\n"
      "sd s1, -24(sp)\n"
      "sd s2, -32(sp)\n"
      "sd s3, -40(sp)\n"
      "sd s4, -48(sp)\n"
      "sd s5, -56(sp)\n"
      "sd s6, -64(sp)\n"
      "sd s7, -72(sp)\n"
      "sd s8, -80(sp)\n"
      "sd s9, -88(sp)\n"
      "sd s10, -96(sp)\n"
      "sd s11, -104(sp)\n"
      "sd sp, %0(a0)\n"
      "ld sp, %0(a1)\n"
      "ld ra, -8(sp)\n"
      "ld s0, -16(sp)\n"
      "ld s1, -24(sp)\n"
      "ld s2, -32(sp)\n"
      "ld s3, -40(sp)\n"
      "ld s4, -48(sp)\n"
      "ld s5, -56(sp)\n"
      "ld s6, -64(sp)\n"
      "ld s7, -72(sp)\n"
      "ld s8, -80(sp)\n"
      "ld s9, -88(sp)\n"
      "ld s10, -96(sp)\n"
      "ld s11, -104(sp)\n"
      "ret"
      :
      : "i"(kOffset));
}

}  // namespace hal::riscv64

#endif  // BATON_HAL_RISCV64_SWITCH_H_
