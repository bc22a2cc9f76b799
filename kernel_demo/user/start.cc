// What comes before `user_main`; user_start.S has called it.

#include "kernel_demo/user/system.h"

namespace user {
constinit uint64_t first_registers_or = 0;
}

/// `registers`: what `_start` found in all of them but the stack pointer.
extern "C" [[noreturn]] void user_begin(const uint64_t* registers, size_t count,
                                        uint64_t argument) {
  for (size_t i = 0; i < count; ++i) user::first_registers_or |= registers[i];
  user::exit(user_main(argument));
}
