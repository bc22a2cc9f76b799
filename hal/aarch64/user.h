// User mode on aarch64 (EL0); see hal/user.h.
//
// The kernel's vectors for EL0 lead to user.S. While user code runs SP_EL1 is the frame's address.
// A system call is SVC: its number in x8, arguments in x0 to x5, the answer in x0. Whether EL0 may
// use the FPU is CPACR_EL1.FPEN's to say; EL1 may, from `use_fpu` on.
//
// Specification: Arm Architecture Reference Manual, D1.4 (exceptions), D24.2.40 (ESR_EL1).

#ifndef BATON_HAL_AARCH64_USER_H_
#define BATON_HAL_AARCH64_USER_H_

#include <cstddef>
#include <cstdint>

#include "hal/user.h"

namespace hal::aarch64 {

/// See hal/user.h. user.S knows the order.
struct alignas(16) UserFrame {
  uint64_t x[31] = {};
  uint64_t sp_el0 = 0, elr = 0, spsr = 0, esr = 0, far = 0;
  uint64_t tpidr_el0 = 0;  // which EL0 may write
  uint64_t is_interrupt = 0;

  // EL0 in 64 bits, nothing masked, no flags.
  static UserFrame at_entry(uintptr_t pc, uintptr_t sp) {
    UserFrame frame;
    frame.sp_el0 = sp;
    frame.elr = pc;
    return frame;
  }

  UserTrap trap() const {
    using Kind = UserTrap::Kind;
    if (is_interrupt != 0) return {.kind = Kind::interrupt};
    switch (esr >> 26 & 0x3f) {
      case 0x00: return {.reason = "illegal instruction"};
      case 0x07: return {.kind = Kind::fpu};
      case 0x0e: return {.reason = "illegal execution state"};
      case 0x15: return {.kind = Kind::call};
      case 0x18: return {.reason = "instruction or register of the kernel"};
      case 0x20: return {.reason = "page fault on execution", .has_address = true, .address = far};
      case 0x22: return {.reason = "misaligned jump", .has_address = true, .address = far};
      case 0x24: return {.reason = name_of_data_abort(), .has_address = true, .address = far};
      case 0x26: return {.reason = "misaligned stack pointer"};
      case 0x2c: return {.reason = "floating-point exception"};
      case 0x3c: return {.reason = "breakpoint"};
      default: return {.reason = "unknown exception"};
    }
  }

  uint64_t number() const { return x[8]; }
  uint64_t argument(size_t i) const { return x[i]; }
  void answer(uint64_t value) { x[0] = value; }
  uintptr_t pc() const { return elr; }
  uintptr_t sp() const { return sp_el0; }

 private:
  const char* name_of_data_abort() const {
    constexpr uint64_t kAlignment = 0x21;
    if ((esr & 0x3f) == kAlignment) return "misaligned access";
    return (esr >> 6 & 1) != 0 ? "page fault on a write" : "page fault on a read";
  }
};
static_assert(sizeof(UserFrame) == 304);

}  // namespace hal::aarch64

extern "C" {
/// Defined by the kernel: see hal/user.h.
void baton_user_trap(hal::aarch64::UserFrame* frame);
/// user.S. Where the kernel's vectors for synchronous exceptions and interrupts from EL0 lead; not
/// callable.
void baton_aarch64_user_exception();
void baton_aarch64_user_interrupt();
[[noreturn]] void baton_aarch64_enter_user(hal::aarch64::UserFrame* frame);
}

namespace hal::aarch64 {

/// See hal/user.h.
struct UserMode {
  using Frame = UserFrame;

  static void use_fpu() {
    if (fpen() == 0) set_fpen(kKernelOnly);
  }

  static void leave(Frame&, bool fpu) {
    const uint64_t wanted = fpu ? kBoth : kKernelOnly;
    if (fpen() != wanted) set_fpen(wanted);
  }

  [[noreturn]] static void enter(Frame& frame) { baton_aarch64_enter_user(&frame); }

 private:
  static constexpr uint64_t kFpen = 3 << 20, kKernelOnly = 1 << 20, kBoth = 3 << 20;

  static uint64_t fpen() {
    uint64_t cpacr;
    asm volatile("mrs %0, cpacr_el1" : "=r"(cpacr));
    return cpacr & kFpen;
  }
  static void set_fpen(uint64_t value) {
    uint64_t cpacr;
    asm volatile("mrs %0, cpacr_el1" : "=r"(cpacr));
    asm volatile("msr cpacr_el1, %0\n isb" : : "r"((cpacr & ~kFpen) | value) : "memory");
  }
};

}  // namespace hal::aarch64

#endif  // BATON_HAL_AARCH64_USER_H_
