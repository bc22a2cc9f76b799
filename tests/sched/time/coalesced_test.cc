// The instant of a window for which timers are armed that have slack.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <random>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "hal/time.h"
#include "sched/time/timer_queue.h"
#include "tests/sched/time/timer_kit.h"

namespace sched::test {
namespace {

TEST(Coalesced, IsTheRoundestOfItsWindow) {
  const auto zeros = [](uint64_t instant) { return std::countr_zero(instant); };
  for (uint64_t when = 0; when < 300; ++when) {
    for (uint64_t slack = 0; slack < 300; ++slack) {
      uint64_t roundest = when;
      for (uint64_t i = when; i <= when + slack; ++i) {
        if (zeros(i) > zeros(roundest)) roundest = i;
      }
      ASSERT_EQ(coalesced(at(when), ticks(slack)), at(roundest)) << when << " + " << slack;
    }
  }
}

TEST(Coalesced, StaysInAWindowOfAnySize) {
  std::mt19937_64 gen(1);
  for (int i = 0; i < 10000; ++i) {
    const Instant when = at(std::min(gen() >> absl::Uniform(gen, 0, 64), never.ticks));
    const Duration slack = ticks(gen() >> absl::Uniform(gen, 0, 64));
    const Instant chosen = coalesced(when, slack);
    ASSERT_GE(chosen, when);
    ASSERT_LE(chosen, when + slack);
    // No rounder one: the next and the last that are, are outside.
    if (chosen.ticks == 0) continue;
    const uint64_t rounder = uint64_t{2} << std::countr_zero(chosen.ticks);
    if (rounder == 0) continue;
    ASSERT_LT(chosen.ticks & ~(rounder - 1), when.ticks);
    const uint64_t after = (chosen.ticks | (rounder - 1)) + 1;
    if (after != 0) {
      ASSERT_GT(at(after), when + slack);
    }
  }
}

TEST(Coalesced, IsTheInstantItselfWithoutSlack) {
  for (const Instant when : {at(0), at(1), at(12345), kLast, never}) {
    EXPECT_EQ(coalesced(when, ticks(0)), when);
  }
}

TEST(Coalesced, IsSharedByWindowsThatBothHaveTheRoundestOfThem) {
  std::mt19937_64 gen(1);
  int shared = 0;
  for (int i = 0; i < 10000; ++i) {
    const Instant one = at(absl::Uniform<uint64_t>(gen, 1'000'000, 1'001'000));
    const Instant other = at(absl::Uniform<uint64_t>(gen, 1'000'000, 1'001'000));
    const Duration slack = ticks(1000);
    const Instant first = std::min(one, other);
    const Instant roundest = coalesced(first, std::max(one, other) + slack - first);
    if (roundest < std::max(one, other) || roundest > first + slack) continue;
    ++shared;
    ASSERT_EQ(coalesced(one, slack), roundest);
    ASSERT_EQ(coalesced(other, slack), roundest);
  }
  EXPECT_GT(shared, 4000);
}

TEST(Coalesced, EndsAtNever) {
  EXPECT_EQ(coalesced(never, ticks(UINT64_MAX)), never);
  EXPECT_EQ(coalesced(at(UINT64_MAX), ticks(5)), never);
  EXPECT_EQ(coalesced(at(1), ticks(UINT64_MAX)), at(uint64_t{1} << 63));
}

TEST(Coalesced, ClearsAllLowerBits) {
  for (int bit = 1; bit < 63; ++bit) {
    const uint64_t round = uint64_t{1} << bit;
    EXPECT_EQ(coalesced(at(2), ticks(round - 1)), at(round)) << bit;
  }
}

}  // namespace
}  // namespace sched::test
