// Two threads write one variable without a lock: ThreadSanitizer must say so.

#include <thread>

namespace {

int shared = 0;

}  // namespace

int main() {
  std::thread other([] { ++shared; });
  ++shared;
  other.join();
  return 0;
}
