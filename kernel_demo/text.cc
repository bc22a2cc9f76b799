// Fixed point, because a kernel has no floating point.

#include "kernel_demo/text.h"

namespace demo {

Text to_text(Duration length, Unit unit) {
  const uint64_t ns = to_nanoseconds(length);
  if (unit == Unit::automatic) {
    if (ns < 1'000) return Text("{} ns", ns);
    if (ns >= 1'000'000'000) {
      return Text("{}.{:02} s", ns / 1'000'000'000, ns / 10'000'000 % 100);
    }
    unit = ns < 1'000'000 ? Unit::microseconds : Unit::milliseconds;
  }
  if (unit == Unit::microseconds) return Text("{}.{:02} us", ns / 1'000, ns / 10 % 100);
  return Text("{}.{:02} ms", ns / 1'000'000, ns / 10'000 % 100);
}

Text hundredths(uint64_t count) { return Text("{}.{:02}", count / 100, count % 100); }

}  // namespace demo
