// An image whose C++ runtime ends it: a failed assertion reaches the image's own
// baton_runtime_panic.

#include <cassert>

#include "platforms/runtime/runtime.h"
#include "tests/platforms/machine.h"

extern "C" void baton_runtime_panic(const char* why) noexcept {
  print("the runtime says: ");
  print(why);
  print("\n");
  exit_qemu(35);
}

void image_main() {
  [[maybe_unused]] volatile int two = 2;
  assert(two + two == 5);
  // With NDEBUG there is no assertion to fail.
  baton_runtime_panic("assertions are off");
}
