// The race is in a library, so that only a test that builds its dependencies under a sanitizer sees
// it.

#include "tests/build_defs/race.h"

#include <thread>

int race() {
  int sum = 0;
  std::thread other([&] { ++sum; });
  ++sum;
  other.join();
  return sum;
}
