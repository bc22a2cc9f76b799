// User mode on riscv64 (U-mode); see hal/user.h.
//
// While user code runs, stvec leads to user.S and sscratch holds the frame's address; in kernel
// mode both are the kernel's own again. A system call is ECALL: its number in a7, arguments in a0
// to a5, the answer in a0.
//
// Specification: The RISC-V Instruction Set Manual, Volume II, 4.1 (Supervisor CSRs) and table 4.2.

#ifndef BATON_HAL_RISCV64_USER_H_
#define BATON_HAL_RISCV64_USER_H_

#include <cstddef>
#include <cstdint>

#include "hal/user.h"

namespace hal::riscv64 {

/// See hal/user.h. user.S knows the order.
struct alignas(16) UserFrame {
  uint64_t x[32] = {};
  uint64_t sepc = 0, sstatus = 0, scause = 0, stval = 0;
  // The kernel's, for as long as user code runs.
  uint64_t kernel_tp = 0, kernel_scratch = 0, kernel_vector = 0;

  static constexpr uint64_t kPreviousEnabled = 1 << 5;  // sstatus.SPIE
  static constexpr uint64_t kPreviousKernel = 1 << 8;   // sstatus.SPP
  static constexpr uint64_t kFpuState = 3 << 13;        // sstatus.FS
  static constexpr uint64_t kFpuInitial = 1 << 13;
  static constexpr uint64_t kVectorState = 3 << 9;  // sstatus.VS

  static UserFrame at_entry(uintptr_t pc, uintptr_t sp) {
    UserFrame frame;
    frame.x[2] = sp;
    frame.sepc = pc;
    asm volatile("csrr %0, sstatus" : "=r"(frame.sstatus));
    frame.sstatus &= ~(kPreviousKernel | kFpuState | kVectorState);
    frame.sstatus |= kPreviousEnabled;
    return frame;
  }

  UserTrap trap() const {
    using Kind = UserTrap::Kind;
    constexpr uint64_t kInterrupt = uint64_t{1} << 63;
    constexpr uint64_t kIllegal = 2, kCall = 8;
    if ((scause & kInterrupt) != 0) return {.kind = Kind::interrupt, .source = scause};
    if (scause == kCall) return {.kind = Kind::call};
    // Whether it is an FPU instruction is seen when it is tried again with the unit on.
    if (scause == kIllegal && (sstatus & kFpuState) == 0) return {.kind = Kind::fpu};
    static constexpr struct {
      const char* reason;
      bool has_address;
    } kFaults[] = {
        {"misaligned jump", true},
        {"access fault on execution", true},
        {"illegal instruction", false},
        {"breakpoint", false},
        {"misaligned read", true},
        {"access fault on a read", true},
        {"misaligned write", true},
        {"access fault on a write", true},
        {"", false},
        {"", false},
        {"", false},
        {"", false},
        {"page fault on execution", true},
        {"page fault on a read", true},
        {"", false},
        {"page fault on a write", true},
    };
    constexpr size_t kCount = sizeof kFaults / sizeof kFaults[0];
    if (scause >= kCount || *kFaults[scause].reason == '\0') return {.reason = "unknown exception"};
    return {.reason = kFaults[scause].reason,
            .has_address = kFaults[scause].has_address,
            .address = stval};
  }

  uint64_t number() const { return x[17]; }
  uint64_t argument(size_t i) const { return x[10 + i]; }
  void answer(uint64_t value) {
    x[10] = value;
    sepc += 4;  // ECALL's length: the trap is before it
  }
  uintptr_t pc() const { return sepc; }
  uintptr_t sp() const { return x[2]; }
};
static_assert(sizeof(UserFrame) == 320);

}  // namespace hal::riscv64

extern "C" {
/// Defined by the kernel: see hal/user.h.
void baton_user_trap(hal::riscv64::UserFrame* frame);
/// user.S.
[[noreturn]] void baton_riscv64_enter_user(hal::riscv64::UserFrame* frame);
}

namespace hal::riscv64 {

/// See hal/user.h.
struct UserMode {
  using Frame = UserFrame;

  static void use_fpu() { asm volatile("csrs sstatus, %0" : : "r"(Frame::kFpuInitial)); }

  static void leave(Frame& frame, bool fpu) {
    if (fpu) frame.sstatus |= Frame::kFpuInitial;
  }

  [[noreturn]] static void enter(Frame& frame) { baton_riscv64_enter_user(&frame); }
};

}  // namespace hal::riscv64

#endif  // BATON_HAL_RISCV64_USER_H_
