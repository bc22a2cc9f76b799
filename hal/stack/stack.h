// Memory for stacks in a host process.

#ifndef BATON_HAL_STACK_STACK_H_
#define BATON_HAL_STACK_STACK_H_

#include <cstddef>
#include <span>

namespace hal::stack {

/// Memory for a task's stack with a page below it that no access survives. Host code in a test
/// (a failing EXPECT, iostreams) wants some 100 KiB, of which only what is touched is used.
class Stack {
 public:
  explicit Stack(size_t bytes = 256 * 1024);
  ~Stack();
  Stack(Stack&& other) noexcept;
  Stack& operator=(Stack&& other) noexcept;

  std::span<std::byte> bytes() const { return bytes_; }
  operator std::span<std::byte>() const { return bytes_; }  // NOLINT: a stack is its bytes

 private:
  std::span<std::byte> bytes_;
};

}  // namespace hal::stack

#endif  // BATON_HAL_STACK_STACK_H_
