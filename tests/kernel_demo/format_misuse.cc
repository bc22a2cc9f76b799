// Formats that must not compile, one for each CASE, and (0) one that must.

#include "kernel_demo/kit/format.h"

namespace {

struct Opaque {};

[[maybe_unused]] void misuse(std::span<char> buffer) {
#if CASE == 0
  kit::format(buffer, "{} {:>8x}", "name", 1);
#elif CASE == 1
  kit::format(buffer, "{", 1);
#elif CASE == 2
  kit::format(buffer, "{:q}", 1);
#elif CASE == 3
  kit::format(buffer, "{} {}", 1);
#elif CASE == 4
  kit::format(buffer, "{}", 1, 2);
#elif CASE == 5
  kit::format(buffer, "{:x}", "text");
#elif CASE == 6
  kit::format(buffer, "{}", Opaque());
#endif
}

}  // namespace
