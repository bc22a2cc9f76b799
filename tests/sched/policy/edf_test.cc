// Earliest deadline first and its servers: each rule alone, and all of them against naive models.

#include "sched/policy/edf.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

using H = Harness<Edf>;
using Attributes = Edf::Attributes;

constexpr Attributes server(uint64_t runtime, uint64_t period, uint64_t deadline = 0,
                            Overrun overrun = Overrun::throttle) {
  return {.runtime = ticks(runtime),
          .deadline = ticks(deadline),
          .period = ticks(period),
          .overrun = overrun};
}
constexpr Attributes soft(uint64_t runtime, uint64_t period) {
  return server(runtime, period, 0, Overrun::postpone);
}

// What the page says.
static_assert(sizeof(Edf::Entity) == 160);
static_assert(sizeof(EdfExact::Entity) == 176);
static_assert(sizeof(EdfReclaiming::Entity) == 168);

template <typename Kind>
class Drive : public Harness<Kind> {
 public:
  typename Kind::Entity& entity(int e) { return this->entities[static_cast<size_t>(e)]; }
  void create(int e, const typename Kind::Attributes& attributes, Instant now) {
    ASSERT_TRUE(this->attach(e, attributes));
    ASSERT_EQ(this->enqueue(e, Enter::created, now), Links::intact);
  }
  void wake(int e, Instant now) { ASSERT_EQ(this->enqueue(e, Enter::woken, now), Links::intact); }
  void block(int e, Instant now) {
    ASSERT_EQ(this->dequeue(e, Leave::blocked, now), Links::intact);
  }
  void end_turn(int e, Pause why, Instant now) {
    ASSERT_EQ(this->put_back(e, why, now), Links::intact);
  }
  Instant deadline(int e) { return this->policy.deadline(entity(e)); }
  Duration budget(int e) { return this->policy.budget(entity(e)); }
};

TEST(Edf, RunsTheEarliestDeadlineFirst) {
  Drive<Edf> h;
  h.create(0, server(1, 30), at(100));
  h.create(1, server(1, 10), at(100));
  h.create(2, server(1, 20), at(100));
  h.create(3, server(1, 10), at(100));
  EXPECT_EQ(h.pick(at(100)), (H::Answer{1, at(101)}));
  std::vector<int> order;
  for (int i = 0; i < 4; ++i) {
    order.push_back(h.pick(at(100)).entity);
    h.block(order.back(), at(100));
  }
  EXPECT_EQ(order, (std::vector<int>{1, 3, 2, 0}));
}

TEST(Edf, RunsByADeadlineThatItInheritsAndPaysAfterwards) {
  Drive<Edf> h;
  h.create(0, server(2, 30), at(100));
  h.create(1, server(5, 20), at(100));
  h.create(2, server(1, 10), at(100));
  ASSERT_EQ(h.claim(2), at(110));
  h.block(2, at(100));  // waits for 0
  h.pass_on(0, at(100), h.claim(2));
  EXPECT_EQ(h.claim(0), at(110));
  EXPECT_EQ(h.deadline(0), at(130));
  EXPECT_EQ(h.attributes(0), server(2, 30, 30));
  ASSERT_EQ(h.pick(at(100)), (H::Answer{0, at(102)}));
  h.ran(0, at(100), at(102));  // its budget is used up
  h.end_turn(0, Pause::timed_out, at(102));
  ASSERT_EQ(h.pick(at(102)).entity, 0);
  h.ran(0, at(102), at(103));
  h.pass_on(0, at(103));
  EXPECT_EQ(h.claim(0), at(160));  // its next period, from which it has had a tick
  EXPECT_EQ(h.budget(0), ticks(1));
  EXPECT_EQ(h.pick(at(103)).entity, 1);
  h.block(1, at(103));
  EXPECT_EQ(h.pick(at(103)), (H::Answer{H::kNobody, at(130)}));
}

TEST(Edf, InheritsWhileItIsHeldBack) {
  Drive<Edf> h;
  h.create(0, server(2, 30), at(100));
  ASSERT_EQ(h.pick(at(100)).entity, 0);
  h.ran(0, at(100), at(102));
  h.end_turn(0, Pause::timed_out, at(102));
  EXPECT_EQ(h.pick(at(102)), (H::Answer{H::kNobody, at(130)}));
  h.pass_on(0, at(105), at(140));
  EXPECT_EQ(h.pick(at(105)).entity, 0);
  h.pass_on(0, at(106));
  EXPECT_EQ(h.pick(at(106)), (H::Answer{H::kNobody, at(130)}));
}

TEST(Edf, LeavesAdmissionAloneWhenItInherits) {
  H h;
  ASSERT_TRUE(h.attach(0, server(1, 2)));
  const Bandwidth before = h.policy.reserved();
  h.inherit(0, at(5));
  EXPECT_EQ(h.policy.reserved(), before);
  h.detach(0);
  EXPECT_EQ(h.policy.reserved(), Bandwidth{});
}

TEST(Edf, HasNobodyToRunAtFirst) {
  H h;
  EXPECT_EQ(h.pick(), (H::Answer{H::kNobody, never}));
}

TEST(Edf, RefusesWhatIsNoReservation) {
  H h;
  const uint64_t longest = Edf::kLongestPeriod.ticks;
  ASSERT_TRUE(h.attach(0, server(2, 10)));
  EXPECT_FALSE(h.attach(0, {}));
  EXPECT_FALSE(h.attach(0, server(0, 10)));
  EXPECT_FALSE(h.attach(0, server(2, 0)));
  EXPECT_FALSE(h.attach(0, server(11, 10)));
  EXPECT_FALSE(h.attach(0, server(3, 10, 2)));
  EXPECT_FALSE(h.attach(0, server(3, 10, 11)));
  EXPECT_FALSE(h.attach(0, server(1, longest + 1)));
  EXPECT_FALSE(h.attach(0, server(UINT64_MAX, UINT64_MAX, UINT64_MAX)));
  EXPECT_EQ(h.attributes(0), server(2, 10, 10));
  EXPECT_TRUE(h.attach(0, server(1, longest)));
  EXPECT_TRUE(h.attach(0, server(longest, longest)));
  EXPECT_TRUE(h.attach(0, server(1, 1)));
}

TEST(Edf, AdmitsBandwidthUpToTheWhole) {
  H h;
  for (const int e : {0, 1, 2}) EXPECT_TRUE(h.attach(e, server(1, 3)));
  EXPECT_FALSE(h.attach(3, server(1, Edf::kLongestPeriod.ticks)));
  EXPECT_FALSE(h.attach(0, server(2, 5)));
  EXPECT_TRUE(h.attach(0, server(3, 10)));
  EXPECT_TRUE(h.attach(3, server(1, 30)));
  h.detach(1);
  EXPECT_TRUE(h.attach(4, server(1, 3)));
  EXPECT_FALSE(h.attach(1, server(1, 3)));
}

TEST(Edf, CountsAShorterDeadlineAsMoreBandwidth) {
  H h;
  EXPECT_TRUE(h.attach(0, server(2, 10, 4)));
  EXPECT_FALSE(h.attach(1, server(6, 10)));
  EXPECT_TRUE(h.attach(1, server(5, 10)));
}

TEST(Edf, KeepsTheLimitThatItIsGiven) {
  H h;
  EXPECT_FALSE(h.policy.set_limit(ticks(0), ticks(10)));
  EXPECT_FALSE(h.policy.set_limit(ticks(11), ticks(10)));
  EXPECT_TRUE(h.policy.set_limit(ticks(95), ticks(100)));
  EXPECT_TRUE(h.attach(0, server(9, 10)));
  EXPECT_FALSE(h.attach(1, server(6, 100)));
  EXPECT_TRUE(h.attach(1, server(5, 100)));
  EXPECT_FALSE(h.policy.set_limit(ticks(94), ticks(100)));
  EXPECT_TRUE(h.policy.set_limit(ticks(1), ticks(1)));
  EXPECT_TRUE(h.attach(2, server(5, 100)));
  EXPECT_FALSE(h.attach(3, server(1, 1000)));
  EXPECT_GT(h.policy.reserved(), bandwidth(ticks(999), ticks(1000)));
}

TEST(EdfExact, AdmitsWhatDemandAllows) {
  // Their densities sum up to 1.33, and all deadlines can be met.
  Harness<EdfExact> h;
  EXPECT_TRUE(h.attach(0, {.runtime = ticks(2), .deadline = ticks(4), .period = ticks(6)}));
  EXPECT_TRUE(h.attach(1, {.runtime = ticks(2), .deadline = ticks(5), .period = ticks(8)}));
  EXPECT_TRUE(h.attach(2, {.runtime = ticks(3), .deadline = ticks(7), .period = ticks(9)}));
  EXPECT_FALSE(h.attach(3, {.runtime = ticks(1), .deadline = ticks(7), .period = ticks(1000)}));
  EXPECT_FALSE(h.attach(2, {.runtime = ticks(3), .deadline = ticks(6), .period = ticks(9)}));
  EXPECT_EQ(h.attributes(2).deadline, ticks(7));
  h.detach(0);
  EXPECT_TRUE(h.attach(3, {.runtime = ticks(2), .deadline = ticks(7), .period = ticks(1000)}));
}

TEST(EdfExact, RefusesWhatItCannotDecideInTime) {
  using Hasty = BasicEdf<EdfOptions{.admission = Admission::demand, .demand_steps = 1}>;
  Harness<Hasty> h;
  EXPECT_TRUE(h.attach(0, {.runtime = ticks(2), .deadline = ticks(4), .period = ticks(6)}));
  EXPECT_FALSE(h.attach(1, {.runtime = ticks(2), .deadline = ticks(5), .period = ticks(8)}));
}

// --- Budgets ---

TEST(Edf, HoldsBackWhoHasUsedUpHisBudget) {
  Drive<Edf> h;
  h.create(0, server(3, 10), at(100));
  h.create(1, server(5, 50), at(100));
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, at(103)}));
  h.ran(0, at(100), at(103));
  h.end_turn(0, Pause::timed_out, at(103));
  EXPECT_EQ(h.deadline(0), at(120));
  EXPECT_EQ(h.budget(0), ticks(3));
  // Until the budget of the other ends, or the earlier deadline is no longer held back.
  EXPECT_EQ(h.pick(at(103)), (H::Answer{1, at(108)}));
  h.ran(1, at(103), at(107));
  h.end_turn(1, Pause::preempted, at(107));
  EXPECT_EQ(h.pick(at(107)), (H::Answer{1, at(108)}));
  h.ran(1, at(107), at(108));
  h.end_turn(1, Pause::timed_out, at(108));
  EXPECT_EQ(h.pick(at(108)), (H::Answer{H::kNobody, at(110)}));
  EXPECT_EQ(h.pick(at(110)), (H::Answer{0, at(113)}));
}

TEST(Edf, InterruptsATurnForWhoIsHeldBackOnlyIfHisDeadlineIsEarlier) {
  Drive<Edf> h;
  h.create(0, server(1, 10), at(100));
  h.create(1, server(50, 100), at(100));
  h.create(2, server(1, 5), at(100));
  for (const int e : {2, 0}) {
    ASSERT_EQ(h.pick(at(100)).entity, e);
    h.ran(e, at(100), at(101));
    h.end_turn(e, Pause::timed_out, at(101));
  }
  EXPECT_EQ(h.deadline(2), at(110));
  EXPECT_EQ(h.pick(at(101)), (H::Answer{1, at(105)}));
  // A newcomer that is earlier than who runs.
  h.create(3, server(1, 8), at(101));
  EXPECT_EQ(h.contend(3, 1, at(101)), at(101));
  h.end_turn(1, Pause::preempted, at(101));
  EXPECT_EQ(h.pick(at(101)), (H::Answer{3, at(102)}));
  EXPECT_EQ(h.contend(1, 3, at(101)), never);
  EXPECT_EQ(h.contend(2, 1, at(101)), at(105));
}

TEST(Edf, PostponesWhoHasUsedUpHisBudgetIfHeAskedForIt) {
  Drive<Edf> h;
  h.create(0, soft(3, 10), at(100));
  h.ran(0, at(100), at(103));
  h.end_turn(0, Pause::timed_out, at(103));
  EXPECT_EQ(h.deadline(0), at(120));
  EXPECT_EQ(h.pick(at(103)), (H::Answer{0, at(106)}));
}

TEST(Edf, ChargesALateTimerToTheNextBudget) {
  Drive<Edf> h;
  h.create(0, server(3, 10), at(100));
  h.ran(0, at(100), at(105));
  h.end_turn(0, Pause::timed_out, at(105));
  EXPECT_EQ(h.budget(0), ticks(1));
  EXPECT_EQ(h.pick(at(105)), (H::Answer{H::kNobody, at(110)}));
  EXPECT_EQ(h.pick(at(110)), (H::Answer{0, at(111)}));
}

TEST(Edf, ForgivesWhatIsMoreThanABudget) {
  Drive<Edf> h;
  h.create(0, server(3, 10), at(100));
  const Instant later = at(100 + (uint64_t{1} << 62));
  h.ran(0, at(100), later);
  h.end_turn(0, Pause::timed_out, later);
  EXPECT_EQ(h.budget(0), ticks(1));
  // The period that would be next is over, and so are many more: no use in catching up.
  EXPECT_EQ(h.pick(later), (H::Answer{0, later + ticks(1)}));
  EXPECT_EQ(h.deadline(0), later + ticks(10));
}

TEST(Edf, KeepsWhatAWakeMayKeep) {
  Drive<Edf> h;
  h.create(0, server(4, 16), at(100));
  h.ran(0, at(100), at(103));
  h.block(0, at(103));
  // One tick of budget may be kept while more than four are left: 1 / 4 is the bandwidth.
  h.wake(0, at(111));
  EXPECT_EQ(h.deadline(0), at(116));
  EXPECT_EQ(h.budget(0), ticks(1));
  h.block(0, at(111));
  h.wake(0, at(112));
  EXPECT_EQ(h.deadline(0), at(128));
  EXPECT_EQ(h.budget(0), ticks(4));
}

TEST(Edf, HoldsBackAWakeWithoutBudget) {
  Drive<Edf> h;
  h.create(0, server(4, 16), at(100));
  h.ran(0, at(100), at(104));
  h.block(0, at(104));
  h.wake(0, at(110));
  EXPECT_EQ(h.pick(at(110)), (H::Answer{H::kNobody, at(116)}));
  EXPECT_EQ(h.deadline(0), at(132));

  Drive<Edf> postponed;
  postponed.create(0, soft(4, 16), at(100));
  postponed.ran(0, at(100), at(104));
  postponed.block(0, at(104));
  postponed.wake(0, at(110));
  EXPECT_EQ(postponed.pick(at(110)), (H::Answer{0, at(114)}));
  EXPECT_EQ(postponed.deadline(0), at(132));
}

TEST(Edf, HoldsBackAWakeThatIsTooEarlyForAShorterDeadline) {
  Drive<Edf> h;
  h.create(0, server(2, 20, 4), at(100));
  h.ran(0, at(100), at(101));
  h.block(0, at(101));
  h.wake(0, at(105));  // after the deadline, and before the next period
  EXPECT_EQ(h.pick(at(105)), (H::Answer{H::kNobody, at(120)}));
  EXPECT_EQ(h.deadline(0), at(124));
}

TEST(EdfExact, HoldsBackAWakeUntilTheNextPeriod) {
  Drive<EdfExact> h;
  h.create(0, {.runtime = ticks(4), .period = ticks(16)}, at(100));
  h.ran(0, at(100), at(101));
  h.block(0, at(101));
  h.wake(0, at(102));
  EXPECT_EQ(h.pick(at(102)), (Harness<EdfExact>::Answer{Harness<EdfExact>::kNobody, at(116)}));
  EXPECT_EQ(h.deadline(0), at(132));
}

TEST(Edf, CompletesAJobWithAYield) {
  Drive<Edf> h;
  for (const Overrun overrun : {Overrun::throttle, Overrun::postpone}) {
    h.create(0, server(4, 16, 10, overrun), at(100));
    h.ran(0, at(100), at(102));
    h.end_turn(0, Pause::yielded, at(102));
    EXPECT_EQ(h.pick(at(102)), (H::Answer{H::kNobody, at(116)}));
    EXPECT_EQ(h.deadline(0), at(126));
    EXPECT_EQ(h.budget(0), ticks(4));
    EXPECT_EQ(h.pick(at(116)), (H::Answer{0, at(120)}));
    // Late, but not by a whole period: the next release is where it belongs.
    h.ran(0, at(116), at(118));
    h.end_turn(0, Pause::yielded, at(140));
    EXPECT_EQ(h.pick(at(140)), (H::Answer{0, at(144)}));
    EXPECT_EQ(h.deadline(0), at(142));
    h.block(0, at(140));
  }
}

TEST(Edf, YieldsToTheReleaseThatWasTakenInAdvance) {
  Drive<Edf> h;
  h.create(0, soft(4, 16), at(100));
  h.ran(0, at(100), at(104));
  h.end_turn(0, Pause::timed_out, at(104));  // on the budget of [116, 132)
  h.ran(0, at(104), at(105));
  h.end_turn(0, Pause::yielded, at(105));
  EXPECT_EQ(h.deadline(0), at(132));
  EXPECT_EQ(h.budget(0), ticks(3));
  EXPECT_EQ(h.pick(at(105)), (H::Answer{H::kNobody, at(116)}));
}

TEST(Edf, CountsMisses) {
  Drive<Edf> h;
  h.create(0, server(4, 16), at(100));
  h.create(1, server(4, 20), at(100));
  EXPECT_EQ(h.policy.due(h.entity(0)), at(116));
  h.ran(0, at(115), at(116));
  EXPECT_EQ(h.policy.misses(), 0u);  // in time, to the tick
  h.ran(0, at(116), at(117));
  EXPECT_EQ(h.policy.misses(), 1u);
  EXPECT_EQ(h.policy.misses(h.entity(0)), 1u);
  EXPECT_EQ(h.policy.last_missed(h.entity(0)), at(116));
  h.ran(0, at(117), at(118));
  h.block(0, at(119));
  EXPECT_EQ(h.policy.misses(h.entity(0)), 1u);  // once a job
  h.block(1, at(121));
  EXPECT_EQ(h.policy.misses(h.entity(1)), 1u);
  h.wake(0, at(200));
  h.end_turn(0, Pause::yielded, at(217));
  EXPECT_EQ(h.policy.misses(h.entity(0)), 2u);
  EXPECT_EQ(h.policy.last_missed(h.entity(0)), at(216));
  EXPECT_EQ(h.policy.misses(), 3u);
  h.block(0, at(217));
  h.create(0, server(4, 16), at(300));
  EXPECT_EQ(h.policy.misses(h.entity(0)), 0u);
}

TEST(Edf, ARetuneGivesNoBudgetAway) {
  Drive<Edf> h;
  h.create(0, server(4, 16), at(100));
  h.ran(0, at(100), at(103));
  for (const uint64_t runtime : {8, 4}) {
    ASSERT_EQ(h.dequeue(0, Leave::retuned, at(103)), Links::intact);
    ASSERT_TRUE(h.attach(0, server(runtime, 16)));
    ASSERT_EQ(h.enqueue(0, Enter::retuned, at(103)), Links::intact);
    EXPECT_EQ(h.budget(0), ticks(runtime - 3));
    EXPECT_EQ(h.deadline(0), at(116));
  }
}

TEST(Edf, TakesItsHistoryAlong) {
  Drive<Edf> there;
  Drive<Edf> here;
  there.create(0, server(4, 16), at(100));
  there.ran(0, at(100), at(104));
  there.end_turn(0, Pause::timed_out, at(104));
  ASSERT_EQ(there.dequeue(0, Leave::moved, at(105)), Links::intact);
  there.detach(0);
  here.entities[0] = there.entities[0];
  here.create(1, server(4, 100), at(100));
  ASSERT_TRUE(here.attach(0, server(4, 16)));
  ASSERT_EQ(here.enqueue(0, Enter::moved, at(105)), Links::intact);
  EXPECT_EQ(here.contend(0, 1, at(105)), at(116));
  EXPECT_EQ(here.deadline(0), at(132));
}

TEST(Edf, TellsWhatItKnows) {
  Drive<Edf> h;
  h.create(0, server(4, 16, 8), at(100));
  h.ran(0, at(100), at(101));
  absl::btree_map<std::string, uint64_t> fields;
  h.policy.dump(h.entity(0), [&](const char* name, uint64_t value) { fields[name] = value; });
  EXPECT_EQ(fields, (absl::btree_map<std::string, uint64_t>{{"runtime", 4},
                                                            {"deadline", 8},
                                                            {"period", 16},
                                                            {"due", 108},
                                                            {"budget", 3},
                                                            {"misses", 0}}));
}

TEST(Edf, ReportsBrokenLinks) {
  Drive<Edf> h;
  for (const int e : {0, 1, 2}) h.create(e, server(1, 10), at(100));
  h.entities[0] = h.entities[1];  // the links of another place in the tree
  EXPECT_EQ(h.dequeue(0, Leave::blocked, at(100)), Links::corrupt);
  EXPECT_EQ(h.put_back(0, Pause::yielded, at(100)), Links::corrupt);
}

// --- The ends of the numbers ---

TEST(Edf, ComparesDeadlinesAnyDistanceApart) {
  Drive<Edf> h;
  const uint64_t longest = Edf::kLongestPeriod.ticks;
  const Instant late = at((uint64_t{1} << 63) - 1);
  h.create(0, server(1, longest), at(1));
  h.create(1, server(1, 10), at(1));
  h.create(2, server(1, longest), late);  // as late as a clock gets
  h.create(3, server(1, 10), late);
  EXPECT_EQ(h.deadline(2), late + Edf::kLongestPeriod);
  EXPECT_EQ(h.pick(late).entity, 1);
  EXPECT_EQ(h.contend(2, 0, late), never);
  EXPECT_EQ(h.contend(0, 2, late), late);
  EXPECT_EQ(h.contend(3, 2, late), late);
}

TEST(Edf, PostponesUpToTheEndOfTimeAndNoFurther) {
  Drive<Edf> h;
  h.create(0, soft(1, Edf::kLongestPeriod.ticks), at(1));
  h.create(1, soft(1, 10), at(1));
  Instant last = h.deadline(0);
  for (uint64_t now = 1; now < 100; ++now) {
    h.ran(0, at(now), at(now + 1));
    h.end_turn(0, Pause::timed_out, at(now + 1));
    ASSERT_GE(h.deadline(0), last);
    ASSERT_LT(h.deadline(0), never);
    last = h.deadline(0);
  }
  EXPECT_EQ(h.pick(at(100)).entity, 1);
  h.block(1, at(100));
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, at(101)}));
}

TEST(Edf, ComparesBudgetsInMoreThan64Bits) {
  // Products near 2^120; the budget that is left is a tick less, or not, than what may be kept.
  const uint64_t longest = Edf::kLongestPeriod.ticks;
  for (const uint64_t used : {longest / 4, longest / 4 + 1}) {
    Drive<Edf> h;
    h.create(0, server(longest / 2, longest), at(100));
    h.ran(0, at(100), at(100 + used));
    h.block(0, at(100 + used));
    h.wake(0, at(100 + longest / 2));
    const bool keeps = used > longest / 4;
    EXPECT_EQ(h.budget(0).ticks, keeps ? longest / 2 - used : longest / 2);
    EXPECT_EQ(h.deadline(0).ticks, keeps ? 100 + longest : 100 + longest / 2 + longest);
  }
}

// --- Reclaiming ---

using R = Harness<EdfReclaiming>;

TEST(EdfReclaiming, GivesOneThatIsAloneTheWholeCpu) {
  Drive<EdfReclaiming> h;
  h.create(0, {.runtime = ticks(2), .period = ticks(10)}, at(100));
  EXPECT_EQ(h.pick(at(100)), (R::Answer{0, at(110)}));
  h.ran(0, at(100), at(105));
  EXPECT_EQ(h.budget(0), ticks(1));
}

TEST(EdfReclaiming, GivesNoMoreThanTheLimit) {
  Drive<EdfReclaiming> h;
  ASSERT_TRUE(h.policy.set_limit(ticks(1), ticks(2)));
  h.create(0, {.runtime = ticks(2), .period = ticks(10)}, at(100));
  EXPECT_EQ(h.pick(at(100)), (R::Answer{0, at(105)}));
}

TEST(EdfReclaiming, CountsWhoBlockedUntilItsShareIsUsed) {
  Drive<EdfReclaiming> h;
  h.create(0, {.runtime = ticks(5), .period = ticks(10)}, at(100));
  h.create(1, {.runtime = ticks(10), .period = ticks(20)}, at(100));
  ASSERT_EQ(h.pick(at(100)), (R::Answer{0, at(105)}));
  h.ran(0, at(100), at(103));
  h.block(0, at(103));  // three ticks are what it has a right to by 106
  ASSERT_EQ(h.pick(at(103)), (R::Answer{1, at(113)}));
  h.ran(1, at(103), at(108));  // three at the whole rate, and two at half of it
  EXPECT_EQ(h.budget(1), ticks(6));
  h.end_turn(1, Pause::preempted, at(108));
  EXPECT_EQ(h.pick(at(108)), (R::Answer{1, at(120)}));
  h.wake(0, at(108));
  EXPECT_EQ(h.contend(0, 1, at(108)), at(108));  // its deadline is earlier
  EXPECT_EQ(h.deadline(0), at(118));
}

TEST(EdfReclaiming, TellsThatABudgetEndsEarlierForANewcomer) {
  Drive<EdfReclaiming> h;
  h.create(0, {.runtime = ticks(5), .period = ticks(10)}, at(100));
  ASSERT_EQ(h.pick(at(100)), (R::Answer{0, at(110)}));
  h.create(1, {.runtime = ticks(10), .period = ticks(40)}, at(100));
  EXPECT_EQ(h.contend(1, 0, at(100)), at(107));  // 5 / 0.75, to the next tick
}

TEST(EdfReclaiming, ForgetsWhoIsGone) {
  Drive<EdfReclaiming> h;
  h.create(0, {.runtime = ticks(5), .period = ticks(10)}, at(100));
  h.create(1, {.runtime = ticks(5), .period = ticks(10)}, at(100));
  h.ran(0, at(100), at(101));
  h.block(0, at(101));
  h.detach(0);  // killed while it lingered
  EXPECT_EQ(h.policy.reserved(), bandwidth(ticks(1), ticks(2)));
  EXPECT_EQ(h.pick(at(101)), (R::Answer{1, at(111)}));
}

// --- Against models ---

// The definitions: a list of servers, looked through from end to end.
template <typename Kind, bool kDemand>
struct Servers {
  using H = Harness<Kind>;
  using Attributes = Kind::Attributes;
  // All divide 240, so that by then everything has happened.
  static constexpr std::array<uint64_t, 14> kPeriods = {4,  5,  6,  8,  10, 12, 15,
                                                        16, 20, 24, 30, 40, 60, 80};

  struct Server {
    Attributes attributes;
    bool admitted = false;
    bool runnable = false;
    int64_t budget = 0;
    int64_t release = 0;
    int64_t held = 0;  // until then
    uint64_t place = 0;
    std::optional<int64_t> inherited;

    // What it is queued by.
    int64_t urgency() const { return std::min(deadline(), inherited.value_or(deadline())); }
    int64_t runtime() const { return static_cast<int64_t>(attributes.runtime.ticks); }
    int64_t relative() const { return static_cast<int64_t>(attributes.deadline.ticks); }
    int64_t period() const { return static_cast<int64_t>(attributes.period.ticks); }
    int64_t deadline() const { return release + relative(); }
  };

  void configure(Kind&, absl::BitGenRef) {}
  static Attributes random_attributes(absl::BitGenRef gen) {
    const uint64_t period = kPeriods[absl::Uniform<size_t>(gen, 0, kPeriods.size())];
    const uint64_t most = absl::Bernoulli(gen, 0.05) ? 300 : period;
    const uint64_t deadline =
        absl::Bernoulli(gen, 0.5) ? 0 : absl::Uniform<uint64_t>(gen, 1, most + 1);
    return {.runtime = ticks(absl::Uniform<uint64_t>(gen, 0, period / 3 + 2)),
            .deadline = ticks(deadline),
            .period = ticks(period),
            .overrun = absl::Bernoulli(gen, 0.5) ? Overrun::throttle : Overrun::postpone};
  }

  std::optional<Attributes> accepts(int e, Attributes a) {
    if (a.deadline == Duration{}) a.deadline = a.period;
    if (a.runtime == Duration{} || a.runtime > a.deadline || a.deadline > a.period) return {};
    std::vector<Attributes> all = {a};
    for (int other = 0; other < H::kEntities; ++other) {
      if (other != e && of(other).admitted) all.push_back(of(other).attributes);
    }
    if (kDemand) {
      for (uint64_t end = 1; end <= 480; ++end) {
        uint64_t demand = 0;
        for (const Attributes& task : all) {
          for (uint64_t due = task.deadline.ticks; due <= end; due += task.period.ticks) {
            demand += task.runtime.ticks;
          }
        }
        if (demand > end) return {};
      }
      return a;
    }
    // No sum of twelve fractions with denominators up to 80 is that near to one without being it.
    long double sum = 0;
    for (const Attributes& task : all) {
      sum += static_cast<long double>(task.runtime.ticks) /
             static_cast<long double>(task.deadline.ticks);
    }
    if (sum > 1 + 1e-15L) return {};
    return a;
  }
  void attach(int e, const Attributes& a) {
    Server& s = of(e);
    s.budget += static_cast<int64_t>(a.runtime.ticks) - s.runtime();
    s.attributes = a;
    s.admitted = true;
    s.budget = std::max(s.budget, 1 - s.runtime());
  }
  void detach(int e) {
    of(e).admitted = false;
    of(e).inherited.reset();
  }
  void inherit(int e, std::optional<Instant> claims) {
    of(e).inherited.reset();
    if (claims) of(e).inherited = number(*claims);
  }

  static int64_t number(Instant now) { return static_cast<int64_t>(now.ticks); }
  static int64_t owed(const Server& s) { return std::min<int64_t>(s.budget, 0); }

  void next_period(Server& s) {
    s.release += s.period();
    s.budget = s.runtime() + owed(s);
  }
  void hold(Server& s, int64_t now) {
    const bool held = s.attributes.overrun == Overrun::throttle && s.release > now;
    s.held = held ? s.release : 0;
  }
  void arrive(Server& s, int64_t now) {
    const bool may_keep =
        s.budget > 0 && (kDemand ? now <= s.release
                                 : s.deadline() > now && s.budget * s.relative() <
                                                             (s.deadline() - now) * s.runtime());
    if (now >= s.release + s.period()) {
      s.release = now;
      s.budget = s.runtime() + owed(s);
    } else if (!may_keep && !kDemand && s.budget > 0 && s.relative() == s.period()) {
      s.release = now;
      s.budget = s.runtime();
    } else if (!may_keep) {
      next_period(s);
    }
    hold(s, now);
  }
  void refill(Server& s, int64_t now) {
    next_period(s);
    if (s.deadline() <= now) s.release = now;
    hold(s, now);
  }

  void enqueue(int e, const Attributes&, Enter why, Instant instant) {
    const int64_t now = number(instant);
    Server& s = of(e);
    s.runnable = true;
    s.place = ++clock;
    switch (why) {
      case Enter::created:
        s.release = now;
        s.budget = s.runtime();
        s.held = 0;
        break;
      case Enter::moved:
        if (s.budget <= 0) refill(s, now);
        break;
      case Enter::retuned:
        if (s.held > now) {
          if (s.budget <= 0) s.budget += s.runtime();
          break;
        }
        arrive(s, now);
        break;
      case Enter::inherited:  // nobody waits for it any longer: now it pays
        if (s.inherited) break;
        if (s.budget <= 0) {
          refill(s, now);
        } else if (s.held == 0) {
          hold(s, now);
        }
        break;
      default: arrive(s, now);
    }
    if (s.inherited) s.held = 0;
  }
  void dequeue(int e, Leave why, Instant) {
    of(e).runnable = false;
    if (why == Leave::blocked || why == Leave::exited) of(e).held = 0;
    if (why == Leave::exited) of(e).inherited.reset();
  }
  void put_back(int e, Pause why, Instant instant) {
    const int64_t now = number(instant);
    Server& s = of(e);
    if (why == Pause::yielded) {
      if (s.release <= now || s.budget <= 0) {
        next_period(s);
        if (s.deadline() <= now) s.release = now;
      }
      s.held = s.release > now && !s.inherited ? s.release : 0;
      s.place = ++clock;
    } else if (s.budget <= 0 && !s.inherited) {
      refill(s, now);
      s.place = ++clock;
    }
  }
  void ran(int e, Instant from, Instant to) {
    Server& s = of(e);
    s.budget = std::max(s.budget - number(to) + number(from), 1 - s.runtime());
  }
  H::Answer pick(Instant instant) {
    const int64_t now = number(instant);
    int best = H::kNobody;
    for (int e = 0; e < H::kEntities; ++e) {
      const Server& s = of(e);
      if (!s.runnable || s.held > now) continue;
      if (best == H::kNobody ||
          std::pair(s.urgency(), s.place) < std::pair(of(best).urgency(), of(best).place)) {
        best = e;
      }
    }
    Instant until = never;
    if (best != H::kNobody) {
      const int64_t budget = of(best).budget;
      until = instant + (budget > 0 ? ticks(static_cast<uint64_t>(budget)) : forever);
    }
    for (const Server& s : servers) {
      if (!s.runnable || s.held <= now) continue;
      if (best != H::kNobody &&
          std::pair(s.urgency(), s.place) > std::pair(of(best).urgency(), of(best).place)) {
        continue;
      }
      until = std::min(until, at(static_cast<uint64_t>(s.held)));
    }
    return {best, until};
  }
  Instant contend(int entered, int current, Instant now) {
    const Server& s = of(entered);
    if (s.urgency() >= of(current).urgency()) return never;
    return s.held > number(now) ? at(static_cast<uint64_t>(s.held)) : now;
  }

  Server& of(int e) { return servers[static_cast<size_t>(e)]; }
  std::array<Server, H::kEntities> servers{};
  uint64_t clock = 0;
};

TEST(Edf, MatchesAListOfServers) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    check_against_model<Edf, Servers<Edf, false>>(seed, 3000);
  }
}

TEST(EdfExact, MatchesAListOfServersWithExactAdmission) {
  for (uint64_t seed = 1; seed <= 15; ++seed) {
    check_against_model<EdfExact, Servers<EdfExact, true>>(seed, 2000);
  }
}

}  // namespace
}  // namespace sched::test
