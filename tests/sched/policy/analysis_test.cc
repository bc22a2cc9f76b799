// The analysis of real-time tasks: what it says at compile time, at the ends of its numbers, and of
// sets that are on the edge. Beside schedules that are played: tests/sched/theory_test.cc

#include "sched/policy/analysis.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace sched {
namespace {

constexpr Duration ticks(uint64_t count) { return {count}; }
constexpr RealTimeTask task(uint64_t runtime, uint64_t period, uint64_t deadline = 0) {
  return {ticks(runtime), ticks(deadline == 0 ? period : deadline), ticks(period)};
}
using Set = std::vector<RealTimeTask>;

// --- At compile time, as a kernel uses it ---

constexpr std::array kTasks = {task(100, 350), task(20, 100), task(40, 150)};
constexpr auto kPriorities = [] {
  std::array<uint16_t, kTasks.size()> priorities{};
  assign(Monotonic::rate, kTasks, priorities, 99);
  return priorities;
}();
static_assert(kPriorities == std::array<uint16_t, 3>{97, 99, 98});
static_assert(meets_deadlines(kTasks, kPriorities));
static_assert(response_time(kTasks, kPriorities, 0, ticks(350)) == ticks(240));
static_assert(!response_time(kTasks, kPriorities, 0, ticks(239)));
static_assert(demand_fits(kTasks) == Verdict::holds);

TEST(Assign, OrdersByPeriodOrDeadlineAndEqualOnesByTheirPlace) {
  const Set set = {task(1, 20, 5), task(1, 10, 10), task(1, 20, 6), task(1, 10, 5)};
  std::array<uint16_t, 4> priorities{};
  ASSERT_TRUE(assign(Monotonic::rate, set, priorities));
  EXPECT_EQ(priorities, (std::array<uint16_t, 4>{253, 255, 252, 254}));
  ASSERT_TRUE(assign(Monotonic::deadline, set, priorities));
  EXPECT_EQ(priorities, (std::array<uint16_t, 4>{255, 252, 253, 254}));
  ASSERT_TRUE(assign(Monotonic::deadline, set, priorities, 3));
  EXPECT_EQ(priorities, (std::array<uint16_t, 4>{3, 0, 1, 2}));
}

TEST(Assign, RefusesWhatDoesNotFit) {
  const Set set = {task(1, 20), task(1, 10)};
  std::array<uint16_t, 2> priorities = {7, 8};
  EXPECT_FALSE(assign(Monotonic::rate, set, priorities, 0));
  EXPECT_FALSE(assign(Monotonic::rate, set, std::span(priorities).first(1)));
  EXPECT_EQ(priorities, (std::array<uint16_t, 2>{7, 8}));
  EXPECT_TRUE(assign(Monotonic::rate, {}, {}, 0));
}

TEST(ResponseTime, CountsEqualPrioritiesAsHigher) {
  const Set set = {task(2, 10), task(3, 10), task(1, 10)};
  const std::array<uint16_t, 3> priorities = {5, 5, 4};
  EXPECT_EQ(response_time(set, priorities, 0, ticks(10)), ticks(5));
  EXPECT_EQ(response_time(set, priorities, 1, ticks(10)), ticks(5));
  EXPECT_EQ(response_time(set, priorities, 2, ticks(10)), ticks(6));
}

TEST(ResponseTime, EndsWhereThereIsNone) {
  const std::array<uint16_t, 3> priorities = {3, 2, 1};
  EXPECT_EQ(response_time(Set{task(5, 10), task(5, 10), task(1, 100)}, priorities, 2, ticks(1'000)),
            std::nullopt);
  // Work that does not fit into any number.
  const uint64_t large = forever.ticks;
  EXPECT_EQ(response_time(Set{task(large, large), task(large - 1, large), task(large, large)},
                          priorities, 2, forever),
            std::nullopt);
  EXPECT_EQ(response_time(Set{task(large, 1), task(large, 1), task(large, 1)}, priorities, 2,
                          ticks(UINT64_MAX - 1)),
            std::nullopt);
  EXPECT_EQ(response_time(Set{task(large / 4, large), task(large / 4, large), task(1, large)},
                          priorities, 2, forever),
            ticks(large / 2 + 1));
}

TEST(Utilisation, IsExactWhereItIsOne) {
  EXPECT_EQ(utilisation_fits(Set{}), Verdict::holds);
  EXPECT_EQ(utilisation_fits(Set{task(1, 3), task(1, 3), task(1, 3)}), Verdict::holds);
  EXPECT_EQ(utilisation_fits(Set{task(1, 2), task(1, 3), task(1, 6)}), Verdict::holds);
  // One part in 10^18 above it, and below.
  const uint64_t large = 1'000'000'000'000'000'000;
  EXPECT_EQ(utilisation_fits(Set{task(large / 2, large), task(large / 2 + 1, large)}),
            Verdict::fails);
  EXPECT_EQ(utilisation_fits(Set{task(large / 2, large), task(large / 2 - 1, large)}),
            Verdict::holds);
  EXPECT_EQ(utilisation_fits(Set{task(3, 2)}), Verdict::fails);
  EXPECT_EQ(utilisation_fits(Set{task(forever.ticks, 1)}), Verdict::fails);
}

TEST(Utilisation, SaysWhereItCannotTell) {
  // Coprime periods near 2^61, and shares that sum up to one, but for less than can be told.
  const uint64_t p = (uint64_t{1} << 61) - 1;
  const uint64_t q = p - 2;
  const Set set = {task((p - 1) / 2, p), task((q + 1) / 2, q)};
  EXPECT_EQ(utilisation_fits(set), Verdict::undecided);
  EXPECT_EQ(demand_fits(set), Verdict::undecided);
}

TEST(Demand, IsWhatIsDue) {
  const Set set = {task(2, 6, 4), task(2, 8, 5), task(3, 9, 7)};
  EXPECT_EQ(demand(set, ticks(3)), ticks(0));
  EXPECT_EQ(demand(set, ticks(4)), ticks(2));
  EXPECT_EQ(demand(set, ticks(22)), ticks(20));
  EXPECT_EQ(deadline_before(set, ticks(4)), std::nullopt);
  EXPECT_EQ(deadline_before(set, ticks(5)), ticks(4));
  EXPECT_EQ(deadline_before(set, ticks(22)), ticks(21));
  EXPECT_EQ(demand(Set{task(forever.ticks, 1), task(1, 1)}, ticks(UINT64_MAX)), ticks(UINT64_MAX));
}

TEST(Demand, FailsByATick) {
  EXPECT_EQ(demand_fits(Set{task(2, 4, 2), task(2, 4)}), Verdict::holds);
  EXPECT_EQ(demand_fits(Set{task(2, 4, 2), task(2, 4, 3)}), Verdict::fails);
  EXPECT_EQ(demand_fits(Set{task(1, 2, 1), task(1, 2, 1)}), Verdict::fails);
  EXPECT_EQ(demand_fits(Set{}), Verdict::holds);
  // Missed, or not, by a tick in a million.
  const uint64_t million = 1'000'000;
  EXPECT_EQ(demand_fits(Set{task(million / 2, million, million - 2), task(1, 2)}), Verdict::fails);
  EXPECT_EQ(demand_fits(Set{task(million / 2 - 1, million, million - 2), task(1, 2)}),
            Verdict::holds);
}

TEST(Demand, SaysWhereItHasNotLookedFarEnough) {
  const Set set = {task(2, 6, 4), task(2, 8, 5), task(3, 9, 7)};
  EXPECT_EQ(demand_fits(set, 1), Verdict::undecided);
  EXPECT_EQ(demand_fits(set), Verdict::holds);
}

TEST(Demand, TakesLongPeriodsInItsStride) {
  const uint64_t large = uint64_t{1} << 60;
  EXPECT_EQ(demand_fits(Set{task(large / 2, large, large / 2), task(large / 4, large)}, 100),
            Verdict::holds);
  EXPECT_EQ(demand_fits(Set{task(large / 2, large, large / 2), task(1, large, large / 2)}, 100),
            Verdict::fails);
  EXPECT_EQ(demand_fits(Set{task(1, large, 1), task(1, 3), task(1, 3, 2)}, 1000), Verdict::holds);
}

// By the definition, at every instant up to the common multiple of the periods and beyond.
TEST(Demand, AgreesWithALookAtEveryInstant) {
  std::mt19937_64 random(7);
  constexpr std::array<uint64_t, 7> kPeriods = {3, 4, 5, 6, 8, 10, 12};
  int holds = 0;
  for (int round = 0; round < 5000; ++round) {
    Set set;
    for (size_t n = 1 + random() % 5; n != 0; --n) {
      const uint64_t period = kPeriods[random() % kPeriods.size()];
      const uint64_t runtime = 1 + random() % (period / 3 + 1);
      set.push_back(task(runtime, period, runtime + random() % (period - runtime + 1)));
    }
    bool fits = true;
    uint64_t used = 0;
    for (const RealTimeTask& t : set) used += t.runtime.ticks * 120 / t.period.ticks;
    if (used > 120) fits = false;
    for (uint64_t end = 1; end <= 240; ++end) {
      if (demand(set, ticks(end)).ticks > end) fits = false;
    }
    ASSERT_EQ(demand_fits(set), fits ? Verdict::holds : Verdict::fails) << "round " << round;
    holds += fits;
  }
  EXPECT_GT(holds, 1000);
  EXPECT_LT(holds, 4000);
}

}  // namespace
}  // namespace sched
