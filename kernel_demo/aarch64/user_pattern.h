// What a user program can have in registers on aarch64, for kernel_demo/user/pattern.cc.

#ifndef BATON_KERNEL_DEMO_AARCH64_USER_PATTERN_H_
#define BATON_KERNEL_DEMO_AARCH64_USER_PATTERN_H_

#include <cstddef>
#include <cstdint>

namespace user {

/// As user_pattern.S knows it. `general[n]` is x\n, the flags are NZCV; V0 to V31, FPCR and FPSR.
struct alignas(16) Registers {
  static constexpr size_t kGeneral = 31;
  static constexpr size_t kNumber = 8, kFirst = 0, kSecond = 1, kThird = 2, kAnswer = 0;
  static constexpr uint64_t kFlags = uint64_t{0xf} << 28;
  static constexpr size_t kFpuWords = 66;

  static constexpr bool is_held(size_t) { return true; }

  void fill_fpu(uint64_t first) {
    for (size_t i = 0; i < 32; ++i) {
      fpu[2 * i] = first + 2 * i;
      fpu[2 * i + 1] = ~(first + 2 * i);
    }
    fpu[64] = (first & 3) << 22;  // FPCR.RMode
    fpu[65] = first & 0x1f;       // FPSR: the cumulative exceptions
  }

  uint64_t general[32] = {};
  uint64_t flags = 0;
  uint64_t sp_before = 0, sp_after = 0;
  uint64_t unused = 0;
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

#endif  // BATON_KERNEL_DEMO_AARCH64_USER_PATTERN_H_
