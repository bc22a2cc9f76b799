// A user program that says hello once a second, as often as its argument says; once if that is
// zero.

#include <array>
#include <cstdint>

#include "kernel_demo/kit/format.h"
#include "kernel_demo/user/system.h"

int64_t user_main(uint64_t argument) {
  for (uint64_t i = 1;; ++i) {
    std::array<char, 64> buffer;
    user::print(kit::format(buffer, "hello {} from process {}\n", i, user::self()));
    if (i >= argument) return 0;
    user::sleep(1'000'000'000);
  }
}
