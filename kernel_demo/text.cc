// Fixed point, because a kernel has no floating point.

#include "kernel_demo/text.h"

namespace demo {

Text to_text(Duration length, Unit unit) {
  const uint64_t ns = to_nanoseconds(length);
  if (unit == Unit::microseconds) return Text("{}.{:02} us", ns / 1'000, ns / 10 % 100);
  if (unit == Unit::milliseconds) return Text("{}.{:02} ms", ns / 1'000'000, ns / 10'000 % 100);

  // Three digits.
  const char* name = "ns";
  uint64_t scale = 1;
  if (ns >= 1'000'000'000) {
    name = "s";
    scale = 1'000'000'000;
  } else if (ns >= 1'000'000) {
    name = "ms";
    scale = 1'000'000;
  } else if (ns >= 1'000) {
    name = "us";
    scale = 1'000;
  }
  const uint64_t whole = ns / scale;
  if (scale == 1 || whole >= 100) return Text("{} {}", whole, name);
  if (whole >= 10) return Text("{}.{} {}", whole, ns * 10 / scale % 10, name);
  return Text("{}.{:02} {}", whole, ns * 100 / scale % 100, name);
}

Text hundredths(uint64_t count) { return Text("{}.{:02}", count / 100, count % 100); }

}  // namespace demo
