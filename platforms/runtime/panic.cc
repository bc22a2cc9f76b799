// The default end of a kernel that does not define its own: a trap instruction, in an object of its
// own so that the kernel's definition keeps this one out of the link.

#include "platforms/runtime/runtime.h"

extern "C" [[noreturn]] void baton_runtime_panic(const char*) noexcept {
  for (;;) __builtin_trap();
}
