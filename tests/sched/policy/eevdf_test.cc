// Earliest eligible virtual deadline first: who runs, and until when; yields; what becomes of lag.

#include "sched/policy/eevdf.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/weight.h"
#include "tests/sched/policy/eevdf_kit.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

using H = Harness<Eevdf>;
using Attributes = Eevdf::Attributes;

constinit Eevdf policy_at_start;
constinit Eevdf::Entity entity_at_start;

TEST(Eevdf, IsConstantInitialisedAndThisLarge) {
  EXPECT_EQ(policy_at_start.pick(at(1)).entity, nullptr);
  EXPECT_EQ(policy_at_start.attributes(entity_at_start), Attributes{});
  EXPECT_EQ(sizeof(Eevdf::Entity), 112u);
  EXPECT_EQ(sizeof(Eevdf), 128u);
}

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
