// User mode: code that runs with its own registers, on its own stack, in its own address space, and
// comes to the kernel by traps only.
//
// A machine with user mode has, in `hal/<arch>/user.h`, two types (`hal/native_user.h`: those of
// the machine that is being compiled for):
//
//   - `UserFrame`: all that user code has in registers. It lies at the top of the task's kernel
//     stack, where the entry in `hal/<arch>/user.S` stores it at each trap; the kernel runs below.
//   - `UserMode`: how a CPU gets there and what has to be seen to before.
//
// Every trap from user mode (interrupt, system call, fault) ends in `baton_user_trap`, which the
// kernel defines: on the kernel stack of the task that was interrupted, masked, in whatever address
// space the task runs in. When it returns, masked, user mode goes on with what is in the frame.
// What happens in between is a task like any other: it may be preempted, and block.
//
// Interrupts of kernel mode keep their own entry (hal/interrupt.h), which knows nothing of this: a
// kernel without user programs pays nothing, and one with them pays in user mode. On x86_64 the
// entries of both are reached by one gate: there a kernel with user programs installs other entries
// (`baton_x86_64_user_interrupts`) that tell the two apart, by two instructions.

#ifndef BATON_HAL_USER_H_
#define BATON_HAL_USER_H_

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace hal {

/// What a trap from user mode was.
struct UserTrap {
  enum class Kind : uint8_t {
    interrupt,  ///< `source` is what `baton_interrupt` takes
    call,       ///< a system call
    fpu,        ///< the first use of an FPU that `UserMode::leave` has kept from it
    fault,      ///< `reason`, and often the address that was accessed
  };
  Kind kind = Kind::fault;
  uintptr_t source = 0;
  const char* reason = nullptr;
  bool has_address = false;
  uintptr_t address = 0;
};

/// A machine with user mode. `fpu` below: whether the task has adopted an FPU state
/// (hal/space.h).
template <typename U>
concept HasUserMode =
    // Frame::at_entry(pc, sp): user code that begins there, with every other register zero.
    requires(uintptr_t address) {
      { U::Frame::at_entry(address, address) } -> std::same_as<typename U::Frame>;
    } &&
    // trap(): the last trap. Masked, before anything else can trap on this CPU.
    // number(), argument(i): of a system call, i from 0 to 5; answer(value): what it returns.
    // pc(), sp(): where the user code is, and its stack.
    requires(const typename U::Frame frame, typename U::Frame& mutable_frame, size_t i) {
      { frame.trap() } -> std::same_as<UserTrap>;
      { frame.number() } -> std::same_as<uint64_t>;
      { frame.argument(i) } -> std::same_as<uint64_t>;
      { mutable_frame.answer(uint64_t{}) } -> std::same_as<void>;
      { frame.pc() } -> std::same_as<uintptr_t>;
      { frame.sp() } -> std::same_as<uintptr_t>;
    } &&
    // use_fpu(): masked. The kernel itself is about to store and load FPU registers, on this CPU.
    requires {
      { U::use_fpu() } -> std::same_as<void>;
    } &&
    // leave(frame, fpu): masked, last before each return to user mode: the next trap will find
    // this frame's stack, and the FPU is there or traps.
    requires(typename U::Frame& frame, bool fpu) {
      { U::leave(frame, fpu) } -> std::same_as<void>;
    } &&
    // enter(frame): masked, after `leave`. The first entry; does not return. `frame` is on the
    // stack of the caller, all of which below it is free from here on.
    requires(typename U::Frame& frame) {
      { U::enter(frame) } -> std::same_as<void>;
    };

}  // namespace hal

#endif  // BATON_HAL_USER_H_
