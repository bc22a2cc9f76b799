// Shares of a CPU, and the division that they are made with.

#include "sched/policy/bandwidth.h"

#include <cstdint>
#include <random>

#include "gtest/gtest.h"

namespace sched {
namespace {

constexpr Duration ticks(uint64_t count) { return {count}; }

static_assert(bandwidth(ticks(1), ticks(1)) == kWholeCpu);
static_assert(bandwidth(ticks(1), ticks(4)).units == kWholeCpu.units / 4);
static_assert(bandwidth(ticks(uint64_t{1} << 60), ticks(uint64_t{1} << 60)) == kWholeCpu);
static_assert(bandwidth(ticks(1), ticks(uint64_t{1} << 60)).units == 4);
static_assert(mul_div(UINT64_MAX, UINT64_MAX, UINT64_MAX) == UINT64_MAX);
static_assert(mul_div(UINT64_MAX, UINT64_MAX, UINT64_MAX - 1) == UINT64_MAX);  // does not fit
static_assert(mul_div(0, 7, 9) == 0);

TEST(Divide, AgreesWithTheCompilersOwn) {
  std::mt19937_64 random(1);
  // Numbers of all lengths, with runs of ones and zeros, where estimated digits are wrong most.
  const auto number = [&random] {
    switch (random() % 4) {
      case 0: return random() >> random() % 64;
      case 1: return UINT64_MAX >> random() % 64;
      case 2: return UINT64_MAX << random() % 64;
      default: return (uint64_t{1} << random() % 64) - 1 + random() % 3;
    }
  };
  for (int i = 0; i < 2'000'000; ++i) {
    const Wide dividend = Wide{number()} << 64 | number();
    const uint64_t divisor = number();
    if (divisor == 0) continue;
    const Wide quotient = dividend / divisor;
    ASSERT_EQ(divide(dividend, divisor),
              quotient > UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(quotient))
        << static_cast<uint64_t>(dividend >> 64) << " " << static_cast<uint64_t>(dividend) << " / "
        << divisor;
  }
}

TEST(Bandwidth, OfPartsIsNeverMoreThanOfTheWhole) {
  for (uint64_t parts = 1; parts < 1000; ++parts) {
    const uint64_t sum = parts * bandwidth(ticks(1), ticks(parts)).units;
    EXPECT_LE(sum, kWholeCpu.units);
    EXPECT_GT(sum + parts, kWholeCpu.units);
  }
}

}  // namespace
}  // namespace sched
