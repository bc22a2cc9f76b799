// The programs that are embedded in an image, by name. `user_programs` (defs.bzl) writes the table.

#ifndef BATON_KERNEL_DEMO_USER_PROGRAM_H_
#define BATON_KERNEL_DEMO_USER_PROGRAM_H_

#include <cstddef>
#include <span>
#include <string_view>

namespace demo {

/// A linked program's file. Lives forever.
struct Program {
  std::string_view name;
  const std::byte* begin;
  const std::byte* end;

  std::span<const std::byte> file() const { return {begin, end}; }
};

/// Those of this image.
std::span<const Program> programs();

/// The file of the shared scheduler (sched/shared); empty: this image has none.
std::span<const std::byte> shared_scheduler();

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_USER_PROGRAM_H_
