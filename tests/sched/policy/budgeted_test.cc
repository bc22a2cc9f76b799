// Budgets: what they promise, over several policies. (Against the definition, tick by tick, alone
// and composed: composition_test.cc.)

#include "sched/policy/budgeted.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "tests/sched/policy/diary.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/schedule.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {
namespace {

using B = Budgeted<FixedPriority>;
using H = Harness<B>;
using Attributes = B::Attributes;

static_assert(Charges<B> && Contends<B> && Dumps<B> && HearsOfOthers<B> && holds_back<B>);
static_assert(KnowsPeers<B> && !KnowsPeers<Budgeted<FixedPriorityThreshold>>);
static_assert(!YieldsTo<B> && !Detaches<B> && !HearsOfCpu<B>);

// The entity of the policy under it, the hook of the held-back ones, what it used, its budget.
static_assert(sizeof(Budgeted<Fifo>::Entity) == 16 + 152);
static_assert(sizeof(Budgeted<Fifo, 1>::Entity) == 16 + 104);
static_assert(sizeof(B::Entity) == 24 + 152);

Attributes budget(uint16_t priority, uint64_t budget, uint64_t period) {
  return {.inner = {.priority = priority}, .budget = ticks(budget), .period = ticks(period)};
}

// The most that `e` ran in any `period` ticks.
uint64_t most_in_window(const std::vector<int>& who, int e, uint64_t period) {
  uint64_t most = 0;
  uint64_t in_window = 0;
  for (size_t tick = 0; tick < who.size(); ++tick) {
    if (tick >= period && who[tick - period] == e) --in_window;
    if (who[tick] == e) ++in_window;
    most = std::max(most, in_window);
  }
  return most;
}

TEST(Budgeted, HoldsBackWhoHasUsedItsBudget) {
  Workload<B> w;
  w.spawn(0, budget(9, 3, 10));
  w.spawn(1, budget(1, 0, 0));
  EXPECT_EQ(letters(schedule(w, 25)), "aaabbbbbbbaaabbbbbbbaaabb");
}

TEST(Budgeted, DoesNotHoldBackWhoInherits) {
  H h;
  h.add(0, budget(5, 3, 10));
  h.add(1, budget(4, 0, 0));
  ASSERT_EQ(h.pick(at(100)), (H::Answer{0, at(103)}));
  h.ran(0, at(100), at(103));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(103)), Links::intact);
  ASSERT_EQ(h.pick(at(103)).entity, 1);
  h.pass_on(0, at(104), h.claim(1));
  EXPECT_EQ(h.contend(0, 1, at(104)), at(104));
  ASSERT_EQ(h.put_back(1, Pause::preempted, at(104)), Links::intact);
  ASSERT_EQ(h.pick(at(104)).entity, 0);
  h.ran(0, at(104), at(107));
  h.pass_on(0, at(107));
  EXPECT_EQ(h.pick(at(107)), (H::Answer{1, at(114)}));  // what came back at 110 it had used before
}

TEST(Budgeted, IdlesIfAllAreHeldBack) {
  Workload<B> w;
  w.spawn(0, budget(9, 2, 5));
  w.spawn(1, budget(1, 1, 10));
  EXPECT_EQ(letters(schedule(w, 20)), "aab--aa---aab--aa---");
}

TEST(Budgeted, SaysHowLongAnAnswerHolds) {
  H h;
  h.add(0, budget(9, 3, 10));
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, at(103)}));
  h.ran(0, at(100), at(103));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(103)), Links::intact);
  EXPECT_EQ(h.pick(at(103)), (H::Answer{H::kNobody, at(110)}));
  EXPECT_EQ(h.pick(at(110)), (H::Answer{0, at(113)}));
}

TEST(Budgeted, BringsBackEachPieceOnePeriodAfterItWasUsed) {
  Workload<B> w;
  const std::array<Workload<B>::Burst, 4> bursts = {{{1, 2}, {2, 3}, {1, 1}, {}}};
  size_t next = 0;
  w.spawn(0, [&] { return bursts[next++]; }, budget(9, 4, 20));
  // Used at 0, at 3 and 4, at 8: back at 20, at 23 and 24, at 28.
  EXPECT_EQ(letters(schedule(w, 50)), "a--aa---a-----------a--aa---a-----------a--aa---a-");
}

TEST(Budgeted, RunsOnThroughWhatComesBackMeanwhile) {
  H h;
  h.add(0, budget(9, 4, 20));
  ASSERT_EQ(h.pick(at(100)).until, at(104));
  h.ran(0, at(100), at(102));
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(102)), Links::intact);
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(119)), Links::intact);
  // Two are left at 119; the two of 100 are back at 120 and 121.
  EXPECT_EQ(h.pick(at(119)), (H::Answer{0, at(123)}));
}

TEST(Budgeted, HasNoLimitWithoutABudget) {
  for (const uint64_t none : {uint64_t{0}, forever.ticks}) {
    H h;
    h.add(0, budget(9, none, 0));
    EXPECT_EQ(h.pick(at(100)).entity, 0);
    h.ran(0, at(100), at(1'000'000));
    ASSERT_EQ(h.put_back(0, Pause::timed_out, at(1'000'000)), Links::intact);
    EXPECT_EQ(h.pick(at(1'000'000)).entity, 0);
  }
}

TEST(Budgeted, AllowsABudgetOfAllThePeriod) {
  Workload<B> w;
  w.spawn(0, budget(9, 5, 5));
  EXPECT_EQ(letters(schedule(w, 30)), std::string(30, 'a'));
}

TEST(Budgeted, RefusesWhatIsOutOfRangeAndKeepsTheOld) {
  H h;
  ASSERT_TRUE(h.attach(0, budget(7, 3, 10)));
  EXPECT_FALSE(h.attach(0, budget(7, 11, 10)));
  EXPECT_FALSE(h.attach(0, budget(7, 1, 0)));
  EXPECT_FALSE(h.attach(0, budget(7, 1, forever.ticks + 1)));
  EXPECT_FALSE(h.attach(0, budget(7, UINT64_MAX, UINT64_MAX)));
  EXPECT_FALSE(h.attach(0, budget(256, 4, 10)));  // what the policy under it refuses
  EXPECT_EQ(h.attributes(0), budget(7, 3, 10));
  EXPECT_TRUE(h.attach(0, budget(8, forever.ticks - 1, forever.ticks)));
  EXPECT_EQ(h.attributes(0), budget(8, forever.ticks - 1, forever.ticks));
}

TEST(Budgeted, MakesAnOverrunWaitForAllOfIt) {
  H h;
  h.add(0, budget(9, 3, 10));
  ASSERT_EQ(h.pick(at(100)).until, at(103));
  h.ran(0, at(100), at(105));  // a guard, say
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(105)), Links::intact);
  // The last three of five ticks count: the first of them, 102, is back at 112.
  EXPECT_EQ(h.pick(at(105)), (H::Answer{H::kNobody, at(112)}));
  EXPECT_EQ(h.pick(at(112)), (H::Answer{0, at(115)}));
}

TEST(Budgeted, MakesALateStretchWaitForWhatItAddsToOlderOnes) {
  H h;
  h.add(0, budget(9, 4, 20));
  ASSERT_EQ(h.pick(at(100)).until, at(104));
  h.ran(0, at(100), at(102));
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(102)), Links::intact);
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(105)), Links::intact);
  ASSERT_EQ(h.pick(at(105)).until, at(107));
  h.ran(0, at(105), at(108));  // one too long: of 100, 101 and 105 to 107 the first is forgotten
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(108)), Links::intact);
  EXPECT_EQ(h.pick(at(108)), (H::Answer{H::kNobody, at(121)}));
  EXPECT_EQ(h.pick(at(121)), (H::Answer{0, at(122)}));
}

TEST(Budgeted, HoldsBackOneThatWakesTooSoonAndAsksForItInTime) {
  H h;
  h.add(0, budget(9, 3, 10));
  h.add(1, budget(1, 0, 0));
  ASSERT_EQ(h.pick(at(100)).entity, 0);
  h.ran(0, at(100), at(103));
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(103)), Links::intact);
  ASSERT_EQ(h.pick(at(103)).entity, 1);
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(105)), Links::intact);
  EXPECT_EQ(h.contend(0, 1, at(105)), at(110));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(110)), Links::intact);
  EXPECT_EQ(h.pick(at(110)), (H::Answer{0, at(113)}));
}

TEST(Budgeted, CountsWhatWasUsedUnderOtherAttributes) {
  H h;
  h.add(0, budget(9, 8, 20));
  ASSERT_EQ(h.pick(at(100)).until, at(108));
  h.ran(0, at(100), at(106));
  const auto retune = [&](const Attributes& attributes) {
    ASSERT_EQ(h.dequeue(0, Leave::retuned, at(106)), Links::intact);
    ASSERT_TRUE(h.attach(0, attributes));
    ASSERT_EQ(h.enqueue(0, Enter::retuned, at(106)), Links::intact);
  };
  retune(budget(9, 4, 20));
  EXPECT_EQ(h.pick(at(106)), (H::Answer{H::kNobody, at(122)}));
  retune(budget(9, 4, 30));
  EXPECT_EQ(h.pick(at(106)), (H::Answer{H::kNobody, at(132)}));
  retune(budget(9, 7, 30));
  EXPECT_EQ(h.pick(at(106)), (H::Answer{0, at(107)}));
}

TEST(Budgeted, BeginsEachLifeWithAFullBudget) {
  H h;
  h.add(0, budget(9, 3, 10));
  ASSERT_EQ(h.pick(at(100)).entity, 0);
  h.ran(0, at(100), at(103));
  ASSERT_EQ(h.dequeue(0, Leave::exited, at(103)), Links::intact);
  ASSERT_TRUE(h.attach(0, budget(9, 3, 10)));
  ASSERT_EQ(h.enqueue(0, Enter::created, at(103)), Links::intact);
  EXPECT_EQ(h.pick(at(103)), (H::Answer{0, at(106)}));
}

TEST(Budgeted, ReleasesInOrderOfTimeAndThenOfComing) {
  Harness<Budgeted<Fifo>> h;
  const auto use_up = [&](int e, uint64_t from, uint64_t to) {
    ASSERT_EQ(h.pick(at(from)).entity, e);
    h.ran(e, at(from), at(to));
    ASSERT_EQ(h.put_back(e, Pause::timed_out, at(to)), Links::intact);
  };
  const std::array<uint64_t, 4> periods = {90, 80, 80, 79};
  for (int e = 0; e < 4; ++e) {
    h.add(e, {.budget = ticks(1), .period = ticks(periods[static_cast<size_t>(e)])});
  }
  for (int e = 0; e < 4; ++e) {
    use_up(e, 100 + static_cast<uint64_t>(e), 101 + static_cast<uint64_t>(e));
  }
  // Due at 190, 181, 182 and 182.
  EXPECT_EQ(h.pick(at(104)).until, at(181));
  EXPECT_EQ(h.pick(at(200)).entity, 1);
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 2, 3, 0}));
}

// Others' budgets come back all the time; who takes turns does so as if he did not notice.
TEST(Budgeted, LeavesSlicesAsTheyAre) {
  using W = Workload<Budgeted<RoundRobin>>;
  W w;
  const auto slice = [](uint64_t length) { return RoundRobin::Attributes{.slice = ticks(length)}; };
  w.spawn(0, {.inner = slice(6)});
  w.spawn(1, {.inner = slice(6)});
  w.spawn(2, {.inner = slice(6), .budget = ticks(1), .period = ticks(4)});
  w.run(10'000);
  // 2 joins the line every time that it is released, and gets a tick whenever it is its turn.
  EXPECT_NEAR(static_cast<double>(w.used(0)), static_cast<double>(w.used(1)), 6);
  EXPECT_GT(w.used(2), 10'000U / 14);
  EXPECT_GT(w.used(0), 4000U);
}

// As often as anybody asks. Whatever the number of refills, and whoever comes in between: never
// more than the budget in any period. And who is never kept waiting gets no less.
template <size_t kRefills>
void check_windows(uint64_t seed) {
  SCOPED_TRACE("refills " + std::to_string(kRefills) + ", seed " + std::to_string(seed));
  using P = Budgeted<FixedPriority, kRefills>;
  std::mt19937_64 gen = generator(seed);
  const auto below = [&](uint64_t bound) { return absl::Uniform<uint64_t>(gen, 0, bound); };
  Workload<P> w;
  constexpr int kTasks = 6;
  std::array<Attributes, kTasks> given;
  for (int e = 0; e < kTasks; ++e) {
    const uint64_t period = 10 + below(90);
    Attributes& attributes = given[static_cast<size_t>(e)];
    // The most urgent of all always wants to run.
    attributes =
        budget(static_cast<uint16_t>(e == 0 ? 9 : below(4)), 1 + below(period / 2), period);
    w.spawn(e,
            [&below, e] {
              if (e == 0) return typename Workload<P>::Burst{};
              return typename Workload<P>::Burst{1 + below(6), below(12)};
            },
            {.inner = attributes.inner, .budget = attributes.budget, .period = attributes.period});
  }
  constexpr uint64_t kTicks = 5000;
  const std::vector<int> who = schedule(w, kTicks);
  for (int e = 0; e < kTasks; ++e) {
    const Attributes& attributes = given[static_cast<size_t>(e)];
    EXPECT_LE(most_in_window(who, e, attributes.period.ticks), attributes.budget.ticks) << e;
  }
  const Attributes& first = given[0];
  EXPECT_GE(w.used(0), kTicks / first.period.ticks * first.budget.ticks);
}

TEST(Budgeted, NeverExceedsABudgetInAnyWindow) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    check_windows<1>(seed);
    check_windows<2>(seed);
    check_windows<4>(seed);
    check_windows<64>(seed);
  }
}

// With few refills, what came in many pieces comes back late, and never early.
TEST(Budgeted, TakesTogetherTheClosestPiecesWhenThereAreTooMany) {
  Harness<Budgeted<Fifo, 2>> h;
  h.add(0, {.budget = ticks(10), .period = ticks(100)});
  Instant last;
  for (const uint64_t when : {1000, 1020, 1023}) {
    if (last != Instant{}) {
      ASSERT_EQ(h.enqueue(0, Enter::woken, at(when)), Links::intact);
    }
    ASSERT_EQ(h.pick(at(when)).entity, 0);
    last = at(when + 2);
    h.ran(0, at(when), last);
    ASSERT_EQ(h.dequeue(0, Leave::blocked, last), Links::intact);
  }
  // The next makes room: [1020, 1022) and [1023, 1025) become [1021, 1025).
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(1030)), Links::intact);
  ASSERT_EQ(h.pick(at(1030)), (Harness<Budgeted<Fifo, 2>>::Answer{0, at(1034)}));
  h.ran(0, at(1030), at(1034));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(1034)), Links::intact);
  EXPECT_EQ(h.pick(at(1034)).until, at(1100));
  EXPECT_EQ(h.pick(at(1100)).until, at(1102));
  h.ran(0, at(1100), at(1102));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(1102)), Links::intact);
  // Half of the first was still in the window at 1100: the others became [1026, 1034).
  EXPECT_EQ(h.pick(at(1102)).until, at(1126));
  EXPECT_EQ(h.pick(at(1126)).until, at(1134));
}

using D = Budgeted<Diary>;
constexpr D::Attributes kThreeOfTen{.budget = Duration{3}, .period = Duration{10}};

TEST(Budgeted, TellsThePolicyThatAHeldBackOneIsElsewhere) {
  Harness<D> h;
  h.add(0, kThreeOfTen);
  ASSERT_EQ(h.pick(at(100)).until, at(103));
  h.ran(0, at(100), at(103));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(103)), Links::intact);
  ASSERT_EQ(h.pick(at(103)).until, at(110));
  EXPECT_EQ(h.policy.inner().take(), "attach +created ? -moved ?");
  ASSERT_EQ(h.pick(at(110)).entity, 0);
  EXPECT_EQ(h.policy.inner().take(), "+moved ?");
}

TEST(Budgeted, TellsThePolicyWhyOneCameThatHadToWait) {
  Harness<D> h;
  h.add(0, kThreeOfTen);
  ASSERT_EQ(h.pick(at(100)).until, at(103));
  h.ran(0, at(100), at(103));
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(103)), Links::intact);
  EXPECT_EQ(h.policy.inner().take(), "attach +created ? -blocked");
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(104)), Links::intact);
  // To the policy it has not woken yet, whatever else happens to it meanwhile.
  for (const auto& [leave, enter] :
       {std::pair(Leave::retuned, Enter::retuned), std::pair(Leave::moved, Enter::moved)}) {
    ASSERT_EQ(h.dequeue(0, leave, at(105)), Links::intact);
    ASSERT_TRUE(h.attach(0, kThreeOfTen));
    ASSERT_EQ(h.enqueue(0, enter, at(105)), Links::intact);
  }
  EXPECT_EQ(h.policy.inner().take(), "attach attach");
  ASSERT_EQ(h.pick(at(110)).entity, 0);
  EXPECT_EQ(h.policy.inner().take(), "+woken ?");
}

TEST(Budgeted, EndsATurnOfThePolicyOnlyForItsOwnSake) {
  Harness<D> h;
  h.add(0);
  h.add(1, kThreeOfTen);
  ASSERT_EQ(h.pick(at(100)), (Harness<D>::Answer{0, at(200)}));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(110)), Links::intact);
  ASSERT_EQ(h.pick(at(110)), (Harness<D>::Answer{0, at(200)}));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(120)), Links::intact);
  ASSERT_EQ(h.pick(at(120)), (Harness<D>::Answer{0, at(200)}));
  EXPECT_EQ(h.policy.inner().take(), "attach +created attach +created ?");
  // The kernel needed the CPU for a moment: then nobody ran.
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(130)), Links::intact);
  ASSERT_EQ(h.pick(at(131)), (Harness<D>::Answer{0, at(231)}));
  EXPECT_EQ(h.policy.inner().take(), "preempted ?");
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(231)), Links::intact);
  ASSERT_EQ(h.pick(at(231)).entity, 0);
  EXPECT_EQ(h.policy.inner().take(), "timed_out ?");
  ASSERT_EQ(h.put_back(0, Pause::yielded, at(240)), Links::intact);
  ASSERT_EQ(h.pick(at(240)).entity, 1);
  EXPECT_EQ(h.policy.inner().take(), "yielded ?");
}

TEST(Budgeted, PassesOnWhatThePolicyAsksFor) {
  Harness<D> h;
  h.policy.online(at(1));
  h.add(0);
  h.add(1, kThreeOfTen);
  ASSERT_EQ(h.pick(at(100)).entity, 0);
  ASSERT_EQ(h.yield_to(0, 1, at(101)), Links::intact);
  ASSERT_EQ(h.pick(at(101)).entity, 1);
  EXPECT_EQ(h.policy.inner().take(), "online attach +created attach +created ? yield_to ?");
  h.ran(1, at(101), at(104));
  // Nobody yields to one that is held back, nor one that has nothing left to yield.
  ASSERT_EQ(h.yield_to(1, 0, at(104)), Links::intact);
  ASSERT_EQ(h.pick(at(104)).entity, 0);
  ASSERT_EQ(h.yield_to(0, 1, at(105)), Links::intact);
  ASSERT_EQ(h.pick(at(105)).entity, 0);
  EXPECT_EQ(h.policy.inner().take(), "-moved ? yielded ?");
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(106)), Links::intact);
  h.policy.taken(at(106));
  h.policy.given_back(at(108));
  ASSERT_EQ(h.pick(at(108)).entity, 0);
  EXPECT_EQ(h.policy.inner().take(), "preempted taken given_back ?");
  ASSERT_EQ(h.dequeue(0, Leave::exited, at(109)), Links::intact);
  h.detach(0);
  h.policy.offline(at(110));
  EXPECT_EQ(h.policy.inner().take(), "-exited detach offline");
}

TEST(Budgeted, TellsAPersonWhatIsLeft) {
  Harness<D> h;
  h.add(0, kThreeOfTen);
  h.add(1);
  ASSERT_EQ(h.pick(at(100)).entity, 0);
  h.ran(0, at(100), at(103));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(103)), Links::intact);
  const auto told = [&](int e) {
    std::string text;
    h.policy.dump(h.entities[static_cast<size_t>(e)], [&](const char* name, uint64_t value) {
      text += std::string(name) + "=" + std::to_string(value) + " ";
    });
    return text;
  };
  EXPECT_EQ(told(0), "diary=1 budget=3 period=10 used=3 held_until=110 ");
  EXPECT_EQ(told(1), "diary=1 ");
}

TEST(Budgeted, CountsUpToTheEndOfTheClock) {
  H h;
  const Instant late{(uint64_t{1} << 63) - 1000};
  h.add(0, budget(9, 3, forever.ticks));
  ASSERT_EQ(h.pick(late), (H::Answer{0, late + ticks(3)}));
  h.ran(0, late, late + ticks(3));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, late + ticks(3)), Links::intact);
  EXPECT_EQ(h.pick(late + ticks(3)), (H::Answer{H::kNobody, late + forever}));
  h.add(1, budget(9, forever.ticks - 1, forever.ticks));
  EXPECT_EQ(h.pick(late + ticks(9)), (H::Answer{1, late + forever}));  // as 0 comes back
}

TEST(Budgeted, CountsFromTheBeginningOfTheClock) {
  H h;
  ASSERT_TRUE(h.attach(0, budget(9, 3, 1000)));
  ASSERT_EQ(h.enqueue(0, Enter::created, at(0)), Links::intact);
  ASSERT_EQ(h.pick(at(0)), (H::Answer{0, at(3)}));
  h.ran(0, at(0), at(3));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(3)), Links::intact);
  EXPECT_EQ(h.pick(at(3)).until, at(1000));
}

TEST(Budgeted, ReportsBrokenLinks) {
  Harness<Budgeted<Fifo>> h;
  for (const int e : {0, 1, 2}) h.add(e, {.budget = ticks(3), .period = ticks(10)});
  ASSERT_EQ(h.pick(at(100)).entity, 0);
  h.ran(0, at(100), at(103));
  RingLink<Fifo>& link = h.entities[1];
  link.prev = &link;
  EXPECT_EQ(h.put_back(0, Pause::timed_out, at(103)), Links::corrupt);
  EXPECT_EQ(h.dequeue(1, Leave::blocked, at(103)), Links::corrupt);
}

}  // namespace
}  // namespace sched::test
