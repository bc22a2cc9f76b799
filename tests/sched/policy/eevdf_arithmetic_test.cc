// Earliest eligible virtual deadline first at the ends of its arithmetic.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/weight.h"
#include "tests/sched/policy/eevdf_kit.h"

namespace sched::test {
namespace {

using Attributes = Eevdf::Attributes;

struct Crowd : Mechanism {
  explicit Crowd(size_t count) : entities(count) {}

  void enter(size_t e, const Attributes& attributes, Enter why = Enter::created) {
    ASSERT_TRUE(policy.attach(detached(entities[e]), attributes));
    ASSERT_EQ(policy.enqueue(entities[e], why, at(now)), Links::intact);
  }
  // A turn of `length`, or of as long as it may be.
  Eevdf::Entity& turn(std::optional<uint64_t> length = std::nullopt) {
    const auto [entity, until] = policy.pick(at(now));
    const uint64_t end = length ? now + *length : until.ticks;
    policy.ran(*entity, at(now), at(end));
    now = end;
    EXPECT_EQ(policy.put_back(*entity, Pause::timed_out, at(now)), Links::intact);
    return *entity;
  }
  Int128 sum_of_lags() const {
    Int128 sum = 0;
    for (const Eevdf::Entity& entity : entities) sum += policy.lag(entity);
    return sum;
  }

  Eevdf policy;
  std::vector<Eevdf::Entity> entities;
  uint64_t now = 1;
};

TEST(EevdfArithmetic, HoldsAMillionTasksOfTheLargestWeight) {
  constexpr size_t kMany = size_t{1} << 20;
  constexpr uint64_t kLong = uint64_t{1} << 24;
  Crowd crowd(kMany);
  set_up(crowd.policy, kLong, kLong);
  for (size_t e = 0; e < kMany; ++e) crowd.enter(e, {.weight = kMaxWeight});
  // A turn each: their clocks have advanced by 2^44 times the weights together.
  for (size_t e = 0; e < kMany; ++e) {
    ASSERT_EQ(&crowd.turn(), &crowd.entities[e]);
    if (e == kMany / 2 - 1) {
      EXPECT_EQ(crowd.policy.lag(crowd.entities[0]), -static_cast<int64_t>(kLong / 2) * kTick);
      EXPECT_EQ(crowd.policy.lag(crowd.entities[kMany - 1]),
                static_cast<int64_t>(kLong / 2) * kTick);
    }
  }
  for (const Eevdf::Entity& entity : crowd.entities) ASSERT_EQ(crowd.policy.lag(entity), 0);
}

TEST(EevdfArithmetic, HoldsTheExtremeWeightsBesideEachOther) {
  constexpr size_t kMany = 2048;
  for (const Duration slice : {ticks(1), ticks(1000), Eevdf::kLongestSlice}) {
    Crowd crowd(kMany);
    crowd.policy.set_virtual_time({uint64_t{1} << 63});
    crowd.policy.set_quantum(slice);
    crowd.policy.set_slice(slice);
    Int128 load = 0;
    for (size_t e = 0; e < kMany; ++e) {
      const Weight weight = e % 2 == 0 ? 1 : kMaxWeight;
      crowd.enter(e, {.weight = weight});
      load += weight;
    }
    for (int turn = 0; turn < 5000; ++turn) crowd.turn();
    const Int128 sum = crowd.sum_of_lags();
    EXPECT_LE(sum, 0);
    EXPECT_GT(sum, -load);
    const int64_t bound = static_cast<int64_t>(slice.ticks) * kTick;
    for (const Eevdf::Entity& entity : crowd.entities) {
      ASSERT_LE(crowd.policy.lag(entity), bound);
      ASSERT_GE(crowd.policy.lag(entity), -bound);
    }
  }
}

TEST(EevdfArithmetic, SurvivesTurnsThatLastForHours) {
  constexpr uint64_t kHour = kLongestCharge.ticks;
  for (const Weight weight : {Weight{1}, kNormalWeight, kMaxWeight}) {
    Crowd crowd(8);
    for (size_t e = 0; e < 7; ++e) crowd.enter(e, {.weight = e < 4 ? weight : kNormalWeight});
    for (int turn = 0; turn < 1000; ++turn) {
      const int64_t before = crowd.policy.lag(*crowd.policy.pick(at(crowd.now)).entity);
      const uint64_t length = turn % 3 == 0 ? kHour : turn % 3 == 1 ? 2 * kHour : 1;
      ASSERT_LE(crowd.policy.lag(crowd.turn(length)), before) << turn;
      // Many charges in one turn, with nothing that makes the reference follow.
      for (int charge = 0; charge < 3 && turn % 100 == 0; ++charge) {
        const auto current = crowd.policy.pick(at(crowd.now)).entity;
        crowd.policy.ran(*current, at(crowd.now), at(crowd.now + kHour));
        crowd.now += kHour;
      }
    }
    // A task that comes now has no lag, and nobody waits for ever.
    crowd.enter(7, {.weight = weight});
    EXPECT_EQ(crowd.policy.lag(crowd.entities[7]), 0);
  }
}

TEST(EevdfArithmetic, RunsATaskAloneForAsLongAsAnyMachineRuns) {
  for (const Weight weight : {Weight{1}, kMaxWeight}) {
    Crowd crowd(2);
    set_up(crowd.policy, 10, 10);
    crowd.enter(0, {.weight = weight});
    for (int turn = 0; turn < 1000; ++turn) crowd.turn(uint64_t{1} << 50);
    crowd.enter(1, {.weight = weight});
    EXPECT_EQ(crowd.policy.lag(crowd.entities[0]), 0);
    EXPECT_EQ(crowd.policy.lag(crowd.entities[1]), 0);
    for (int turn = 0; turn < 10; ++turn) {
      EXPECT_EQ(&crowd.turn(), &crowd.entities[turn % 2 == 0 ? 1 : 0]);
    }
  }
}

TEST(EevdfArithmetic, SchedulesTheSameWhereverTheClocksBegin) {
  const auto schedule = [](uint64_t start) {
    Crowd crowd(20);
    crowd.policy.set_virtual_time({start});
    set_up(crowd.policy, 50, 50);
    for (size_t e = 0; e < 20; ++e) {
      crowd.enter(e, {.weight = static_cast<Weight>(1 + e * 100), .slice = ticks(1 + e * 7)});
    }
    std::vector<size_t> order;
    for (int turn = 0; turn < 2000; ++turn) {
      order.push_back(static_cast<size_t>(&crowd.turn() - crowd.entities.data()));
    }
    return order;
  };
  const std::vector<size_t> expected = schedule(0);
  for (const uint64_t end : {uint64_t{1} << 63, uint64_t{0}}) {
    for (const uint64_t before : {1, 1000, 100'000, 10'000'000}) {
      EXPECT_EQ(schedule(end - before), expected) << before << " before " << end;
    }
  }
}

// How far the average is from where the clocks began, zero.
int64_t way_of(const Eevdf& policy) { return (policy.virtual_time() - VirtualTime{}).units; }

// Many light tasks, one after the other, each bring along all the credit that there may be, and go
// when the next ones have used it up by coming. One that stays has to let them all go first: each
// time the average falls further below its clock, to 512 * 2^52 below it if nothing stopped that.
TEST(EevdfArithmetic, KeepsTheAverageWithinReachWhateverLagTasksBringAlong) {
  Crowd elsewhere(2);
  elsewhere.policy.set_quantum(Eevdf::kLongestSlice);
  for (size_t e = 0; e < 2; ++e) elsewhere.enter(e, {.weight = 1, .slice = Eevdf::kLongestSlice});
  ASSERT_EQ(&elsewhere.turn(4 * Eevdf::kLongestSlice.ticks), &elsewhere.entities[0]);
  Eevdf::Entity& credited = elsewhere.entities[1];
  ASSERT_EQ(elsewhere.policy.dequeue(credited, Leave::moved, at(2)), Links::intact);
  ASSERT_EQ(elsewhere.policy.lag(credited), static_cast<int64_t>(UINT32_MAX) * kTick);

  constexpr size_t kMany = 512;
  Crowd crowd(kMany + 1);
  crowd.policy.set_quantum(Eevdf::kLongestSlice);
  crowd.enter(kMany, {.weight = 1});
  const Eevdf::Entity& stays = crowd.entities[kMany];
  int64_t lowest = 0;
  for (size_t i = 0; i < 400 * kMany; ++i) {
    Eevdf::Entity& next = crowd.entities[i % kMany];
    if (i >= kMany) {
      ASSERT_EQ(crowd.policy.dequeue(next, Leave::moved, at(1)), Links::intact);
    }
    next = credited;
    crowd.enter(i % kMany, {.weight = 1, .slice = Eevdf::kLongestSlice}, Enter::moved);
    ASSERT_LT(crowd.policy.lag(stays), 0) << i;
    lowest = std::min(lowest, way_of(crowd.policy));
  }
  EXPECT_EQ(lowest, -(int64_t{1} << 60));
  EXPECT_NE(crowd.policy.pick(at(2)).entity, &stays);
}

// A guard that lasts for a month: one waits, at zero, while the other is charged again and again.
TEST(EevdfArithmetic, KeepsTheAverageWithinReachOfWhoWaitsWhateverOneUses) {
  Crowd crowd(2);
  for (size_t e = 0; e < 2; ++e) crowd.enter(e, {.weight = e == 0 ? kNormalWeight : 1});
  Eevdf::Entity& current = *crowd.policy.pick(at(1)).entity;
  ASSERT_EQ(&current, &crowd.entities[0]);
  for (int charge = 0; charge < 2000; ++charge) {
    crowd.policy.ran(current, at(crowd.now), at(crowd.now + kLongestCharge.ticks));
    crowd.now += kLongestCharge.ticks;
  }
  EXPECT_EQ(way_of(crowd.policy), int64_t{1} << 60);
  EXPECT_LT(crowd.policy.lag(current), 0);
  ASSERT_EQ(crowd.policy.put_back(current, Pause::timed_out, at(crowd.now)), Links::intact);
  EXPECT_EQ(crowd.policy.pick(at(crowd.now)).entity, &crowd.entities[1]);
}

// 2^62 units would take the average of 16 to 2^58; 2^60 beyond that the charge ends.
TEST(EevdfArithmetic, ChargesALightTaskForNoMoreThanWithinReach) {
  Crowd crowd(16);
  for (size_t e = 0; e < 16; ++e) crowd.enter(e, {.weight = 1});
  crowd.turn(kLongestCharge.ticks);
  EXPECT_EQ(way_of(crowd.policy), ((int64_t{1} << 58) + (int64_t{1} << 60)) / 16);
  ASSERT_EQ(crowd.policy.dequeue(crowd.entities[0], Leave::exited, at(crowd.now)), Links::intact);
  EXPECT_EQ(way_of(crowd.policy), 0);  // of the others
}

TEST(EevdfArithmetic, VoidsDebtsWhereTheNumberOfABusyPeriodWraps) {
  Crowd crowd(2);
  for (int period = 0; period < 70'000; ++period) {
    for (size_t e = 0; e < 2; ++e) crowd.enter(e, {});
    Eevdf::Entity& first = *crowd.policy.pick(at(crowd.now)).entity;
    crowd.policy.ran(first, at(crowd.now), at(crowd.now + 100));
    crowd.now += 100;
    ASSERT_EQ(crowd.policy.dequeue(first, Leave::blocked, at(crowd.now)), Links::intact);
    ASSERT_EQ(crowd.policy.lag(first), -100 * kTick) << period;
    Eevdf::Entity& second = *crowd.policy.pick(at(crowd.now)).entity;
    ASSERT_EQ(crowd.policy.dequeue(second, Leave::exited, at(crowd.now)), Links::intact);
    ASSERT_EQ(crowd.policy.lag(first), 0) << period;
  }
}

}  // namespace
}  // namespace sched::test
