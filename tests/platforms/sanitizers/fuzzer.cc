// A fuzz target with a mistake behind a three-letter password: libFuzzer must find it.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 2 && data[0] == 'f' && data[1] == 'o' && data[2] == 'x') std::abort();
  return 0;
}
