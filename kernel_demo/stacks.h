// The stacks of all tasks: a static array, a page below each that nothing may touch.

#ifndef BATON_KERNEL_DEMO_STACKS_H_
#define BATON_KERNEL_DEMO_STACKS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace demo {

/// One a task: as many tasks may live at once.
inline constexpr size_t kStacks = 24;
inline constexpr size_t kStackSize = 8192;

/// What the stack of a finished task is filled with. A task that still ran on it would not get far.
inline constexpr std::byte kPoison{0xdb};

/// Makes the guard pages inaccessible. Once, at boot.
void guard_stacks();

/// The stack number `index`.
std::span<std::byte> stack(size_t index);

/// The one stack that is not a task's: the idle task's of every scheduler but the first, which has
/// the boot stack. See stage.h.
std::span<std::byte> stage_stack();

/// Fills stack number `index` with poison.
void poison_stack(size_t index);

/// Whether the lowest `count` bytes of stack number `index`, the canary's word left out, are
/// poison.
bool is_poisoned(size_t index, size_t count);

/// Whose guard page `address` is in: the number of a stack, `kStacks` for the stage's.
std::optional<size_t> stack_guarded_at(uintptr_t address);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_STACKS_H_
