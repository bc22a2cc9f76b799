// Overflows a signed integer: UndefinedBehaviorSanitizer must say so.

#include <limits>

int main(int argc, char**) {
  volatile int most = std::numeric_limits<int>::max();
  most = most + argc;
  return 0;
}
