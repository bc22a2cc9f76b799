// The servers of earliest deadline first: what a budget lasts for, who is held back or postponed,
// what a wake may keep, what is reclaimed, and all that at the ends of the numbers.

#include <cstdint>

#include "gtest/gtest.h"
#include "sched/policy/edf.h"
#include "tests/sched/policy/edf_kit.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

using H = Harness<Edf>;

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

}  // namespace
}  // namespace sched::test
