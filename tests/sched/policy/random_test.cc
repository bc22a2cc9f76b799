// The generator: known numbers, and that no number below a bound is favoured.

#include "sched/policy/random.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sched::test {
namespace {

TEST(Random, GivesTheNumbersOfSplitMix64) {
  Random random(1234567);
  for (const uint64_t expected : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                  4593380528125082431u, 16408922859458223821u}) {
    EXPECT_EQ(random.next(), expected);
  }
}

TEST(Random, IsEvaluatedByACompilerToo) {
  static constexpr uint64_t kNumber = [] {
    Random random(1234567);
    return random.below(1000);
  }();
  Random random(1234567);
  EXPECT_EQ(kNumber, random.below(1000));
}

TEST(Random, StaysBelowTheBound) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(random.below(1), 0u);
    EXPECT_LT(random.below(3), 3u);
    EXPECT_LT(random.below(UINT64_MAX), UINT64_MAX);
  }
}

double chi_square(const std::array<int, 3>& hits, int draws) {
  double sum = 0;
  for (const int count : hits) {
    const double error = count - draws / 3.0;
    sum += error * error / (draws / 3.0);
  }
  return sum;
}

// With a bound of 3/4 of 2^64 the remainder of a number falls into the lowest third twice as often
// as into the others, and the upper word of the product, if none is left out, is twice as often
// divisible by three.
TEST(Random, FavoursNoNumber) {
  constexpr uint64_t kThird = uint64_t{1} << 62;
  constexpr int kDraws = 90'000;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::array<int, 3> thirds{};
    std::array<int, 3> remainders{};
    for (int i = 0; i < kDraws; ++i) {
      const uint64_t number = random.below(3 * kThird);
      ++thirds[static_cast<size_t>(number / kThird)];
      ++remainders[static_cast<size_t>(number % 3)];
    }
    // One in a thousand seeds has more, of 2 degrees of freedom.
    EXPECT_LT(chi_square(thirds, kDraws), 13.8);
    EXPECT_LT(chi_square(remainders, kDraws), 13.8);
  }
}

// Small enough to see every product: 16-bit numbers in the place of 64-bit ones, by the same rule.
TEST(Random, RuleLeavesEachResultEquallyManyNumbers) {
  for (uint32_t bound = 1; bound <= 300; ++bound) {
    std::vector<uint32_t> results(bound);
    const uint32_t left_out = 65536 % bound;
    for (uint32_t number = 0; number < 65536; ++number) {
      const uint32_t product = number * bound;
      if (product % 65536 >= left_out) ++results[product / 65536];
    }
    for (const uint32_t count : results) ASSERT_EQ(count, 65536 / bound) << bound;
  }
}

}  // namespace
}  // namespace sched::test
