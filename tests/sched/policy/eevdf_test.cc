// Earliest eligible virtual deadline first: alone, against a model that adds up all clocks anew at
// every question, against the theory's bounds, against tasks that try to game it, and at the ends
// of its arithmetic.

#include "sched/policy/eevdf.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/quotient.h"
#include "sched/policy/weight.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {
namespace {

using H = Harness<Eevdf>;
using W = Workload<Eevdf>;
using Attributes = Eevdf::Attributes;

constexpr int64_t kTick = int64_t{1} << 20;  // a tick of lag

constinit Eevdf policy_at_start;
constinit Eevdf::Entity entity_at_start;

TEST(Eevdf, IsConstantInitialisedAndThisLarge) {
  EXPECT_EQ(policy_at_start.pick(at(1)).entity, nullptr);
  EXPECT_EQ(policy_at_start.attributes(entity_at_start), Attributes{});
  EXPECT_EQ(sizeof(Eevdf::Entity), 112u);
  EXPECT_EQ(sizeof(Eevdf), 128u);
}

void set_up(Eevdf& policy, uint64_t quantum, uint64_t slice) {
  policy.set_quantum(ticks(quantum));
  policy.set_slice(ticks(slice));
}

int64_t lag(const H& h, int e) { return h.policy.lag(h.entities[static_cast<size_t>(e)]); }

uint64_t field_of(const H& h, int e, const std::string& name) {
  uint64_t result = UINT64_MAX;
  h.policy.dump(h.entities[static_cast<size_t>(e)], [&](const char* field, uint64_t value) {
    if (field == name) result = value;
  });
  return result;
}

// --- Attributes ---

TEST(Eevdf, RefusesWhatIsOutOfRangeAndKeepsTheOldValues) {
  H h;
  ASSERT_TRUE(h.attach(0, {.weight = 7, .slice = ticks(9)}));
  EXPECT_FALSE(h.attach(0, {.weight = 0}));
  EXPECT_FALSE(h.attach(0, {.weight = kMaxWeight + 1}));
  EXPECT_FALSE(h.attach(0, {.slice = ticks(Eevdf::kLongestSlice.ticks + 1)}));
  EXPECT_FALSE(h.attach(0, {.slice = forever}));
  EXPECT_EQ(h.attributes(0), (Attributes{.weight = 7, .slice = ticks(9)}));
  EXPECT_TRUE(h.attach(0, {.weight = 1, .slice = ticks(1)}));
  EXPECT_TRUE(h.attach(0, {.weight = kMaxWeight, .slice = Eevdf::kLongestSlice}));
  EXPECT_TRUE(h.attach(0));
  EXPECT_EQ(h.attributes(0), (Attributes{.weight = kNormalWeight, .slice = {}}));
}

// --- Who runs, and until when ---

TEST(Eevdf, HasNobodyToRunAtFirst) {
  H h;
  EXPECT_EQ(h.pick(), (H::Answer{H::kNobody, never}));
}

TEST(Eevdf, RunsATaskThatIsAloneWithoutATimer) {
  H h;
  set_up(h.policy, 10, 10);
  h.add(0);
  EXPECT_EQ(h.pick(at(1)), (H::Answer{0, never}));
  EXPECT_FALSE(h.policy.has_peer(h.entities[0]));
  h.ran(0, at(1), at(104));
  h.add(1);
  EXPECT_TRUE(h.policy.has_peer(h.entities[0]));
  EXPECT_EQ(lag(h, 0), 0);  // nobody has missed what it used
  EXPECT_EQ(lag(h, 1), 0);
}

TEST(Eevdf, RunsEqualsInOrderOfArrivalASliceEach) {
  H h;
  set_up(h.policy, 10, 10);
  for (const int e : {2, 0, 1}) h.add(e);
  EXPECT_EQ(h.pick(at(1)), (H::Answer{2, at(11)}));
  EXPECT_EQ(h.drain(), (std::vector<int>{2, 0, 1}));
}

TEST(Eevdf, RunsTheShorterRequestFirstOfEqualWeightsAndTheHeavierOfEqualRequests) {
  H h;
  set_up(h.policy, 10, 10);
  h.add(0, {.weight = 1000, .slice = ticks(30)});
  h.add(1, {.weight = 1000, .slice = ticks(20)});
  h.add(2, {.weight = 2000, .slice = ticks(30)});
  EXPECT_EQ(h.drain(), (std::vector<int>{2, 1, 0}));
}

TEST(Eevdf, PassesOverAnEarlierDeadlineThatIsNotEligible) {
  H h;
  set_up(h.policy, 100, 100);
  h.add(0, {.slice = ticks(10)});
  h.add(1, {.slice = ticks(100)});
  ASSERT_EQ(h.pick(at(1)), (H::Answer{0, at(11)}));
  h.ran(0, at(1), at(11));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(11)), Links::intact);
  // Its next deadline is 20, still before the other's 100; but it has had 10, and 5 are its share.
  EXPECT_EQ(lag(h, 0), -5 * kTick);
  EXPECT_EQ(lag(h, 1), 5 * kTick);
  EXPECT_EQ(h.pick(at(11)), (H::Answer{1, at(111)}));
}

TEST(Eevdf, EndsATurnAfterAQuantumThoughMoreWasAskedFor) {
  H h;
  set_up(h.policy, 10, 25);
  h.add(0);
  h.add(1);
  EXPECT_EQ(h.pick(at(1)), (H::Answer{0, at(11)}));
  h.ran(0, at(1), at(11));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(11)), Links::intact);
  EXPECT_EQ(h.pick(at(11)), (H::Answer{1, at(21)}));
  h.ran(1, at(11), at(21));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(21)), Links::intact);
  EXPECT_EQ(h.pick(at(21)), (H::Answer{0, at(31)}));
  h.ran(0, at(21), at(31));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(31)), Links::intact);
  EXPECT_EQ(h.pick(at(31)), (H::Answer{1, at(41)}));
  h.ran(1, at(31), at(41));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(41)), Links::intact);
  EXPECT_EQ(h.pick(at(41)), (H::Answer{0, at(46)}));  // what is left of 25
}

TEST(Eevdf, GoesOnWithATurnThatTheKernelInterrupts) {
  H h;
  set_up(h.policy, 10, 10);
  h.add(0);
  h.add(1);
  ASSERT_EQ(h.pick(at(1)), (H::Answer{0, at(11)}));
  h.ran(0, at(1), at(8));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(8)), Links::intact);
  EXPECT_EQ(h.pick(at(9)), (H::Answer{0, at(12)}));
  h.ran(0, at(9), at(13));  // the timer is late
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(13)), Links::intact);
  EXPECT_EQ(h.pick(at(13)).entity, 1);
}

TEST(Eevdf, LosesNothingWhereATurnIsChargedInManyParts) {
  H h;
  set_up(h.policy, 10, 10);
  for (const int e : {0, 1}) h.add(e, {.weight = 3000});
  ASSERT_EQ(h.pick(at(1)), (H::Answer{0, at(11)}));
  for (uint64_t t = 1; t < 11; ++t) h.ran(0, at(t), at(t + 1));  // each 349 units and 1576/3000
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(11)), Links::intact);
  EXPECT_EQ(field_of(h, 0, "slice_left"), 10u);
  EXPECT_EQ(h.pick(at(11)), (H::Answer{1, at(21)}));
}

// --- Newcomers ---

TEST(Eevdf, LetsAnEarlierDeadlinePreemptOnceTheTurnHasLastedForItsRequest) {
  H h;
  set_up(h.policy, 100, 100);
  for (const int e : {0, 1}) h.add(e);
  ASSERT_EQ(h.pick(at(1)), (H::Answer{0, at(101)}));
  h.ran(0, at(1), at(11));
  h.add(2, {.slice = ticks(20)});
  EXPECT_EQ(h.contend(2, 0, at(11)), at(21));  // who asks for 20 grants 20
  h.add(3, {.slice = ticks(10)});
  EXPECT_EQ(h.contend(3, 0, at(11)), at(11));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(11)), Links::intact);
  EXPECT_EQ(h.pick(at(11)), (H::Answer{3, at(21)}));
}

TEST(Eevdf, LeavesATurnAloneForALaterDeadlineOrOneThatIsNotEligible) {
  H h;
  set_up(h.policy, 100, 100);
  for (const int e : {0, 1}) h.add(e);
  ASSERT_EQ(h.pick(at(1)), (H::Answer{0, at(101)}));
  h.ran(0, at(1), at(51));
  h.add(2, {.slice = ticks(200)});
  EXPECT_EQ(h.contend(2, 0, at(51)), at(101));
  // One that has had too much, and comes back with a short request.
  H g;
  set_up(g.policy, 100, 100);
  g.add(0, {.slice = ticks(10)});
  g.add(1);
  ASSERT_EQ(g.pick(at(1)), (H::Answer{0, at(11)}));
  g.ran(0, at(1), at(11));
  ASSERT_EQ(g.dequeue(0, Leave::blocked, at(11)), Links::intact);
  ASSERT_EQ(g.pick(at(11)), (H::Answer{1, never}));
  g.ran(1, at(11), at(13));
  ASSERT_EQ(g.enqueue(0, Enter::woken, at(13)), Links::intact);
  EXPECT_EQ(lag(g, 0), -4 * kTick);
  EXPECT_EQ(g.contend(0, 1, at(13)), at(111));
}

TEST(Eevdf, BeginsTheQuantumOfOneWhoWasAloneWhenCompanyComes) {
  H h;
  set_up(h.policy, 10, 60);
  h.add(0);
  ASSERT_EQ(h.pick(at(1)), (H::Answer{0, never}));
  h.ran(0, at(1), at(51));
  h.add(1);
  EXPECT_EQ(h.contend(1, 0, at(51)), at(61));  // its deadline is at 61, the newcomer's at 111
  h.add(2, {.slice = ticks(10)});
  EXPECT_EQ(h.contend(2, 0, at(51)), at(51));  // as early: who is there already has run
}

// --- Yields ---

TEST(Eevdf, LetsSomebodyElseRunAfterAYieldWheneverThereIsOne) {
  H h;
  set_up(h.policy, 10, 10);
  for (const int e : {0, 1}) h.add(e);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(2));
  ASSERT_EQ(h.put_back(0, Pause::yielded, at(2)), Links::intact);
  ASSERT_EQ(h.pick(at(2)).entity, 1);
  h.ran(1, at(2), at(10));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(10)), Links::intact);
  ASSERT_EQ(h.pick(at(10)).entity, 0);
  h.ran(0, at(10), at(11));
  EXPECT_FALSE(field_of(h, 1, "eligible"));
  EXPECT_TRUE(h.policy.has_peer(h.entities[0]));
  ASSERT_EQ(h.put_back(0, Pause::yielded, at(11)), Links::intact);
  EXPECT_EQ(h.pick(at(11)).entity, 1);
  EXPECT_EQ(lag(h, 0), 0);  // it has given away what it was owed
}

TEST(Eevdf, RunsTheOneThatHasToWaitLeastWhenNobodyIsEligibleButTheOneThatYields) {
  H h;
  set_up(h.policy, 100, 100);
  for (const int e : {0, 1, 2}) h.add(e);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(101));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(101)), Links::intact);
  ASSERT_EQ(h.pick(at(101)).entity, 1);
  h.ran(1, at(101), at(191));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(191)), Links::intact);
  ASSERT_EQ(h.pick(at(191)).entity, 2);  // eligible alone: 100, 90 and 0 have been used
  ASSERT_EQ(h.put_back(2, Pause::yielded, at(191)), Links::intact);
  EXPECT_EQ(h.pick(at(191)).entity, 1);
}

TEST(Eevdf, RunsTheOneYieldedToIfItIsEligible) {
  H h;
  set_up(h.policy, 10, 10);
  for (const int e : {0, 1, 2}) h.add(e);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  ASSERT_EQ(h.yield_to(0, 2, at(1)), Links::intact);
  EXPECT_EQ(h.pick(at(1)).entity, 2);
  h.ran(2, at(1), at(11));
  ASSERT_EQ(h.put_back(2, Pause::timed_out, at(11)), Links::intact);
  ASSERT_EQ(h.pick(at(11)).entity, 1);
  ASSERT_EQ(h.yield_to(1, 2, at(11)), Links::intact);  // 2 has had 10, and 3 is its share
  EXPECT_EQ(h.pick(at(11)).entity, 0);
}

TEST(Eevdf, ForgetsAHintWhenTheOneYieldedToIsGone) {
  H h;
  set_up(h.policy, 10, 10);
  for (const int e : {0, 1, 2}) h.add(e);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  ASSERT_EQ(h.yield_to(0, 2, at(1)), Links::intact);
  ASSERT_EQ(h.dequeue(2, Leave::moved, at(1)), Links::intact);
  EXPECT_EQ(h.pick(at(1)).entity, 1);
}

// --- Lag ---

TEST(Eevdf, KeepsCreditOverASleepAsItIs) {
  H h;
  set_up(h.policy, 100, 100);
  for (const int e : {0, 1, 2}) h.add(e);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(61));
  EXPECT_EQ(lag(h, 1), 20 * kTick);
  ASSERT_EQ(h.dequeue(1, Leave::blocked, at(61)), Links::intact);
  EXPECT_EQ(lag(h, 1), 20 * kTick);
  h.ran(0, at(61), at(101));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(101)), Links::intact);
  ASSERT_EQ(h.pick(at(101)).entity, 2);
  h.ran(2, at(101), at(201));
  EXPECT_EQ(lag(h, 1), 20 * kTick);  // no more for having slept
  ASSERT_EQ(h.enqueue(1, Enter::woken, at(201)), Links::intact);
  EXPECT_EQ(lag(h, 1), 20 * kTick);
  EXPECT_EQ(lag(h, 0), -10 * kTick);
  EXPECT_EQ(lag(h, 2), -10 * kTick);
}

TEST(Eevdf, ShrinksADebtDuringASleepAsIfItsTaskHadWaited) {
  H h;
  set_up(h.policy, 100, 100);
  for (const int e : {0, 1, 2}) h.add(e);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(61));
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(61)), Links::intact);
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(61)), Links::intact);  // at once: as if it had not slept
  EXPECT_EQ(lag(h, 0), -40 * kTick);
  EXPECT_EQ(lag(h, 1), 20 * kTick);
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(61)), Links::intact);
  ASSERT_EQ(h.pick(at(61)).entity, 1);
  h.ran(1, at(61), at(91));
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(91)), Links::intact);
  EXPECT_EQ(lag(h, 0), -30 * kTick);  // a third of 30 would have been its share
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(91)), Links::intact);
  h.ran(1, at(91), at(161));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(161)), Links::intact);
  ASSERT_EQ(h.pick(at(161)).entity, 2);
  h.ran(2, at(161), at(261));
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(261)), Links::intact);
  EXPECT_EQ(lag(h, 0), 0);  // and no credit for more
}

TEST(Eevdf, ForgetsDebtsWhenNobodyIsLeftToWhomTheyAreOwed) {
  H h;
  set_up(h.policy, 100, 100);
  for (const int e : {0, 1}) h.add(e);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(61));
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(61)), Links::intact);
  EXPECT_EQ(lag(h, 0), -60 * kTick);  // of what 1 is ahead of, now that it is alone
  ASSERT_EQ(h.pick(at(61)).entity, 1);
  ASSERT_EQ(h.dequeue(1, Leave::blocked, at(61)), Links::intact);
  EXPECT_EQ(lag(h, 0), 0);
  ASSERT_EQ(h.enqueue(1, Enter::woken, at(61)), Links::intact);
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(61)), Links::intact);
  EXPECT_EQ(lag(h, 0), 0);
}

TEST(Eevdf, LimitsWhatASleeperBringsBackToTheLongerOfQuantumAndSlice) {
  for (const uint64_t quantum : {100, 300}) {
    H h;
    set_up(h.policy, quantum, 200);
    const int64_t limit = static_cast<int64_t>(std::max<uint64_t>(quantum, 200)) * kTick;
    for (const int e : {0, 1, 2}) h.add(e);
    ASSERT_EQ(h.pick(at(1)).entity, 0);
    h.ran(0, at(1), at(100'001));
    for (const int e : {1, 0}) ASSERT_EQ(h.dequeue(e, Leave::blocked, at(100'001)), Links::intact);
    ASSERT_EQ(h.enqueue(1, Enter::woken, at(100'001)), Links::intact);
    EXPECT_EQ(lag(h, 1), limit);
    ASSERT_EQ(h.enqueue(0, Enter::woken, at(100'001)), Links::intact);
    EXPECT_NEAR(static_cast<double>(lag(h, 0)), static_cast<double>(-limit), 2048);
  }
}

TEST(Eevdf, TakesItsLagAlongToAnotherCpuAsTime) {
  H here;
  H there;
  for (H* h : {&here, &there}) set_up(h->policy, 100, 100);
  there.policy.set_virtual_time({uint64_t{1} << 63});
  for (const int e : {0, 1, 2}) here.add(e);
  for (const int e : {3, 4}) there.add(e);
  ASSERT_EQ(here.pick(at(1)).entity, 0);
  here.ran(0, at(1), at(61));
  // 0 is blocked when it goes, 1 is runnable.
  ASSERT_EQ(here.dequeue(0, Leave::blocked, at(61)), Links::intact);
  const int64_t debt = lag(here, 0);
  EXPECT_EQ(debt, -60 * kTick);
  here.detach(0);
  ASSERT_EQ(here.dequeue(1, Leave::moved, at(61)), Links::intact);
  const int64_t credit = lag(here, 1);
  here.detach(1);
  for (const size_t e : {0, 1}) there.entities[e] = here.entities[e];
  for (const int e : {0, 1}) ASSERT_TRUE(there.attach(e));
  ASSERT_EQ(there.enqueue(0, Enter::woken, at(61)), Links::intact);
  EXPECT_EQ(lag(there, 0), debt);
  ASSERT_EQ(there.enqueue(1, Enter::moved, at(61)), Links::intact);
  EXPECT_EQ(lag(there, 1), credit);
}

TEST(Eevdf, KeepsLagAsTimeUnderAnotherWeight) {
  H h;
  set_up(h.policy, 100, 100);
  for (const int e : {0, 1, 2}) h.add(e);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(61));
  for (const int e : {0, 1}) {  // one that runs, one that waits
    const int64_t before = lag(h, e);
    ASSERT_EQ(h.dequeue(e, Leave::retuned, at(61)), Links::intact);
    ASSERT_TRUE(h.attach(e, {.weight = 3 * kNormalWeight}));
    ASSERT_EQ(h.enqueue(e, Enter::retuned, at(61)), Links::intact);
    EXPECT_NEAR(static_cast<double>(lag(h, e)), static_cast<double>(before), 3 * kNormalWeight);
  }
  // One that sleeps in debt.
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(61)), Links::intact);
  const int64_t before = lag(h, 0);
  EXPECT_LT(before, 0);
  ASSERT_TRUE(h.attach(0, {.weight = 5}));
  EXPECT_EQ(lag(h, 0), before);
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(61)), Links::intact);
  EXPECT_NEAR(static_cast<double>(lag(h, 0)), static_cast<double>(before), 3 * kNormalWeight);
}

TEST(Eevdf, BeginsAnewWithALife) {
  H h;
  set_up(h.policy, 100, 100);
  for (const int e : {0, 1}) h.add(e);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(61));
  ASSERT_EQ(h.dequeue(0, Leave::exited, at(61)), Links::intact);
  h.detach(0);
  h.add(0);
  EXPECT_EQ(lag(h, 0), 0);
}

TEST(Eevdf, TellsWhatItKnows) {
  H h;
  set_up(h.policy, 100, 50);
  h.add(0, {.weight = 2048});
  h.add(1, {.weight = 1024, .slice = ticks(70)});
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(31));
  EXPECT_EQ(field_of(h, 0, "weight"), 2048u);
  EXPECT_EQ(field_of(h, 0, "slice"), 50u);
  EXPECT_EQ(field_of(h, 1, "slice"), 70u);
  EXPECT_EQ(field_of(h, 0, "debt"), 10u);
  EXPECT_EQ(field_of(h, 0, "credit"), 0u);
  EXPECT_EQ(field_of(h, 1, "credit"), 10u);
  EXPECT_EQ(field_of(h, 0, "eligible"), 0u);
  EXPECT_EQ(field_of(h, 1, "eligible"), 1u);
  EXPECT_EQ(field_of(h, 0, "slice_left"), 20u);
  ASSERT_EQ(h.dequeue(1, Leave::blocked, at(31)), Links::intact);
  EXPECT_EQ(field_of(h, 1, "eligible"), UINT64_MAX);  // asleep: nothing of the kind
}

// --- Against a model ---

// The definition: everybody's clock, and sums over all of them at every question. Clocks are wide
// enough here never to wrap.
struct Clocks {
  using P = Eevdf;

  struct Client {
    Attributes attributes;
    Int128 inherited = 0;  // of weight
    bool runs = false;     // is runnable
    bool sleeps_in_debt = false;
    Int128 clock = 0;
    Int128 remainder = 0;  // of a unit, times the weight
    Int128 deadline = 0;
    Int128 lag = 0;       // while not runnable nor in debt
    uint64_t queued = 0;  // when it began to wait, by number
  };

  void configure(P& policy, absl::BitGenRef gen) {
    quantum = absl::Uniform<uint64_t>(gen, 1, 150);
    slice = absl::Uniform<uint64_t>(gen, 1, 150);
    set_up(policy, quantum, slice);
    policy.set_virtual_time({absl::Uniform<uint64_t>(gen, 0, UINT64_MAX)});
  }
  static Attributes random_attributes(absl::BitGenRef gen) {
    Attributes attributes;
    switch (absl::Uniform(gen, 0, 12)) {
      case 0: attributes.weight = absl::Bernoulli(gen, 0.5) ? 0 : kMaxWeight + 1; break;
      case 1: attributes.weight = 1; break;
      case 2: attributes.weight = kMaxWeight; break;
      case 3: attributes.weight = absl::Uniform<Weight>(gen, 1, kMaxWeight); break;
      default: attributes.weight = weight_of_nice(absl::Uniform(gen, -20, 20));
    }
    switch (absl::Uniform(gen, 0, 8)) {
      case 0: attributes.slice = ticks(UINT32_MAX + absl::Uniform<uint64_t>(gen, 0, 2)); break;
      case 1:
      case 2: break;
      default: attributes.slice = ticks(absl::Uniform<uint64_t>(gen, 1, 200));
    }
    return attributes;
  }
  static std::optional<Attributes> accepts(const Attributes& attributes) {
    if (attributes.weight < 1 || attributes.weight > 1 << 20) return std::nullopt;
    if (attributes.slice.ticks >= uint64_t{1} << 32) return std::nullopt;
    return attributes;
  }

  Client& client(int e) { return clients[static_cast<size_t>(e)]; }
  static Int128 weight(const Client& c) {
    return std::min(c.attributes.weight + c.inherited, Int128{kMaxWeight});
  }
  uint64_t slice_of(const Client& c) const {
    return c.attributes.slice.ticks == 0 ? slice : c.attributes.slice.ticks;
  }
  Int128 request(const Client& c) const { return (Int128{slice_of(c)} << 20) / weight(c); }
  static Int128 floor_of(Int128 a, Int128 b) { return a / b - (a % b < 0); }

  Int128 load() const {
    Int128 sum = 0;
    for (const Client& c : clients) sum += c.runs ? weight(c) : 0;
    return sum;
  }
  Int128 sum_of_clocks() const {
    Int128 sum = 0;
    for (const Client& c : clients) sum += c.runs ? weight(c) * c.clock : 0;
    return sum;
  }
  Int128 average() const { return load() == 0 ? last : floor_of(sum_of_clocks(), load()); }
  bool is_eligible(const Client& c) const { return c.clock * load() <= sum_of_clocks(); }

  void attach(int e, const Attributes& attributes) {
    Client& c = client(e);
    Client fresh = c;
    fresh.attributes = attributes;
    weigh_as(c, fresh);
  }
  void detach(int e) {
    if (client(e).sleeps_in_debt) fix_debt(client(e));
    inherit(e, std::nullopt);
  }
  void inherit(int e, std::optional<P::Claim> claims) {
    Client& c = client(e);
    Client fresh = c;
    fresh.inherited = Int128{claims.value_or(0)};
    weigh_as(c, fresh);
  }
  // The same with another weight.
  void weigh_as(Client& c, const Client& fresh) {
    const bool is_other = weight(c) != weight(fresh);
    if (is_other && c.sleeps_in_debt) fix_debt(c);
    c.attributes = fresh.attributes;
    c.inherited = fresh.inherited;
    if (is_other) c.remainder = 0;
  }
  void fix_debt(Client& c) {
    c.lag = std::min(weight(c) * (average() - c.clock), Int128{0});
    c.sleeps_in_debt = false;
  }

  void enqueue(int e, const Attributes& attributes, Enter why, Instant) {
    Client& c = client(e);
    ASSERT_EQ(c.attributes, attributes);
    if (why == Enter::created) c.remainder = 0;
    const Int128 most = Int128{std::max(slice_of(c), quantum)} << 20;
    const Int128 here = average();
    if (why == Enter::created || load() == 0) {
      c.clock = here;
    } else if (c.sleeps_in_debt) {
      c.clock = std::clamp(c.clock, here, here + most / weight(c) + most / load());
    } else {
      // So that its lag is this once it is there.
      const Int128 lag = std::clamp(c.lag, -most, most);
      c.clock = here - floor_of(lag, weight(c)) - floor_of(lag, load());
    }
    c.deadline = c.clock + request(c);
    c.sleeps_in_debt = false;
    c.runs = true;
    c.queued = ++count;
  }

  void dequeue(int e, Leave why) {
    Client& c = client(e);
    const Int128 here = average();
    c.runs = false;
    if (e == held) {
      held = H::kNobody;
      goes_on = yielded = false;
    }
    if (e == favoured) favoured = H::kNobody;
    c.lag = why == Leave::exited ? 0 : weight(c) * (here - c.clock);
    if (why == Leave::exited) c.inherited = 0;
    c.sleeps_in_debt = why == Leave::blocked && c.lag < 0;
    if (load() == 0) {
      last = c.clock;
      c.lag = 0;
      for (Client& other : clients) {
        if (other.sleeps_in_debt) other.lag = 0;
        other.sleeps_in_debt = false;
      }
    }
  }

  void put_back(int, Pause why) {
    if (why != Pause::preempted) goes_on = false;
    yielded = why == Pause::yielded;
  }
  void yield_to(int e, int target, Instant) {
    favoured = target;
    put_back(e, Pause::yielded);
  }

  // Ticks that it has to run until its deadline.
  static Int128 left(const Client& c) {
    return -floor_of(c.remainder - (c.deadline - c.clock) * weight(c), Int128{1} << 20);
  }

  // Of those that wait, the one that `comes_before` all others.
  template <typename F>
  int first(F may, bool by_clock = false) const {
    int best = H::kNobody;
    for (int e = 0; e < H::kEntities; ++e) {
      const Client& c = clients[static_cast<size_t>(e)];
      if (!c.runs || e == held || !may(c)) continue;
      if (best == H::kNobody) {
        best = e;
        continue;
      }
      const Client& b = clients[static_cast<size_t>(best)];
      if (by_clock && c.clock != b.clock) {
        if (c.clock < b.clock) best = e;
      } else if (c.deadline < b.deadline || (c.deadline == b.deadline && c.queued < b.queued)) {
        best = e;
      }
    }
    return best;
  }

  void choose() {
    int best = first([&](const Client& c) { return is_eligible(c); });
    if (held != H::kNobody) {
      Client& h = client(held);
      if (yielded) {
        if (favoured != H::kNobody && is_eligible(client(favoured))) best = favoured;
        if (best == H::kNobody) best = first([](const Client&) { return true; }, true);
        if (best != H::kNobody) {
          h.clock = std::max(h.clock, client(best).clock);
          h.deadline = h.clock + request(h);
        }
      } else if (best != H::kNobody && is_eligible(h) && h.deadline < client(best).deadline) {
        best = H::kNobody;
      }
      if (best != H::kNobody) h.queued = ++count;
    }
    if (best != H::kNobody) held = best;
    used = 0;
    yielded = false;
    favoured = H::kNobody;
    goes_on = held != H::kNobody;
  }

  Instant end_of_turn(Instant now) {
    const uint64_t rest = static_cast<uint64_t>(left(client(held)));
    return now + ticks(std::min(rest, used < quantum ? quantum - used : quantum));
  }
  H::Answer pick(Instant now) {
    if (!goes_on) choose();
    if (held == H::kNobody) return {};
    const bool is_alone = first([](const Client&) { return true; }) == H::kNobody;
    return {held, is_alone ? never : end_of_turn(now)};
  }

  void ran(int e, Instant from, Instant to) {
    Client& c = client(e);
    const Int128 units = (Int128{(to - from).ticks} << 20) + c.remainder;
    c.clock += units / weight(c);
    c.remainder = units % weight(c);
    used += (to - from).ticks;
    if (used >= quantum) goes_on = false;
    if (c.clock >= c.deadline) {
      c.deadline = c.clock + request(c);
      goes_on = false;
    }
  }

  Instant contend(int entered, int current, Instant now) {
    const Instant end = end_of_turn(now);
    const Client& c = client(entered);
    if (!is_eligible(c) || c.deadline > client(current).deadline) return end;
    const uint64_t shield = std::min(quantum, slice_of(c));
    if (used < shield) return std::min(end, now + ticks(shield - used));
    goes_on = false;
    return now;
  }

  std::array<Client, H::kEntities> clients{};
  uint64_t quantum = 0;
  uint64_t slice = 0;
  Int128 last = 0;  // the average when somebody was runnable last
  int held = H::kNobody;
  int favoured = H::kNobody;
  bool goes_on = false;
  bool yielded = false;
  uint64_t used = 0;
  uint64_t count = 0;
};

TEST(Eevdf, MatchesSumsOverAllClocks) {
  for (uint64_t seed = 1; seed <= 40; ++seed) check_against_model<Eevdf, Clocks>(seed, 3000);
}

// --- Theory ---

// What everybody would have had by now if all had been served at once, each by its share.
struct Fluid {
  void join(int e, uint64_t weight) {
    weights[static_cast<size_t>(e)] = static_cast<double>(weight);
    load += static_cast<double>(weight);
  }
  void advance(double time) {
    for (size_t e = 0; e < H::kEntities; ++e) served[e] += time * weights[e] / load;
  }
  double load = 0;
  std::array<double, H::kEntities> weights{};
  std::array<double, H::kEntities> served{};
};

// Stoica and Abdel-Wahab, theorem 1: no lag reaches the longer of request and quantum; and nobody
// gets ahead by more than a turn.
void check_bounds(uint64_t seed, Weight lightest, Weight heaviest) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 gen = generator(seed);
  W w;
  const uint64_t quantum = absl::Uniform<uint64_t>(gen, 10, 500);
  set_up(w.h.policy, quantum, 1);
  const int count = absl::Uniform(gen, 2, H::kEntities + 1);
  std::array<Attributes, H::kEntities> given;
  Fluid fluid;
  uint64_t seen = w.now;
  int present = 0;
  const auto check = [&](int) {
    fluid.advance(static_cast<double>(w.now - seen));
    seen = w.now;
    Int128 sum = 0;
    Int128 load = 0;
    for (int e = 0; e < present; ++e) {
      const double lag = fluid.served[static_cast<size_t>(e)] - static_cast<double>(w.used(e));
      const uint64_t request = given[static_cast<size_t>(e)].slice.ticks;
      ASSERT_LT(lag, static_cast<double>(std::max(request, quantum)) + 0.1) << e << " at " << w.now;
      ASSERT_GT(lag, -static_cast<double>(std::min(request, quantum)) - 0.1)
          << e << " at " << w.now;
      const int64_t told = test::lag(w.h, e);
      ASSERT_NEAR(static_cast<double>(told) / kTick, lag, 0.1) << e << " at " << w.now;
      sum += told;
      load += given[static_cast<size_t>(e)].weight;
    }
    // The average is rounded down, by less than one unit of each weight.
    ASSERT_LE(sum, 0);
    ASSERT_GT(sum, -load);
  };
  while (present < count) {
    if (present != 0) check(0);
    Attributes& attributes = given[static_cast<size_t>(present)];
    attributes = {.weight = absl::Uniform<Weight>(gen, lightest, heaviest + 1),
                  .slice = ticks(absl::Uniform<uint64_t>(gen, 1, 1000))};
    fluid.join(present++, attributes.weight);
    w.spawn(present - 1, attributes);
    w.on_pick = check;
    w.run(absl::Uniform<uint64_t>(gen, 0, 2000));
  }
  w.run(200'000);
}

TEST(Eevdf, KeepsLagsWithinRequestAndQuantumAndTheirSumAtZero) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    check_bounds(seed, 100, 5000);
    if (testing::Test::HasFailure()) break;
  }
}

TEST(Eevdf, SharesByNiceLevel) {
  W w;
  set_up(w.h.policy, 30, 30);
  const std::array<int, 5> nice = {-10, -5, 0, 5, 10};
  double load = 0;
  for (size_t e = 0; e < nice.size(); ++e) {
    w.spawn(static_cast<int>(e), {.weight = weight_of_nice(nice[e])});
    load += weight_of_nice(nice[e]);
  }
  constexpr uint64_t kTime = 1'000'000;
  w.run(kTime);
  for (size_t e = 0; e < nice.size(); ++e) {
    const double share = kTime * weight_of_nice(nice[e]) / load;
    EXPECT_NEAR(static_cast<double>(w.used(static_cast<int>(e))), share, 31) << nice[e];
  }
}

TEST(Eevdf, SharesByWhateverWeightIsGivenLast) {
  W w;
  set_up(w.h.policy, 30, 30);
  w.spawn(0);
  w.spawn(1);
  w.run(30'000);
  std::mt19937_64 gen = generator(1);
  double share = 15'000;
  for (int change = 0; change < 300; ++change) {  // of whoever runs, or waits
    const Weight weight = absl::Uniform<Weight>(gen, 100, 10'000);
    w.retune(change % 2, {.weight = weight});
    w.retune(1 - change % 2, {.weight = 1000});
    w.run(1000);
    share += 1000.0 * (change % 2 == 0 ? weight : 1000) / (weight + 1000);
  }
  EXPECT_NEAR(static_cast<double>(w.used(0)), share, 60);
}

// It uses a tenth where a quarter is its share, so it always finds itself eligible, and has what
// it asked for by its deadline and a quantum: 4 times its request later and 10.
TEST(Eevdf, RunsAModestTaskTheSoonerTheLessItAsksFor) {
  const auto longest_wait = [](uint64_t slice) {
    W w;
    set_up(w.h.policy, 10, 100);
    for (const int e : {0, 1, 2}) w.spawn(e);
    std::mt19937_64 gen = generator(1);
    const auto modest = [&] {
      return W::Burst{.work = 5, .sleep = absl::Uniform<uint64_t>(gen, 45, 60)};
    };
    w.spawn(3, modest, {.slice = ticks(slice)});
    w.run(100'000);
    EXPECT_GT(w.used(3), 5'000u);
    return w.task(3).longest_wait;
  };
  EXPECT_LE(longest_wait(5), 4 * 5 + 10 - 5u);
  EXPECT_LE(longest_wait(100), 4 * 100 + 10 - 5u);
  EXPECT_GE(longest_wait(100), 3 * 10u);  // a turn of each of the others
}

// --- Games ---

// A task that sleeps, yields and naps as it likes, next to others that always run: those get what
// is theirs, but for a constant.
void check_game(const std::string& name, std::function<W::Burst()> script, Attributes attributes) {
  SCOPED_TRACE(name);
  constexpr uint64_t kQuantum = 100;
  constexpr uint64_t kTime = 1'000'000;
  W w;
  set_up(w.h.policy, kQuantum, kQuantum);
  w.spawn(0, {.weight = 1000});
  w.spawn(1, {.weight = 500});
  w.spawn(2, std::move(script), attributes);
  w.run(kTime);
  const double load = 1500 + attributes.weight;
  EXPECT_GT(static_cast<double>(w.used(0)), kTime * 1000 / load - 2 * kQuantum);
  EXPECT_GT(static_cast<double>(w.used(1)), kTime * 500 / load - 2 * kQuantum);
  EXPECT_LT(static_cast<double>(w.used(2)), kTime * attributes.weight / load + 2 * kQuantum);
}

TEST(Eevdf, GivesNothingToATaskThatGamesIt) {
  for (const Weight weight : {100, 1000, 5000}) {
    for (const uint64_t slice : {10, 100}) {
      const Attributes attributes = {.weight = weight, .slice = ticks(slice)};
      for (const uint64_t work : {uint64_t{1}, slice / 2, slice - 1, slice, slice + 1}) {
        for (const uint64_t sleep : {0, 1, 2, 10, 99, 100, 101}) {
          check_game(
              "works " + std::to_string(work) + " of " + std::to_string(slice) + " and sleeps " +
                  std::to_string(sleep),
              [=] { return W::Burst{.work = work, .sleep = sleep}; }, attributes);
        }
      }
      for (uint64_t seed = 1; seed <= 5; ++seed) {
        std::mt19937_64 gen = generator(seed);
        const auto random = [&] {
          return W::Burst{.work = absl::Uniform<uint64_t>(gen, 1, 2 * slice),
                          .sleep = absl::Uniform<uint64_t>(gen, 0, slice)};
        };
        check_game("random, seed " + std::to_string(seed), random, attributes);
      }
    }
  }
}

TEST(Eevdf, LetsOneThatYieldsNeitherStarveNorSave) {
  W w;
  set_up(w.h.policy, 100, 100);
  w.spawn(0);
  bool yields = true;
  w.spawn(1, [&] { return yields ? W::Burst{.work = 1} : W::Burst{}; });
  w.run(100'000);
  EXPECT_NEAR(static_cast<double>(w.used(1)), 1000, 20);  // a tick for each turn of the other
  yields = false;
  w.run(100'000);
  EXPECT_NEAR(static_cast<double>(w.used(1)), 51'000, 120);
}

// --- The ends of its arithmetic ---

// As many entities as are wanted.
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

// --- Broken links ---

TEST(Eevdf, ReportsBrokenLinks) {
  H h;
  for (const int e : {0, 1, 2, 3}) h.add(e);
  ASSERT_EQ(h.pick().entity, 0);
  // 2 is above 1 and 3 in the tree; a stray write makes 1 point elsewhere.
  BitTrieLink<Eevdf, VirtualTime>& link = h.entities[1];
  void* const stray = static_cast<BitTrieLink<Eevdf, VirtualTime>*>(&h.entities[3]);
  std::memcpy(static_cast<void*>(&link), &stray, sizeof(stray));
  EXPECT_EQ(h.dequeue(1), Links::corrupt);
  EXPECT_EQ(h.put_back(0, Pause::yielded), Links::intact);
  EXPECT_EQ(h.pick(), (H::Answer{H::kNobody, never}));
}

}  // namespace
}  // namespace sched::test
