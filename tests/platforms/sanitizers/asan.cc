// Reads one element past an array on the heap: AddressSanitizer must say so.

#include <memory>

int main(int argc, char**) {
  const auto numbers = std::make_unique<int[]>(4);
  const volatile int* past = numbers.get() + 4 * argc;
  return *past;
}
