// What a user program on x86_64 may not do, and where it must not look.

#ifndef BATON_TESTS_KERNEL_DEMO_USER_X86_64_TROUBLE_H_
#define BATON_TESTS_KERNEL_DEMO_USER_X86_64_TROUBLE_H_

#include <cstdint>

#include "kernel_demo/user_pattern.h"

namespace user_test {

/// In the kernel's image: its text, and behind it.
inline constexpr uint64_t kKernelAddresses[] = {0x100'1000, 0x110'0000};
inline constexpr uint64_t kFreeMemory = 0x400'0000;
inline constexpr uint64_t kDevice = 0xfee0'0000;  // the local APIC

inline void illegal() { asm volatile("ud2"); }
inline void privileged() { asm volatile("cli"); }
inline void divide_by_zero() {
  asm volatile("xor %%ecx, %%ecx\n div %%ecx" : : "a"(1), "d"(0) : "ecx", "cc");
}
/// To an address that is not canonical. (No jump is misaligned.)
inline void jump_nowhere() { reinterpret_cast<void (*)()>(uint64_t{1} << 62)(); }

/// Whether the FPU is as a program expects it that has not used it yet.
inline bool is_fpu_fresh(user::Registers& found) {
  user_look_at_fpu(&found);
  for (size_t i = 0; i < user::Registers::kFpuWords; ++i) {
    const uint64_t fresh = i == 0 ? 0x037f : i == 3 ? 0x1f80 | uint64_t{0xffff} << 32 : 0;
    if (found.fpu[i] != fresh) return false;
  }
  return true;
}

}  // namespace user_test

#endif  // BATON_TESTS_KERNEL_DEMO_USER_X86_64_TROUBLE_H_
