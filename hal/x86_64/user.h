// User mode on x86_64 (ring 3); see hal/user.h.
//
// A system call is INT 0x80: its number in rax, arguments in rdi, rsi, rdx, r10, r8 and r9, the
// answer in rax; every other register is kept. (SYSCALL would be faster on a processor, but begins
// on the user's stack.) Traps from user mode begin on the stack that the task state segment names,
// and exchange GS's base with SWAPGS, as does the way back. Exceptions begin on the kernel's
// emergency stack, because the kernel's own do, and move to the task's if they come from user mode.
//
// The kernel's part, before the first process: `Local::task_state`; in the descriptor table user
// data at 0x28 and user code at 0x30; the gates of the entries below, 0x80's with privilege level
// 3; CR4.OSFXSR and OSXMMEXCPT.
//
// Specification: Intel SDM volume 3, chapter 6 (exceptions), 6.14.4 (stack switching).

#ifndef BATON_HAL_X86_64_USER_H_
#define BATON_HAL_X86_64_USER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hal/user.h"
#include "hal/x86_64/machine.h"

namespace hal::x86_64 {

inline constexpr uint8_t kUserCallVector = 0x80;
inline constexpr uint16_t kUserData = 0x28 | 3;
inline constexpr uint16_t kUserCode = 0x30 | 3;

/// See hal/user.h. user.S knows the order.
struct alignas(16) UserFrame {
  uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, rbp = 0;
  uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0;
  uint64_t vector = 0, error = 0, rip = 0, cs = 0, rflags = 0, rsp = 0, ss = 0;

  static UserFrame at_entry(uintptr_t pc, uintptr_t sp) {
    constexpr uint64_t kInterruptsOn = 0x202;
    UserFrame frame;
    frame.rip = pc;
    frame.cs = kUserCode;
    frame.rflags = kInterruptsOn;
    frame.rsp = sp;
    frame.ss = kUserData;
    return frame;
  }

  UserTrap trap() const {
    using Kind = UserTrap::Kind;
    constexpr uint64_t kNoFpu = 7, kPageFault = 14;
    if (vector == kUserCallVector) return {.kind = Kind::call};
    if (vector >= kFirstVector) return {.kind = Kind::interrupt, .source = vector};
    if (vector == kNoFpu) return {.kind = Kind::fpu};
    if (vector == kPageFault) {
      uintptr_t address;
      asm volatile("mov %%cr2, %0" : "=r"(address));
      return {.reason = name_of_page_fault(), .has_address = true, .address = address};
    }
    switch (vector) {
      case 0: return {.reason = "division error"};
      case 1: return {.reason = "debug exception"};
      case 6: return {.reason = "illegal instruction"};
      case 11:
      case 12: return {.reason = "segment fault"};
      case 13: return {.reason = "general protection fault"};
      case 16:
      case 19: return {.reason = "floating-point exception"};
      case 17: return {.reason = "misaligned access"};
      default: return {.reason = "unknown exception"};
    }
  }

  uint64_t number() const { return rax; }
  uint64_t argument(size_t i) const {
    const uint64_t arguments[] = {rdi, rsi, rdx, r10, r8, r9};
    return arguments[i];
  }
  void answer(uint64_t value) { rax = value; }
  uintptr_t pc() const { return rip; }
  uintptr_t sp() const { return rsp; }

 private:
  const char* name_of_page_fault() const {
    constexpr uint64_t kWrite = 1 << 1, kFetch = 1 << 4;
    if ((error & kFetch) != 0) return "page fault on execution";
    return (error & kWrite) != 0 ? "page fault on a write" : "page fault on a read";
  }
};
static_assert(sizeof(UserFrame) == 176);

}  // namespace hal::x86_64

extern "C" {
/// Defined by the kernel: see hal/user.h.
void baton_user_trap(hal::x86_64::UserFrame* frame);
/// user.S. Entries for the kernel's interrupt descriptor table, not callable: the vectors of
/// `baton_x86_64_interrupts` from either mode; system calls; and where an exception from user mode
/// goes on, on the emergency stack, with error code (or zero) and vector pushed.
extern const uintptr_t baton_x86_64_user_interrupts[];
void baton_x86_64_user_call();
void baton_x86_64_user_exception();
[[noreturn]] void baton_x86_64_enter_user(hal::x86_64::UserFrame* frame);
}

namespace hal::x86_64 {

/// See hal/user.h.
struct UserMode {
  using Frame = UserFrame;

  static void use_fpu() { asm volatile("clts" : : : "memory"); }

  static void leave(Frame& frame, bool fpu) {
    const auto top = reinterpret_cast<uintptr_t>(&frame + 1);
    std::memcpy(Machine<>::local()->task_state + kStackOffset, &top, sizeof top);
    uint64_t cr0;
    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    const uint64_t wanted = fpu ? cr0 & ~kTaskSwitched : cr0 | kTaskSwitched;
    if (wanted != cr0) asm volatile("mov %0, %%cr0" : : "r"(wanted) : "memory");
  }

  [[noreturn]] static void enter(Frame& frame) { baton_x86_64_enter_user(&frame); }

 private:
  static constexpr size_t kStackOffset = 4;  // RSP0
  static constexpr uint64_t kTaskSwitched = 1 << 3;
  // user.S relies on it.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winvalid-offsetof"  // no virtual base: the offset is a constant
  static_assert(offsetof(Machine<>::Local, task_state) == 40);
#pragma clang diagnostic pop
};

}  // namespace hal::x86_64

#endif  // BATON_HAL_X86_64_USER_H_
