// Instants, durations and their conversions: the edges, and random values against 128-bit
// arithmetic.

#include "hal/time.h"

#include <algorithm>
#include <cstdint>

#include "absl/random/random.h"
#include "gtest/gtest.h"

namespace hal {
namespace {

using Wide = unsigned __int128;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr int kRounds = 200'000;

// Any magnitude is as likely as any other: uniform numbers would hardly ever be small.
uint64_t any(absl::BitGen& random) {
  return absl::Uniform<uint64_t>(random) >> absl::Uniform(random, 0, 64);
}
uint64_t any_rate(absl::BitGen& random) {
  return std::max<uint64_t>(1, absl::Uniform<uint64_t>(random) >> absl::Uniform(random, 30, 64));
}

TEST(Instants, CompareAsNumbers) {
  EXPECT_LT(Instant{1}, Instant{2});
  EXPECT_EQ(Instant{2}, Instant{2});
  EXPECT_LT(Instant{never.ticks - 1}, never);
  EXPECT_LT(never, Instant{UINT64_MAX});
}

TEST(Instants, AddUpToNever) {
  EXPECT_EQ(Instant{2} + Duration{3}, Instant{5});
  EXPECT_EQ(never + Duration{0}, never);
  EXPECT_EQ(never + Duration{1}, never);
  EXPECT_EQ(Instant{UINT64_MAX} + Duration{0}, never);
  EXPECT_EQ(Instant{never.ticks - 1} + Duration{1}, never);
  EXPECT_EQ(Instant{never.ticks - 1} + Duration{2}, never);
  EXPECT_EQ(Instant{1} + Duration{UINT64_MAX}, never);
  constexpr uint64_t kYear = uint64_t{31'557'600} * 1'000'000'000;
  EXPECT_EQ((Instant{500 * kYear} + forever).ticks, 500 * kYear + forever.ticks);
  EXPECT_LT(Instant{511 * kYear} + forever, never);
  EXPECT_GT(forever, Duration{73 * kYear});
}

TEST(Instants, AddLikeWideNumbers) {
  absl::BitGen random;
  for (int i = 0; i < kRounds; ++i) {
    const uint64_t start = any(random);
    const uint64_t length = any(random);
    const Wide sum = std::min(Wide{start} + length, Wide{never.ticks});
    EXPECT_EQ((Instant{start} + Duration{length}).ticks, static_cast<uint64_t>(sum));
  }
}

TEST(Instants, SubtractDownToZero) {
  EXPECT_EQ(Instant{5} - Instant{3}, Duration{2});
  EXPECT_EQ(Instant{3} - Instant{3}, Duration{0});
  EXPECT_EQ(Instant{3} - Instant{5}, Duration{0});
  EXPECT_EQ(never - Instant{0}, Duration{never.ticks});
}

TEST(Instants, AddWhatWasSubtracted) {
  absl::BitGen random;
  for (int i = 0; i < kRounds; ++i) {
    const uint64_t one = any(random);
    const uint64_t two = any(random);
    const Instant early{std::min({one, two, never.ticks})};
    const Instant late{std::min(std::max(one, two), never.ticks)};
    EXPECT_EQ(early + (late - early), late);
    EXPECT_EQ(early - late, Duration{});
  }
}

TEST(ToTicks, RoundsUp) {
  static_assert(to_ticks(1, 10'000'000) == Duration{1});
  static_assert(to_ticks(0, 10'000'000) == Duration{0});
  static_assert(to_ticks(100, 10'000'000) == Duration{1});
  static_assert(to_ticks(101, 10'000'000) == Duration{2});
  static_assert(to_ticks(1'500'000'000, 10'000'000) == Duration{15'000'000});
}

TEST(ToTicks, SaturatesAtForever) {
  EXPECT_EQ(to_ticks(UINT64_MAX, 1'000'000'000), forever);
  EXPECT_EQ(to_ticks(forever.ticks, 1'000'000'000), forever);
  EXPECT_EQ(to_ticks(forever.ticks - 1, 1'000'000'000), Duration{forever.ticks - 1});
  EXPECT_EQ(to_ticks(UINT64_MAX, 1), Duration{UINT64_MAX / kSecond + 1});
}

TEST(ToTicks, IsWideArithmetic) {
  absl::BitGen random;
  for (int i = 0; i < kRounds; ++i) {
    const uint64_t nanoseconds = any(random);
    const uint64_t rate = any_rate(random);
    const Wide exact = (Wide{nanoseconds} * rate + kSecond - 1) / kSecond;
    EXPECT_EQ(to_ticks(nanoseconds, rate).ticks,
              static_cast<uint64_t>(std::min(exact, Wide{forever.ticks})))
        << nanoseconds << " ns at " << rate;
  }
}

TEST(ToNanoseconds, RoundsDown) {
  static_assert(to_nanoseconds(Duration{1}, 3) == 333'333'333);
  static_assert(to_nanoseconds(Duration{15'000'000}, 10'000'000) == 1'500'000'000);
  static_assert(to_nanoseconds(Duration{0}, 10'000'000) == 0);
}

TEST(ToNanoseconds, Saturates) {
  EXPECT_EQ(to_nanoseconds(Duration{UINT64_MAX}, 1), UINT64_MAX);
  EXPECT_EQ(to_nanoseconds(Duration{UINT64_MAX / kSecond + 1}, 1), UINT64_MAX);
}

TEST(ToNanoseconds, IsWideArithmetic) {
  absl::BitGen random;
  for (int i = 0; i < kRounds; ++i) {
    const uint64_t ticks = any(random);
    const uint64_t rate = any_rate(random);
    const Wide exact = Wide{ticks} * kSecond / rate;
    EXPECT_EQ(to_nanoseconds(Duration{ticks}, rate),
              static_cast<uint64_t>(std::min(exact, Wide{UINT64_MAX})))
        << ticks << " ticks at " << rate;
  }
}

// A wait that was asked for in nanoseconds is never short.
TEST(Conversions, ThereAndBackIsNeverLess) {
  absl::BitGen random;
  for (int i = 0; i < kRounds; ++i) {
    const uint64_t nanoseconds = any(random) >> 2;
    const uint64_t rate = any_rate(random);
    const Duration ticks = to_ticks(nanoseconds, rate);
    if (ticks < forever) {
      EXPECT_GE(to_nanoseconds(ticks, rate), nanoseconds);
    }
  }
}

}  // namespace
}  // namespace hal
