// A clock that does what clocks should not: it steps back, or leaps by years.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "hal/steady_clock.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/edf.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/lottery.h"
#include "sched/policy/mlfq.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/stride.h"
#include "sched/sync/mutex.h"
#include "sched/time/periodic.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

constexpr uint64_t kYear = uint64_t{31'557'600} * 1'000'000'000;

// The world's clock, set to something else. What is armed is compared with it.
struct Wobbly : Sim {
  static inline uint64_t ahead = 0;

  static Instant now() { return Instant{Sim::now().ticks + ahead}; }
  static void arm(Instant when) {
    if (when == never) return Sim::arm(never);
    Sim::arm(Instant{when.ticks < ahead ? 0 : when.ticks - ahead});
  }
};
using Steady = hal::SteadyClock<Wobbly>;
static_assert(hal::Machine<Steady>);

template <Policy P, hal::Machine M = Steady>
using ClockKernel = Kernel<P, Options{.debug_checks = true}, M>;

class Clock : public testing::Test {
 protected:
  Clock() { Wobbly::ahead = 1'000'000; }
};

TEST_F(Clock, ThatStepsBackStandsStillUntilItHasCaughtUp) {
  using K = ClockKernel<RoundRobin>;
  using S = K::S;
  K kernel;
  auto& task = kernel.make("task", [&] {
    const Instant begin = S::now();
    Wobbly::ahead -= 500;
    EXPECT_EQ(S::now(), begin);
    Sim::spend(ticks(499));
    EXPECT_EQ(S::now(), begin);
    Sim::spend(ticks(11));
    EXPECT_EQ(S::now(), begin + ticks(10));
    EXPECT_EQ(S::usage(kernel.cpu(0)).clock_steps_back, 1u);
    Wobbly::ahead -= 100;
    EXPECT_EQ(S::now(), begin + ticks(10));
    Wobbly::ahead -= 100;
    EXPECT_EQ(S::now(), begin + ticks(10));
    EXPECT_EQ(S::usage(kernel.cpu(0)).clock_steps_back, 3u);
    // A sleep is not short by it.
    EXPECT_EQ(S::sleep_until(begin + ticks(20)), Waited::timed_out);
    EXPECT_EQ(S::now(), begin + ticks(20));
    // What was used is what the steady clock saw.
    EXPECT_LE(S::usage(S::current()).run, ticks(20));
  });
  kernel.boot_with(task);
  kernel.finish();
}

// ---- Under every policy that reads it

// What tasks of a policy are given: something short, so that there is much to catch up with.
template <typename P>
std::vector<typename P::Attributes> given();
template <>
std::vector<RoundRobin::Attributes> given<RoundRobin>() {
  return {{.slice = ticks(10)}, {.slice = ticks(20)}};
}
template <>
std::vector<FixedPriority::Attributes> given<FixedPriority>() {
  return {{.priority = 2}, {.priority = 1}};
}
template <>
std::vector<Eevdf::Attributes> given<Eevdf>() {
  return {{.slice = ticks(100)}, {.weight = 3 * kNormalWeight, .slice = ticks(300)}};
}
template <>
std::vector<Edf::Attributes> given<Edf>() {
  return {{.runtime = ticks(10), .deadline = ticks(50), .period = ticks(100)},
          {.runtime = ticks(10),
           .deadline = ticks(100),
           .period = ticks(100),
           .overrun = Overrun::postpone}};
}
template <>
std::vector<EdfReclaiming::Attributes> given<EdfReclaiming>() {
  return {{.runtime = ticks(10), .deadline = ticks(50), .period = ticks(100)},
          {.runtime = ticks(10), .deadline = ticks(100), .period = ticks(100)}};
}
template <>
std::vector<Mlfq::Attributes> given<Mlfq>() {
  return {{}, {.level = 1}};
}
template <>
std::vector<Stride::Attributes> given<Stride>() {
  return {{}, {.tickets = 3 * kNormalWeight}};
}
template <>
std::vector<Lottery::Attributes> given<Lottery>() {
  return {{}, {.tickets = 3 * kNormalWeight}};
}
template <>
std::vector<Budgeted<FixedPriority>::Attributes> given<Budgeted<FixedPriority>>() {
  return {{.inner = {.priority = 2}, .budget = ticks(10), .period = ticks(100)},
          {.inner = {.priority = 1}, .budget = ticks(30), .period = ticks(200)}};
}

template <typename P>
class ClockUnder : public Clock {};
using Policies = testing::Types<RoundRobin, FixedPriority, Eevdf, Edf, EdfReclaiming, Mlfq, Stride,
                                Lottery, Budgeted<FixedPriority>>;
TYPED_TEST_SUITE(ClockUnder, Policies);

// Everybody works, sleeps and has a period, while `disturb` happens to the clock now and then.
template <typename P>
void work_while(uint64_t seed, void (*disturb)(uint64_t random), uint64_t interrupts) {
  using K = ClockKernel<P>;
  using S = K::S;
  K kernel({.seed = seed});
  const Instant begin{Wobbly::ahead};
  Mutex<S> mutex;
  uint64_t random = seed * 0x9e37'79b9'7f4a'7c15;
  for (const typename P::Attributes& attributes : given<P>()) {
    for (int twin = 0; twin < 2; ++twin) {
      kernel.make(
          "task",
          [&] {
            Periodic<S> period(S::now(), ticks(60));
            for (int turn = 0; turn < 20; ++turn) {
              Instant last = S::now();
              Sim::spend(ticks(15));
              random = random * 6'364'136'223'846'793'005 + 1;
              if (random >> 62 == 0) disturb(random >> 32);
              EXPECT_GE(S::now(), last);
              last = S::now();
              mutex.lock();
              Sim::spend(ticks(1));
              mutex.unlock();
              EXPECT_GE(S::now(), last);
              const Instant until = S::now() + ticks(20);
              if (turn % 2 == 0) {
                EXPECT_EQ(S::sleep_until(until), Waited::timed_out);
                EXPECT_GE(S::now(), until);
              } else {
                EXPECT_EQ(period.next(), Waited::timed_out);
              }
              // Statistics have a bit less (docs/limits.md).
              if (S::now() < at(291 * kYear)) {
                EXPECT_EQ(S::state(S::current()), State::running);
              }
            }
            if (S::now() < at(291 * kYear)) {
              EXPECT_LE(S::usage(S::current()).run, S::now() - begin);
            }
          },
          attributes);
    }
  }
  kernel.boot_with_all();
  kernel.finish();
  EXPECT_LT(kernel.world.report(0).timer_interrupts, interrupts);
}

TYPED_TEST(ClockUnder, ThatStepsBackIsOneThatStandsStill) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    Wobbly::ahead = 1'000'000;
    work_while<TypeParam>(seed, [](uint64_t random) { Wobbly::ahead -= random % 300; }, 2'000);
    if (this->HasFailure()) return;
  }
}

// All that is due is so at once. Whoever counted what was missed one by one would not come back.
TYPED_TEST(ClockUnder, ThatLeapsByTenYearsMakesNoMoreWork) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    Wobbly::ahead = 1'000'000;
    work_while<TypeParam>(
        seed, [](uint64_t) { Wobbly::ahead += Wobbly::ahead < 30 * kYear ? 10 * kYear : 0; },
        2'000);
    if (this->HasFailure()) return;
  }
}

TYPED_TEST(ClockUnder, ThatWasSetCenturiesAgoIsLikeAnyOther) {
  for (const uint64_t years : {146, 292, 438, 500}) {
    SCOPED_TRACE(years);
    Wobbly::ahead = years * kYear - 500;
    work_while<TypeParam>(years, [](uint64_t) {}, 2'000);
  }
}

}  // namespace
}  // namespace sched::test
