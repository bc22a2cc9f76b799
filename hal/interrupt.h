// How an interrupt that is taken in kernel mode reaches the kernel, and how it may end in a switch.
//
// Each bare-metal machine has `interrupt.S`: an entry that saves, on the interrupted task's own
// stack, only the registers that a call may clobber, and calls `baton_interrupt`. If that answers
// true, a switch is due: the entry saves the return state too (which a plain return never needs to)
// and calls `baton_preempt`, which comes back when the task is chosen again. A kernel installs the
// entry in its vectors and defines the two functions below; with a scheduler `S` they are
//
//     extern "C" bool baton_interrupt(uintptr_t source) {
//       S::Interrupt interrupt;
//       ... find the cause, acknowledge it, call S::on_timer(), S::on_kick(), S::wake(task) ...
//       return interrupt.leave();
//     }
//     extern "C" void baton_preempt() { S::preempt(); }

#ifndef BATON_HAL_INTERRUPT_H_
#define BATON_HAL_INTERRUPT_H_

#include <cstdint>

namespace hal {

/// What a bare-metal machine's `acknowledge(source)` finds: its own two interrupts by name,
/// whatever else arrived, which is the kernel's, or nothing (a spurious interrupt: ignore it).
enum class Cause : uint8_t { none, timer, kick, device };

/// The answer of `acknowledge`: for `device` also which line, in the controller's own numbering
/// (vector on x86_64, interrupt id on aarch64, zero on riscv64, whose PLIC is the kernel's). A
/// device's interrupt is ended with the machine's `complete(interrupt)`; the other two need
/// nothing more.
struct Interrupt {
  Cause cause = Cause::none;
  uint32_t line = 0;
};

}  // namespace hal

extern "C" {

/// Defined by the kernel; called masked, on the interrupted stack, which is 16-byte aligned.
/// `source` is the machine's raw word: the vector number on x86_64, `scause` on riscv64, zero on
/// aarch64 (whose interrupt controller is asked instead). True: call `baton_preempt` before
/// returning to the interrupted code. Must return masked.
bool baton_interrupt(uintptr_t source);

/// Defined by the kernel; called masked after `baton_interrupt` answered true; returns masked.
void baton_preempt();
}

#endif  // BATON_HAL_INTERRUPT_H_
