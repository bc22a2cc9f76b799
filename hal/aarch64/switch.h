// The aarch64 context switch: what the ABI preserves across a call, and nothing else.

#ifndef BATON_HAL_AARCH64_SWITCH_H_
#define BATON_HAL_AARCH64_SWITCH_H_

#include <cstddef>

namespace hal::aarch64 {

/// Leaves the stack whose pointer it stores `kOffset` bytes into `from` for the one whose pointer
/// is `kOffset` bytes into `to`. With interrupts masked, where there are any.
///
/// Each task comes back to where it called, interrupts still masked. Here and not in
/// an assembly file because the offset of the saved stack pointer is part of the instructions.
template <size_t kOffset>
[[gnu::naked, gnu::noinline]] inline void switch_stacks(void* /* from: x0 */, void* /* to: x1 */) {
  asm volatile(
      "stp x19, x20, [sp, #-96]!\n"
      "stp x21, x22, [sp, #16]\n"
      "stp x23, x24, [sp, #32]\n"
      "stp x25, x26, [sp, #48]\n"
      "stp x27, x28, [sp, #64]\n"
      "stp x29, x30, [sp, #80]\n"
      "mov x9, sp\n"
      "str x9, [x0, %0]\n"
      "ldr x9, [x1, %0]\n"
      "mov sp, x9\n"
      "ldp x21, x22, [sp, #16]\n"
      "ldp x23, x24, [sp, #32]\n"
      "ldp x25, x26, [sp, #48]\n"
      "ldp x27, x28, [sp, #64]\n"
      "ldp x29, x30, [sp, #80]\n"
      "ldp x19, x20, [sp], #96\n"
      "ret"
      :
      : "i"(kOffset));
}

}  // namespace hal::aarch64

#endif  // BATON_HAL_AARCH64_SWITCH_H_
