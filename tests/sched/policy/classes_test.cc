// Classes: their order, and what is left to those below. (Against the definition, tick by tick,
// alone and composed: composition_test.cc.)

#include "sched/policy/classes.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "tests/sched/policy/diary.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/schedule.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {
namespace {

using Two = Classes<Fifo, Fifo>;
using Three = Classes<Fifo, Fifo, Fifo>;

static_assert(Charges<Two> && Contends<Two> && KnowsPeers<Two> && Detaches<Two> && Dumps<Two>);
static_assert(HearsOfOthers<Two> && !YieldsTo<Two> && !HearsOfCpu<Two> && !holds_back<Two>);
static_assert(holds_back<Classes<Budgeted<Fifo>, Fifo>>);
static_assert(!KnowsPeers<Classes<Fifo, FixedPriorityThreshold>>);
static_assert(YieldsTo<Classes<Fifo, Diary>> && HearsOfCpu<Classes<Diary, Fifo>>);

// A part for each class, the class, and what is still to be told there.
static_assert(sizeof(Two::Entity) == 16 + 16 + 8);
static_assert(sizeof(Classes<FixedPriority, RoundRobin>::Entity) == 24 + 24 + 8);

template <typename P>
typename Workload<P>::Burst burst(uint64_t work, uint64_t sleep) {
  return {.work = work, .sleep = sleep};
}

TEST(Classes, RunsAClassIfThoseAboveHaveNobody) {
  Workload<Three> w;
  w.spawn(2, Three::in<2>());
  w.spawn(1, [] { return burst<Three>(3, 5); }, Three::in<1>());
  w.spawn(0, [] { return burst<Three>(2, 9); }, Three::in<0>());
  EXPECT_EQ(letters(schedule(w, 22)), "aabbbcccccbaabbcccccbb");
}

TEST(Classes, PreemptsAtOnceForAHigherClassOnly) {
  Harness<Three> h;
  for (const int e : {0, 1, 2}) {
    ASSERT_TRUE(h.attach(e, e == 0 ? Three::in<0>() : e == 1 ? Three::in<1>() : Three::in<2>()));
  }
  ASSERT_EQ(h.enqueue(1), Links::intact);
  ASSERT_EQ(h.pick(at(5)).entity, 1);
  ASSERT_EQ(h.enqueue(2, Enter::created, at(6)), Links::intact);
  EXPECT_EQ(h.contend(2, 1, at(6)), never);
  ASSERT_EQ(h.enqueue(0, Enter::created, at(7)), Links::intact);
  EXPECT_EQ(h.contend(0, 1, at(7)), at(7));
}

TEST(Classes, LendsAClassToWhomSomebodyInItWaitsFor) {
  using P = Classes<FixedPriority, RoundRobin>;
  Harness<P> h;
  h.add(0, P::in<0>({.priority = 5}));
  h.add(1, P::in<0>({.priority = 7}));
  h.add(2, P::in<1>());
  h.add(3, P::in<1>());
  EXPECT_TRUE(P::precedes(h.claim(0), h.claim(2)));
  EXPECT_TRUE(P::precedes(h.claim(1), h.claim(0)));
  EXPECT_EQ(P::join(h.claim(0), h.claim(1)), h.claim(1));
  h.pass_on(3, at(1), h.claim(1));
  EXPECT_EQ(h.claim(3), h.claim(1));
  EXPECT_EQ(h.attributes(3), P::in<1>());
  ASSERT_EQ(h.pick().entity, 1);
  ASSERT_EQ(h.dequeue(1), Links::intact);
  ASSERT_EQ(h.pick().entity, 3);  // at 7, before 0
  h.pass_on(3, at(1), h.claim(0));
  ASSERT_EQ(h.pick().entity, 3);  // before its equal
  h.pass_on(3, at(1));
  EXPECT_EQ(h.claim(3), h.claim(2));
  EXPECT_EQ(h.drain(), (std::vector<int>{0, 2, 3}));
}

TEST(Classes, InheritsNothingFromALaterClass) {
  using P = Classes<FixedPriority, RoundRobin>;
  Harness<P> h;
  h.add(0, P::in<0>({.priority = 5}));
  h.add(1, P::in<1>());
  const P::Claim own = h.claim(0);
  h.pass_on(0, at(1), h.claim(1));
  EXPECT_EQ(h.claim(0), own);
  EXPECT_EQ(h.drain(), (std::vector<int>{0, 1}));
}

TEST(Classes, TakesTheLargerClaimWhereAClassAddsThemUp) {
  using P = Classes<Fifo, Eevdf>;
  Harness<P> h;
  h.add(0, P::in<1>({.weight = 100}));
  h.add(1, P::in<1>({.weight = 300}));
  h.add(2, P::in<1>({.weight = 200}));
  h.pass_on(0, at(1), P::join(h.claim(1), h.claim(2)));
  EXPECT_EQ(h.claim(0), h.claim(1));
  EXPECT_EQ(h.policy.part<1>().claim(h.entities[0]), 300U);
}

TEST(Classes, KeepsAGuestThatIsGivenAnotherClass) {
  using P = Classes<FixedPriority, RoundRobin, Fifo>;
  Harness<P> h;
  h.add(0, P::in<0>({.priority = 5}));
  h.add(1, P::in<1>());
  h.add(2, P::in<2>());
  ASSERT_EQ(h.dequeue(2), Links::intact);
  h.inherit(2, h.claim(0));
  ASSERT_TRUE(h.attach(2, P::in<1>({.slice = ticks(3)})));
  EXPECT_EQ(h.claim(2), h.claim(0));
  EXPECT_EQ(h.attributes(2), P::in<1>({.slice = ticks(3)}));
  ASSERT_EQ(h.enqueue(2, Enter::woken), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{0, 2, 1}));
}

TEST(Classes, TakesTheLastClassForGranted) {
  Harness<Three> h;
  ASSERT_TRUE(h.attach(0));
  EXPECT_EQ(h.attributes(0), Three::in<2>());
  EXPECT_EQ(h.attributes(0).index(), 2U);
}

TEST(Classes, KeepsAttributesOfTheSameKindApart) {
  using P = Classes<FixedPriority, FixedPriority>;
  Harness<P> h;
  ASSERT_TRUE(h.attach(0, P::in<0>({.priority = 7})));
  EXPECT_EQ(h.attributes(0), P::in<0>({.priority = 7}));
  EXPECT_NE(h.attributes(0), P::in<1>({.priority = 7}));
  EXPECT_FALSE(h.attach(0, P::in<1>({.priority = 256})));
  EXPECT_FALSE(h.attach(0, P::in<0>({.priority = 256})));
  EXPECT_EQ(h.attributes(0), P::in<0>({.priority = 7}));
  EXPECT_EQ(h.attributes(0).get<0>().priority, 7);
}

// ---- Reserves

TEST(Classes, StarvesTheLowerOnesWithoutAReserve) {
  Workload<Two> w;
  w.spawn(0, Two::in<0>());
  w.spawn(1, Two::in<1>());
  EXPECT_EQ(letters(schedule(w, 1000)), std::string(1000, 'a'));
}

TEST(Classes, LeavesAReserveAtTheEndOfEachPeriod) {
  Workload<Two> w;
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>(ticks(2), ticks(10)));
  w.spawn(0, Two::in<0>());
  w.spawn(1, Two::in<1>());
  EXPECT_EQ(letters(schedule(w, 30)), "aaaaaaaabbaaaaaaaabbaaaaaaaabb");
}

TEST(Classes, CountsWhatTheLowerOnesGotAnyway) {
  Workload<Two> w;
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>(ticks(3), ticks(10)));
  w.spawn(1, Two::in<1>());
  w.spawn(0, [&w] { return burst<Two>(w.now < 9 ? 4 : 40, 2); }, Two::in<0>());
  // Two of three in the gap, so one is missing; so again; then all three.
  EXPECT_EQ(letters(schedule(w, 30)), "aaaabbaaababbaaaaaabaaaaaaabbb");
}

TEST(Classes, LosesNothingToLowerClassesWithNobody) {
  Workload<Two> w;
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>(ticks(5), ticks(10)));
  w.spawn(0, Two::in<0>());
  EXPECT_EQ(letters(schedule(w, 40)), std::string(40, 'a'));
  EXPECT_EQ(w.h.pick(at(w.now)).until, never);
}

TEST(Classes, OpensAWindowWhenSomebodyComes) {
  Harness<Two> h;
  ASSERT_TRUE(h.policy.set_reserve_below<0>(ticks(2), ticks(10)));
  ASSERT_TRUE(h.attach(0, Two::in<0>()));
  ASSERT_TRUE(h.attach(1, Two::in<1>()));
  ASSERT_EQ(h.enqueue(0), Links::intact);
  ASSERT_EQ(h.pick(at(100)), (Harness<Two>::Answer{0, never}));
  h.ran(0, at(100), at(103));
  ASSERT_EQ(h.enqueue(1, Enter::created, at(103)), Links::intact);
  EXPECT_EQ(h.contend(1, 0, at(103)), at(111));
  h.ran(0, at(103), at(111));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(111)), Links::intact);
  EXPECT_EQ(h.pick(at(111)), (Harness<Two>::Answer{1, at(113)}));
  // Nobody above preempts it before that, a newcomer no more than whoever was there.
  ASSERT_TRUE(h.attach(2, Two::in<0>()));
  ASSERT_EQ(h.enqueue(2, Enter::created, at(112)), Links::intact);
  EXPECT_EQ(h.contend(2, 1, at(112)), at(113));
}

TEST(Classes, KeepsAWindowForWhoeverComesBackWithinIt) {
  Workload<Two> w;
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>(ticks(4), ticks(10)));
  w.spawn(0, Two::in<0>());
  w.spawn(1, [] { return burst<Two>(1, 1); }, Two::in<1>());
  // It sleeps for a tick after each tick; what it does not use is lost to it.
  EXPECT_EQ(letters(schedule(w, 30)), "aaaaaababaaaaaaababaaaaaaababa");
}

TEST(Classes, ServesTheLowestBoundaryFirstAndThatCountsForAllAbove) {
  Workload<Three> w;
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>(ticks(5), ticks(20)));
  ASSERT_TRUE(w.h.policy.set_reserve_below<1>(ticks(2), ticks(20)));
  w.spawn(0, Three::in<0>());
  w.spawn(1, Three::in<1>());
  w.spawn(2, Three::in<2>());
  EXPECT_EQ(letters(schedule(w, 40)), "aaaaaaaaaaaaaaabbbccaaaaaaaaaaaaaaabbbcc");
}

TEST(Classes, LeavesNothingMoreThanHasBeenReservedBelowAHigherBoundary) {
  Workload<Three> w;
  ASSERT_TRUE(w.h.policy.set_reserve_below<1>(ticks(2), ticks(10)));
  w.spawn(0, [] { return burst<Three>(5, 5); }, Three::in<0>());
  w.spawn(1, Three::in<1>());
  w.spawn(2, Three::in<2>());
  EXPECT_EQ(letters(schedule(w, 20)), "aaaaabbbccaaaaabbbcc");
}

TEST(Classes, PassesOverAPressingClassThatHoldsEverybodyBack) {
  using P = Classes<Fifo, Budgeted<Fifo>>;
  Workload<P> w;
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>(ticks(5), ticks(10)));
  w.spawn(0, P::in<0>());
  w.spawn(1, P::in<1>({.budget = ticks(2), .period = ticks(20)}));
  // Its budget is back at 25.
  EXPECT_EQ(letters(schedule(w, 40)),
            "aaaaabb" + std::string(18, 'a') + "bb" + std::string(13, 'a'));
}

TEST(Classes, AsksAgainWhenAHigherClassHasSomebodyBack) {
  using P = Classes<Budgeted<Fifo>, Fifo>;
  Workload<P> w;
  w.spawn(0, P::in<0>({.budget = ticks(2), .period = ticks(7)}));
  w.spawn(1, P::in<1>());
  EXPECT_EQ(letters(schedule(w, 20)), "aabbbbbaabbbbbaabbbb");
}

TEST(Classes, RefusesAReserveOutOfRange) {
  Two policy;
  EXPECT_FALSE(policy.set_reserve_below<0>(ticks(11), ticks(10)));
  EXPECT_FALSE(policy.set_reserve_below<0>(ticks(1), ticks(forever.ticks + 1)));
  EXPECT_TRUE(policy.set_reserve_below<0>(ticks(10), ticks(10)));
  EXPECT_TRUE(policy.set_reserve_below<0>(forever, forever));
  EXPECT_TRUE(policy.set_reserve_below<0>({}, {}));
}

TEST(Classes, TurnsTheOrderRoundWhereAllIsReserved) {
  Workload<Two> w;
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>(ticks(10), ticks(10)));
  w.spawn(0, Two::in<0>());
  w.spawn(1, [] { return burst<Two>(3, 3); }, Two::in<1>());
  EXPECT_EQ(letters(schedule(w, 24)), "bbbaaabbbaaabbbaaabbbaaa");
}

TEST(Classes, TakesAnotherReserveFromNowOn) {
  Workload<Two> w;
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>(ticks(2), ticks(10)));
  w.spawn(0, Two::in<0>());
  w.spawn(1, Two::in<1>());
  EXPECT_EQ(letters(schedule(w, 12)), "aaaaaaaabbaa");
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>(ticks(1), ticks(4)));
  w.retune(0, Two::in<0>());  // for the mechanism to ask
  EXPECT_EQ(letters(schedule(w, 12)), "aaabaaabaaab");
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>({}, {}));
  w.retune(0, Two::in<0>());
  EXPECT_EQ(letters(schedule(w, 12)), "aaaaaaaaaaaa");
}

TEST(Classes, OpensTheWindowThatIsDueHoweverLongNobodyAsked) {
  Harness<Two> h;
  ASSERT_TRUE(h.policy.set_reserve_below<0>(ticks(3), ticks(10)));
  ASSERT_TRUE(h.attach(0, Two::in<0>()));
  ASSERT_TRUE(h.attach(1, Two::in<1>()));
  ASSERT_EQ(h.enqueue(1, Enter::created, at(100)), Links::intact);
  ASSERT_EQ(h.pick(at(100)), (Harness<Two>::Answer{1, never}));
  // A window from 1100 on, of which it has had two ticks.
  h.ran(1, at(100), at(1102));
  ASSERT_EQ(h.enqueue(0, Enter::created, at(1102)), Links::intact);
  ASSERT_EQ(h.contend(0, 1, at(1102)), at(1102));
  ASSERT_EQ(h.put_back(1, Pause::preempted, at(1102)), Links::intact);
  EXPECT_EQ(h.pick(at(1102)), (Harness<Two>::Answer{0, at(1109)}));
}

TEST(Classes, LetsItsWindowsStandStillWhileItIsTaken) {
  Harness<Two> h;
  ASSERT_TRUE(h.policy.set_reserve_below<0>(ticks(2), ticks(10)));
  h.add(0, Two::in<0>());
  ASSERT_TRUE(h.attach(1, Two::in<1>()));
  ASSERT_EQ(h.enqueue(1, Enter::created, at(100)), Links::intact);
  ASSERT_EQ(h.pick(at(100)), (Harness<Two>::Answer{0, at(108)}));
  h.ran(0, at(100), at(103));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(103)), Links::intact);
  h.policy.taken(at(103));
  h.policy.given_back(at(209));
  ASSERT_EQ(h.pick(at(209)), (Harness<Two>::Answer{0, at(214)}));
  h.ran(0, at(209), at(214));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(214)), Links::intact);
  ASSERT_EQ(h.pick(at(214)), (Harness<Two>::Answer{1, at(216)}));
  h.ran(1, at(214), at(215));
  ASSERT_EQ(h.put_back(1, Pause::preempted, at(215)), Links::intact);
  h.policy.taken(at(215));
  h.policy.given_back(at(1009));
  ASSERT_EQ(h.pick(at(1009)), (Harness<Two>::Answer{1, at(1010)}));
}

TEST(Classes, CountsUpToTheEndOfTheClock) {
  Harness<Two> h;
  const Instant late{(uint64_t{1} << 63) - 1000};
  ASSERT_TRUE(h.policy.set_reserve_below<0>(ticks(3), forever));
  for (const int e : {0, 1}) {
    ASSERT_TRUE(h.attach(e, e == 0 ? Two::in<0>() : Two::in<1>()));
    ASSERT_EQ(h.enqueue(e, Enter::created, late), Links::intact);
  }
  ASSERT_EQ(h.pick(late), (Harness<Two>::Answer{0, late + ticks(forever.ticks - 3)}));
  // With nothing missing the next time to press is in the window after this, beyond all clocks.
  ASSERT_EQ(h.dequeue(0, Leave::blocked, late), Links::intact);
  ASSERT_EQ(h.pick(late).entity, 1);
  h.ran(1, late, late + ticks(3));
  ASSERT_EQ(h.enqueue(0, Enter::woken, late + ticks(3)), Links::intact);
  ASSERT_EQ(h.put_back(1, Pause::preempted, late + ticks(3)), Links::intact);
  EXPECT_EQ(h.pick(late + ticks(3)),
            (Harness<Two>::Answer{0, late + forever + ticks(forever.ticks - 3)}));
}

// Whatever everybody does: below each boundary its reserve in each window, and above no more loss
// than that in any stretch as long as the period.
void check_reserves(uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 gen = generator(seed);
  const auto below = [&](uint64_t bound) { return absl::Uniform<uint64_t>(gen, 0, bound); };
  Workload<Three> w;
  std::array<uint64_t, 2> amount{};
  std::array<uint64_t, 2> period{};
  for (const size_t b : {size_t{0}, size_t{1}}) {
    period[b] = 5 + below(60);
    amount[b] = 1 + below(period[b] / 2);
  }
  ASSERT_TRUE(w.h.policy.set_reserve_below<0>(ticks(amount[0]), ticks(period[0])));
  ASSERT_TRUE(w.h.policy.set_reserve_below<1>(ticks(amount[1]), ticks(period[1])));
  constexpr int kTasks = 6;
  std::array<size_t, kTasks> class_of{};
  for (int e = 0; e < kTasks; ++e) {
    const size_t c = static_cast<size_t>(e) % 3;
    class_of[static_cast<size_t>(e)] = c;
    // Some never stop.
    const bool is_endless = below(3) == 0;
    w.spawn(
        e,
        [&below, is_endless] {
          if (is_endless) return Workload<Three>::Burst{};
          return burst<Three>(1 + below(40), 1 + below(60));
        },
        c == 0   ? Three::in<0>()
        : c == 1 ? Three::in<1>()
                 : Three::in<2>());
  }

  // For each tick, who ran, and whether somebody was runnable above and below each boundary.
  struct Tick {
    size_t running = 3;
    std::array<bool, 3> runnable{};
  };
  std::vector<Tick> history;
  for (int i = 0; i < 5000; ++i) {
    Tick tick;
    for (int e = 0; e < kTasks; ++e) {
      if (w.task(e).wakes_at == UINT64_MAX) tick.runnable[class_of[static_cast<size_t>(e)]] = true;
    }
    const int who = schedule(w, 1)[0];
    if (who >= 0) tick.running = class_of[static_cast<size_t>(who)];
    history.push_back(tick);
  }

  for (const size_t b : {size_t{0}, size_t{1}}) {
    const auto wants = [&](const Tick& tick) {
      return tick.runnable[2] || (b == 0 && tick.runnable[1]);
    };
    const auto gets = [&](const Tick& tick) { return tick.running != 3 && tick.running > b; };
    // Two periods on end, in which somebody below wants to run all the time, contain a window.
    uint64_t wanted = 0;
    uint64_t got = 0;
    for (size_t t = 0; t < history.size(); ++t) {
      wanted = wants(history[t]) ? wanted + 1 : 0;
      got += gets(history[t]) ? 1 : 0;
      const size_t both = 2 * period[b];
      if (t >= both) got -= gets(history[t - both]) ? 1 : 0;
      if (wanted >= both) {
        ASSERT_GE(got, amount[b]) << "below " << b << " at " << t;
      }
    }
  }
  // What the first class loses, it loses to the two boundaries below it.
  const auto loses = [&](const Tick& tick) { return tick.runnable[0] && tick.running != 0; };
  uint64_t lost = 0;
  const uint64_t shorter = std::min(period[0], period[1]);
  for (size_t t = 0; t < history.size(); ++t) {
    lost += loses(history[t]) ? 1 : 0;
    if (t >= shorter) lost -= loses(history[t - shorter]) ? 1 : 0;
    ASSERT_LE(lost, amount[0] + amount[1]) << t;
  }
  // The second loses to the second only, but for what the first takes.
  const auto second_loses = [&](const Tick& tick) { return tick.runnable[1] && tick.running == 2; };
  lost = 0;
  for (size_t t = 0; t < history.size(); ++t) {
    lost += second_loses(history[t]) ? 1 : 0;
    if (t >= period[1]) lost -= second_loses(history[t - period[1]]) ? 1 : 0;
    ASSERT_LE(lost, amount[1]) << t;
  }
}

TEST(Classes, LeavesTheReserveAndNoMoreWhateverEverybodyDoes) {
  for (uint64_t seed = 1; seed <= 30; ++seed) check_reserves(seed);
}

// ---- What the parts are told

using Diaries = Classes<Diary, Diary>;

struct Told {
  Harness<Diaries> h;
  std::string take() { return h.policy.part<0>().take() + " | " + h.policy.part<1>().take(); }
};

TEST(Classes, BeginsAnewInAnotherClass) {
  Told t;
  ASSERT_TRUE(t.h.attach(0, Diaries::in<0>()));
  ASSERT_EQ(t.h.enqueue(0), Links::intact);
  ASSERT_EQ(t.h.dequeue(0, Leave::retuned), Links::intact);
  EXPECT_EQ(t.take(), "attach +created -retuned | ");
  ASSERT_TRUE(t.h.attach(0, Diaries::in<1>()));
  EXPECT_EQ(t.take(), "detach | attach");
  ASSERT_EQ(t.h.enqueue(0, Enter::retuned), Links::intact);
  EXPECT_EQ(t.take(), " | +created");
  // Back, while it is blocked: it is not the one it was before.
  ASSERT_EQ(t.h.dequeue(0, Leave::blocked), Links::intact);
  ASSERT_TRUE(t.h.attach(0, Diaries::in<0>()));
  ASSERT_EQ(t.h.enqueue(0, Enter::woken), Links::intact);
  EXPECT_EQ(t.take(), "attach +created | -blocked detach");
}

TEST(Classes, StaysInItsClassAsItWasIfTheOtherRefuses) {
  Told t;
  ASSERT_TRUE(t.h.attach(0, Diaries::in<0>()));
  ASSERT_EQ(t.h.enqueue(0), Links::intact);
  ASSERT_EQ(t.h.dequeue(0, Leave::retuned), Links::intact);
  t.h.policy.part<1>().refuses = true;
  ASSERT_FALSE(t.h.attach(0, Diaries::in<1>()));
  ASSERT_EQ(t.h.enqueue(0, Enter::retuned), Links::intact);
  EXPECT_EQ(t.take(), "attach +created -retuned +retuned | refused");
  EXPECT_EQ(t.h.attributes(0), Diaries::in<0>());
}

TEST(Classes, TakesItsHistoryAlongToAnotherCpu) {
  Told t;
  Told other;
  ASSERT_TRUE(t.h.attach(0, Diaries::in<0>()));
  ASSERT_EQ(t.h.enqueue(0), Links::intact);
  ASSERT_EQ(t.h.dequeue(0, Leave::moved), Links::intact);
  t.h.detach(0);
  EXPECT_EQ(t.take(), "attach +created -moved detach | ");
  ASSERT_TRUE(t.h.attach(0, Diaries::in<0>()));
  ASSERT_EQ(t.h.enqueue(0, Enter::moved), Links::intact);
  EXPECT_EQ(t.take(), "attach +moved | ");
}

TEST(Classes, TellsAClassThatOthersArePreferred) {
  Told t;
  t.h.policy.online(at(1));
  EXPECT_EQ(t.take(), "online | online");
  ASSERT_TRUE(t.h.attach(0, Diaries::in<0>()));
  ASSERT_TRUE(t.h.attach(1, Diaries::in<1>()));
  ASSERT_EQ(t.h.enqueue(1), Links::intact);
  ASSERT_EQ(t.h.pick(at(10)).entity, 1);
  EXPECT_EQ(t.take(), "attach ? | attach +created ?");
  ASSERT_EQ(t.h.enqueue(0, Enter::created, at(20)), Links::intact);
  ASSERT_EQ(t.h.contend(0, 1, at(20)), at(20));
  ASSERT_EQ(t.h.put_back(1, Pause::preempted, at(20)), Links::intact);
  ASSERT_EQ(t.h.pick(at(20)), (Harness<Diaries>::Answer{0, at(120)}));
  EXPECT_EQ(t.take(), "+created ? | preempted taken");
  ASSERT_EQ(t.h.put_back(0, Pause::timed_out, at(120)), Links::intact);
  ASSERT_EQ(t.h.pick(at(120)).entity, 0);
  EXPECT_EQ(t.take(), "timed_out ? | ");
  ASSERT_EQ(t.h.dequeue(0, Leave::blocked, at(130)), Links::intact);
  ASSERT_EQ(t.h.pick(at(130)).entity, 1);
  EXPECT_EQ(t.take(), "-blocked ? | given_back ?");
  ASSERT_EQ(t.h.put_back(1, Pause::preempted, at(140)), Links::intact);
  t.h.policy.taken(at(140));
  t.h.policy.given_back(at(150));
  ASSERT_EQ(t.h.pick(at(150)).entity, 1);
  EXPECT_EQ(t.take(), "taken given_back ? | preempted taken given_back ?");
  t.h.policy.offline(at(160));
  EXPECT_EQ(t.take(), "offline | offline");
}

TEST(Classes, YieldsToWhoeverIsInTheSameClass) {
  Told t;
  for (const int e : {0, 1}) {
    ASSERT_TRUE(t.h.attach(e, Diaries::in<0>()));
    ASSERT_EQ(t.h.enqueue(e), Links::intact);
  }
  ASSERT_TRUE(t.h.attach(2, Diaries::in<1>()));
  ASSERT_EQ(t.h.enqueue(2), Links::intact);
  ASSERT_EQ(t.h.pick(at(10)).entity, 0);
  t.take();
  ASSERT_EQ(t.h.yield_to(0, 1, at(11)), Links::intact);
  ASSERT_EQ(t.h.pick(at(11)).entity, 1);
  EXPECT_EQ(t.take(), "yield_to ? | ");
  ASSERT_EQ(t.h.yield_to(1, 2, at(12)), Links::intact);
  ASSERT_EQ(t.h.pick(at(12)).entity, 0);
  EXPECT_EQ(t.take(), "yielded ? | ");
}

TEST(Classes, TellsAPersonTheClass) {
  Told t;
  ASSERT_TRUE(t.h.attach(0, Diaries::in<1>()));
  std::string text;
  t.h.policy.dump(t.h.entities[0], [&](const char* name, uint64_t value) {
    text += std::string(name) + "=" + std::to_string(value) + " ";
  });
  EXPECT_EQ(text, "class=1 diary=1 ");
}

TEST(Classes, ReportsBrokenLinks) {
  using P = Classes<RoundRobin, Fifo>;
  Harness<P> h;
  for (const int e : {0, 1, 2}) h.add(e, P::in<1>());
  ASSERT_EQ(h.pick(at(100)).entity, 0);
  RingLink<Fifo>& link = h.entities[1];
  link.prev = &link;
  EXPECT_EQ(h.put_back(0, Pause::yielded, at(101)), Links::corrupt);
  EXPECT_EQ(h.dequeue(0, Leave::blocked, at(101)), Links::corrupt);
  RingLink<Fifo>& back = h.entities[2];
  back.next = &link;
  ASSERT_TRUE(h.attach(3, P::in<1>()));
  EXPECT_EQ(h.enqueue(3, Enter::created, at(101)), Links::corrupt);
}

}  // namespace
}  // namespace sched::test
