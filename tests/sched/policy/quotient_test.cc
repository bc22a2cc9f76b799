// The division of 128 bits by few, beside the compiler's.

#include "sched/policy/quotient.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

int64_t expected(Int128 dividend, uint64_t divisor) {
  const Int128 by = static_cast<Int128>(divisor);
  return static_cast<int64_t>(dividend / by - (dividend % by < 0));
}

TEST(Quotient, RoundsDownOnBothSidesOfZero) {
  EXPECT_EQ(floor_quotient(7, 2), 3);
  EXPECT_EQ(floor_quotient(-7, 2), -4);
  EXPECT_EQ(floor_quotient(-8, 2), -4);
  EXPECT_EQ(floor_quotient(-1, uint64_t{1} << 48), -1);
  EXPECT_EQ(floor_quotient(0, 1), 0);
}

TEST(Quotient, IsRightAtTheEndsOf64Bits) {
  for (const uint64_t divisor : {uint64_t{1}, uint64_t{2}, uint64_t{3}, uint64_t{1} << 20,
                                 (uint64_t{1} << 48) - 1, uint64_t{1} << 48}) {
    for (const Int128 end : {Int128{INT64_MIN}, Int128{INT64_MAX}, Int128{UINT64_MAX}}) {
      for (int off = -3; off <= 3; ++off) {
        const Int128 dividend = end + off;
        const Int128 quotient = dividend / static_cast<Int128>(divisor);
        if (quotient <= INT64_MIN || quotient >= INT64_MAX) continue;
        EXPECT_EQ(floor_quotient(dividend, divisor), expected(dividend, divisor));
      }
    }
  }
}

TEST(Quotient, IsRightOfWhateverFits) {
  std::mt19937_64 gen = generator(1);
  for (int i = 0; i < 200'000; ++i) {
    const uint64_t divisor = std::max<uint64_t>(1, gen() >> absl::Uniform(gen, 16, 64));
    const int64_t quotient = static_cast<int64_t>(gen()) >> absl::Uniform(gen, 1, 63);
    const uint64_t rest = gen() % divisor;
    const Int128 dividend =
        Int128{quotient} * static_cast<int64_t>(divisor) + static_cast<int64_t>(rest);
    ASSERT_EQ(floor_quotient(dividend, divisor), quotient) << i;
  }
}

}  // namespace
}  // namespace sched::test
