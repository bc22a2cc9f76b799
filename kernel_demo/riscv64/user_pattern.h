// What a user program can have in registers on riscv64, for kernel_demo/user/pattern.cc.

#ifndef BATON_KERNEL_DEMO_RISCV64_USER_PATTERN_H_
#define BATON_KERNEL_DEMO_RISCV64_USER_PATTERN_H_

#include <cstddef>
#include <cstdint>

namespace user {

/// As user_pattern.S knows it. `general[n]` is x\n; those of x0 and x2 (sp) are not used.
struct alignas(16) Registers {
  static constexpr size_t kGeneral = 32;
  static constexpr size_t kNumber = 17, kFirst = 10, kSecond = 11, kThird = 12, kAnswer = 10;
  static constexpr uint64_t kFlags = 0;  // there are none
  static constexpr size_t kFpuWords = 33;

  static constexpr bool is_held(size_t general) { return general != 0 && general != 2; }

  void fill_fpu(uint64_t first) {
    for (size_t i = 0; i < 32; ++i) fpu[i] = first + 2 * i;
    fpu[32] = (first & 3) << 5 | (first >> 4 & 0x1f);  // rounding mode and accrued exceptions
  }

  uint64_t general[32] = {};
  uint64_t flags = 0;
  uint64_t sp_before = 0, sp_after = 0;
  uint64_t fpu[kFpuWords] = {};
};

}  // namespace user

extern "C" {
/// Loads all registers from `in`, spins for a few thousand instructions, stores all to `out`, with
/// the stack pointer before and after.
void user_hold(const user::Registers* in, user::Registers* out);
void user_hold_with_fpu(const user::Registers* in, user::Registers* out);
/// The same with a system call in place of the spinning.
void user_hold_in_call(const user::Registers* in, user::Registers* out);
void user_hold_in_call_with_fpu(const user::Registers* in, user::Registers* out);
/// Only stores the FPU's registers.
void user_look_at_fpu(user::Registers* out);
}

#endif  // BATON_KERNEL_DEMO_RISCV64_USER_PATTERN_H_
