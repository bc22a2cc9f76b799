// What a user program can have in registers on x86_64, for kernel_demo/user/pattern.cc.

#ifndef BATON_KERNEL_DEMO_X86_64_USER_PATTERN_H_
#define BATON_KERNEL_DEMO_X86_64_USER_PATTERN_H_

#include <cstddef>
#include <cstdint>

namespace user {

/// As user_pattern.S knows it: rax, rbx, rcx, rdx, rsi, rdi, rbp, r8 to r15; what FXSAVE stores.
struct alignas(16) Registers {
  static constexpr size_t kGeneral = 15;
  static constexpr size_t kNumber = 0, kFirst = 5, kSecond = 4, kThird = 3, kAnswer = 0;
  /// CF, PF, AF, ZF, SF, DF and OF.
  static constexpr uint64_t kFlags = 0x001 | 0x004 | 0x010 | 0x040 | 0x080 | 0x400 | 0x800;
  static constexpr size_t kFpuWords = 52;  // up to XMM15; behind it nothing is stored

  static constexpr bool is_held(size_t) { return true; }

  void fill_fpu(uint64_t first) {
    constexpr uint64_t kFreshControl = 0x037f, kFreshMxcsr = 0x1f80, kAllInUse = 0xff;
    const uint64_t rounding = first & 3;
    fpu[0] = kFreshControl | rounding << 10 | kAllInUse << 32;
    fpu[1] = fpu[2] = 0;  // of the last x87 instruction: there was none
    fpu[3] = (kFreshMxcsr | rounding << 13) | uint64_t{0xffff}
                                                  << 32;  // and the mask of what it has
    for (size_t i = 0; i < 8; ++i) {
      fpu[4 + 2 * i] = (first + 2 * i) | uint64_t{1} << 63;  // an extended number's fraction
      fpu[5 + 2 * i] = 0x3fff + i;                           // and its exponent
    }
    for (size_t i = 0; i < 16; ++i) {
      fpu[20 + 2 * i] = first + 2 * i;
      fpu[21 + 2 * i] = ~(first + 2 * i);
    }
  }

  uint64_t general[32] = {};
  uint64_t flags = 0;
  uint64_t sp_before = 0, sp_after = 0;
  uint64_t unused = 0;
  uint64_t fpu[64] = {};
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

#endif  // BATON_KERNEL_DEMO_X86_64_USER_PATTERN_H_
