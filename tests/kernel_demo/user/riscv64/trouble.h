// What a user program on riscv64 may not do, and where it must not look.

#ifndef BATON_TESTS_KERNEL_DEMO_USER_RISCV64_TROUBLE_H_
#define BATON_TESTS_KERNEL_DEMO_USER_RISCV64_TROUBLE_H_

#include <cstdint>

#include "kernel_demo/user_pattern.h"

namespace user_test {

/// In the kernel's image: its text, and behind it.
inline constexpr uint64_t kKernelAddresses[] = {0x8020'0000, 0x8030'0000};
inline constexpr uint64_t kFreeMemory = 0x8400'0000;
inline constexpr uint64_t kDevice = 0x1000'0000;  // the UART

inline void illegal() { asm volatile("unimp"); }
inline void privileged() { asm volatile("csrw satp, zero"); }
/// Which here is no fault.
inline void divide_by_zero() {
  uint64_t quotient;
  asm volatile("div %0, %1, zero" : "=r"(quotient) : "r"(uint64_t{1}));
}
/// To an address that Sv39 cannot have. (With the C extension no jump is misaligned.)
inline void jump_nowhere() { reinterpret_cast<void (*)()>(uint64_t{1} << 62)(); }

/// Whether the FPU is as a program expects it that has not used it yet.
inline bool is_fpu_fresh(user::Registers& found) {
  user_look_at_fpu(&found);
  for (const uint64_t word : found.fpu) {
    if (word != 0) return false;
  }
  return true;
}

}  // namespace user_test

#endif  // BATON_TESTS_KERNEL_DEMO_USER_RISCV64_TROUBLE_H_
