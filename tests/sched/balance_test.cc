// CPUs that give work away: no CPU idles for long while a floating task waits, and the most urgent
// of those that rank run first, on all CPUs together.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/classes.h"
#include "sched/policy/edf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

constexpr uint64_t kPeriod = 100;

template <typename P>
struct Balanced : Kernel<P> {
  using S = typename Kernel<P>::S;

  explicit Balanced(hal::sim::Options options, typename Kernel<P>::Attributes helpers = {})
      : Kernel<P>(options), balancers(options.cpus), helpers(helpers) {}

  // Each CPU's first task has it look from now on; then `code`, by a task of CPU 0.
  void begin(std::function<void()> code) {
    for (CpuNumber cpu = 0; cpu < this->count(); ++cpu) {
      auto& first =
          this->make("first", [this, cpu] { S::balance(balancers[cpu], ticks(kPeriod)); }, helpers);
      if (cpu == 0) starters.push_back(&this->make("starter", std::move(code), helpers));
      firsts.push_back(&first);
    }
    this->boot([this] {
      for (CpuNumber cpu = 0; cpu < this->count(); ++cpu) this->spawn_on(cpu, *firsts[cpu]);
      this->spawn(*starters[0]);
    });
  }

  std::vector<typename S::Balancer> balancers;
  const typename Kernel<P>::Attributes helpers;
  std::vector<typename Kernel<P>::Thread*> firsts;
  std::vector<typename Kernel<P>::Thread*> starters;
};

// All of them begin on one CPU, and work is all they do: each look gives one away.
TEST(Balance, GivesIdleCpusWorkWithinAPeriod) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    using K = Balanced<RoundRobin>;
    using S = K::S;
    K kernel({.cpus = 4, .seed = seed, .find_races = true, .steps = 500'000});
    std::vector<K::Thread*> tasks;
    std::array<int, 4> ended{};
    for (int i = 0; i < 8; ++i) {
      tasks.push_back(&kernel.make("task",
                                   [&] {
                                     Sim::spend(ticks(1000));
                                     ++ended[S::here().number];
                                   },
                                   {.slice = ticks(200)}));
    }
    kernel.begin([&] {
      for (auto* task : tasks) kernel.spawn_in({.cpus = {0}, .floats = true}, *task);
      for (auto* task : tasks) EXPECT_TRUE(S::set_affinity(*task, S::CpuSet::all()));
    });
    Invariants invariants(kernel);
    kernel.finish();  // and no timer goes on for ever
    // On one CPU it would be 8000; what can be had is 2000.
    EXPECT_LT(kernel.world.now(), at(1000 + 2000 + 8 * kPeriod)) << seed;
    EXPECT_GT(*std::min_element(ended.begin(), ended.end()), 0) << seed;
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

// No CPU is idle: one that wakes goes where somebody less urgent runs, and does not wait for a
// look.
template <typename P>
void check_wake_among_busy(typename P::Attributes helpers, typename P::Attributes urgent_one,
                           typename P::Attributes waker, typename P::Attributes middle_one,
                           typename P::Attributes least_one) {
  using K = Balanced<P>;
  using S = typename K::S;
  K kernel({.cpus = 3, .interleave = 0}, helpers);
  const auto work = [] { Sim::spend(ticks(20 * kPeriod)); };
  auto& urgent = kernel.make("urgent", work, urgent_one);
  auto& least = kernel.make("least", work, least_one);
  auto& middle = kernel.make("middle", work, middle_one);
  CpuNumber home = 0;
  auto& task = kernel.make(
      "task",
      [&] {
        EXPECT_EQ(S::park(), Woken::by_wake);
        EXPECT_EQ(S::here().number, (home + 1) % 3);
        EXPECT_LT(S::now(), at(3020 + kPeriod / 2));  // before any look
        // There it is the most urgent: no need to go.
        EXPECT_EQ(S::park(), Woken::by_wake);
        EXPECT_EQ(S::here().number, (home + 1) % 3);
        EXPECT_EQ(S::now(), at(3520));
      },
      waker);
  kernel.on_device = [&](uint32_t, typename S::Interrupt& interrupt) { interrupt.wake(task); };
  kernel.begin([&] {
    kernel.spawn_in({.floats = true}, task);
    S::sleep_until(at(1500));
    home = S::usage(task).cpu;
    kernel.spawn_on((home + 1) % 3, least);
    kernel.spawn_on((home + 2) % 3, middle);
    kernel.spawn_on(home, urgent);
  });
  kernel.world.raise_at(0, 1, at(3020));
  kernel.world.raise_at(0, 1, at(3520));
  Invariants invariants(kernel);
  kernel.finish();
}

constexpr Edf::Attributes reserved(uint64_t runtime, uint64_t period) {
  return {.runtime = ticks(runtime), .period = ticks(period)};
}

TEST(Balance, TellsWhereWhoWakesRunsAtOnce) {
  check_wake_among_busy<FixedPriority>({}, {.priority = 9}, {.priority = 5}, {.priority = 3},
                                       {.priority = 1});
}

// Its deadline is known when it is awake: from there it goes.
TEST(Balance, TellsWhereWhoWakesHasTheEarliestDeadline) {
  check_wake_among_busy<Edf>(reserved(100, 10'000), reserved(2000, 10'000), reserved(100, 20'000),
                             reserved(2000, 60'000), reserved(2000, 90'000));
  using P = Classes<Edf, FixedPriority>;
  check_wake_among_busy<P>(P::in<0>(reserved(100, 10'000)), P::in<0>(reserved(2000, 10'000)),
                           P::in<0>(reserved(100, 20'000)), P::in<0>(reserved(2000, 60'000)),
                           P::in<1>({.priority = 9}));
}

// Where rank does not tell, it goes where there has been less to do.
TEST(Balance, TellsWhereThereIsLessToDo) {
  using K = Balanced<RoundRobin>;
  using S = K::S;
  K kernel({.cpus = 2, .interleave = 0});
  const RoundRobin::Attributes turns{.slice = ticks(kPeriod)};
  std::vector<K::Thread*> many;
  for (int i = 0; i < 3; ++i) {
    many.push_back(&kernel.make("one of many", [] { Sim::spend(ticks(20 * kPeriod)); }, turns));
  }
  auto& alone = kernel.make("alone", [] { Sim::spend(ticks(60 * kPeriod)); }, turns);
  CpuNumber home = 0;
  auto& task = kernel.make(
      "task",
      [&] {
        EXPECT_EQ(S::park(), Woken::by_wake);
        EXPECT_EQ(S::here().number, 1 - home);
        EXPECT_LE(S::now(), at(4000 + kPeriod));  // after one other's turn
      },
      turns);
  kernel.on_device = [&](uint32_t, S::Interrupt& interrupt) { interrupt.wake(task); };
  kernel.begin([&] {
    kernel.spawn_in({.floats = true}, task);
    S::sleep_until(at(1500));
    home = S::usage(task).cpu;
    kernel.spawn_on(1 - home, alone);
    for (auto* one : many) {
      kernel.spawn_in({.cpus = {home}, .floats = true}, *one);
      EXPECT_TRUE(S::set_affinity(*one, S::CpuSet::all()));  // could be given away, but nobody asks
    }
  });
  kernel.world.raise_at(0, 1, at(4000));
  Invariants invariants(kernel);
  kernel.finish();
}

TEST(Balance, LeavesOthersWhereTheyAre) {
  using K = Balanced<RoundRobin>;
  using S = K::S;
  K kernel({.cpus = 2});
  auto& sticky = kernel.make("sticky",
                             [] {
                               Sim::spend(ticks(2000));
                               EXPECT_EQ(S::here().number, 0);
                             },
                             {.slice = ticks(100)});
  auto& bound = kernel.make("bound",
                            [] {
                              Sim::spend(ticks(2000));
                              EXPECT_EQ(S::here().number, 0);
                            },
                            {.slice = ticks(100)});
  kernel.begin([&] {
    kernel.spawn(sticky);
    kernel.spawn_in({.cpus = {0}, .floats = true}, bound);
    Sim::spend(ticks(2000));
    EXPECT_GT(S::load(kernel.cpu(0)), 900u);
    EXPECT_LE(S::load(kernel.cpu(0)), 1024u);
    EXPECT_LT(S::load(kernel.cpu(1)), 300u);
  });
  kernel.finish();
}

// The m most urgent of those that float run, on m CPUs: a period for each that has to go, here two,
// and one for what a CPU said last of what it runs. All become ready at once, on one CPU; others
// run somebody less urgent.
template <typename P>
void check_most_urgent(uint64_t seed, typename P::Attributes helpers,
                       std::array<typename P::Attributes, 3> urgent,
                       std::array<typename P::Attributes, 2> low) {
  SCOPED_TRACE(seed);
  using K = Balanced<P>;
  using S = typename K::S;
  K kernel({.cpus = 3, .seed = seed, .find_races = true, .steps = 500'000}, helpers);
  std::vector<typename K::Thread*> tasks;
  std::vector<uint64_t> began(3);
  uint64_t spawned = 0;
  for (size_t i = 0; i < 3; ++i) {
    tasks.push_back(&kernel.make(
        "urgent",
        [&, i] {
          began[i] = S::now().ticks;
          Sim::spend(ticks(5000));
        },
        urgent[i]));
  }
  std::vector<typename K::Thread*> others;
  for (const auto& attributes : low) {
    others.push_back(&kernel.make("low", [] { Sim::spend(ticks(10'000)); }, attributes));
  }
  kernel.begin([&] {
    kernel.spawn_on(1, *others[0]);
    kernel.spawn_on(2, *others[1]);
    S::sleep_for(ticks(1000));
    spawned = S::now().ticks;
    const typename S::NoPreempt guard;
    for (auto* task : tasks) kernel.spawn_in({.cpus = {0}, .floats = true}, *task);
    for (auto* task : tasks) EXPECT_TRUE(S::set_affinity(*task, S::CpuSet::all()));
  });
  Invariants invariants(kernel);
  kernel.finish();
  for (const uint64_t when : began) EXPECT_LE(when, spawned + 3 * kPeriod + 10);
}

TEST(Balance, RunsTheMostUrgentOnAllCpus) {
  for (uint64_t seed = 1; seed <= 30 && !testing::Test::HasFailure(); ++seed) {
    check_most_urgent<FixedPriority>(seed, {},
                                     {{{.priority = 9}, {.priority = 8}, {.priority = 7}}},
                                     {{{.priority = 1}, {.priority = 2}}});
  }
}

// Earliest deadlines, where every CPU has the bandwidth for them.
TEST(Balance, RunsTheEarliestDeadlinesOnAllCpus) {
  for (uint64_t seed = 1; seed <= 30 && !testing::Test::HasFailure(); ++seed) {
    check_most_urgent<Edf>(seed, reserved(100, 10'000),
                           {reserved(5000, 20'000), reserved(5000, 20'500), reserved(5000, 21'000)},
                           {reserved(10'000, 80'000), reserved(10'000, 90'000)});
  }
}

// And both, in classes: the claims of which are of different kinds.
TEST(Balance, RunsTheEarlierClassesOnAllCpus) {
  using P = Classes<Edf, FixedPriority>;
  for (uint64_t seed = 1; seed <= 30 && !testing::Test::HasFailure(); ++seed) {
    check_most_urgent<P>(seed, P::in<0>(reserved(100, 10'000)),
                         {P::in<0>(reserved(5000, 20'000)), P::in<0>(reserved(5000, 20'500)),
                          P::in<1>({.priority = 7})},
                         {P::in<1>({.priority = 1}), P::in<1>({.priority = 2})});
  }
}

// A CPU that has refused somebody is left alone for a while, and others that wait have their
// chance; when it has room again it is found out.
TEST(Balance, DoesNotOfferTheRefusedAgainAndAgain) {
  using K = Balanced<Edf>;
  using S = K::S;
  K kernel({.cpus = 2, .interleave = 0}, reserved(1, 10'000));
  uint64_t small_began = 0;
  uint64_t large_began = 0;
  uint64_t departures = 0;
  CpuNumber small_at = 0;
  CpuNumber large_at = 0;
  auto& busy = kernel.make("busy", [] { Sim::spend(ticks(6000)); }, reserved(6000, 10'000));
  auto& large = kernel.make(
      "large",
      [&] {
        large_began = S::now().ticks;
        large_at = S::here().number;
        departures = S::usage(kernel.cpu(0)).departures;
      },
      reserved(2000, 20'000));
  auto& small = kernel.make(
      "small",
      [&] {
        small_began = S::now().ticks;
        small_at = S::here().number;
      },
      reserved(200, 20'500));
  auto& full = kernel.make("full", [] { S::sleep_until(at(6000)); }, reserved(19'000, 20'000));
  auto& starter = kernel.make(
      "starter",
      [&] {
        kernel.spawn_on(1, full);
        S::sleep_until(at(2000));
        for (auto* task : {&busy, &large, &small}) {
          kernel.spawn_in({.cpus = {0}, .floats = task != &busy}, *task);
          EXPECT_TRUE(S::set_affinity(*task, S::CpuSet::all()));
        }
      },
      reserved(1, 10'000));
  kernel.begin([&] { kernel.spawn(starter); });
  Invariants invariants(kernel);
  kernel.finish();
  EXPECT_EQ(small_at, 1);
  EXPECT_LE(small_began, 2000 + 3 * kPeriod);
  EXPECT_EQ(large_at, 1);
  EXPECT_GT(large_began, 6000u);
  EXPECT_LE(large_began, 6000 + 17 * kPeriod);
  // One that is accepted, and each time the one that is not.
  EXPECT_LE(departures, 2u + (large_began - 2000) / (16 * kPeriod));
}

// One whose own timer makes it ready on a busy CPU goes to an idle one at once.
TEST(Balance, SpreadsWhoseTimersEndOnABusyCpu) {
  using K = Kernel<RoundRobin>;
  using S = K::S;
  K kernel({.cpus = 2, .interleave = 0});
  auto& task = kernel.make("task", [] {
    S::sleep_until(at(5000));
    EXPECT_EQ(S::now(), at(5000));
    EXPECT_EQ(S::here().number, 1);
  });
  auto& busy = kernel.make("busy", [&] {
    S::sleep_until(at(3000));
    Sim::spend(ticks(5000));
  });
  kernel.boot([&] {
    kernel.spawn_in({.floats = true}, task);
    kernel.spawn(busy);
  });
  kernel.finish();
}

// And so does one whom another CPU wakes before that: its timer goes along.
TEST(Balance, SpreadsWhoIsWokenBeforeItsTimer) {
  using K = Kernel<RoundRobin>;
  using S = K::S;
  K kernel({.cpus = 3, .interleave = 0});
  auto& task = kernel.make("task", [] {
    EXPECT_EQ(S::park_until(at(9000)), Woken::by_wake);
    EXPECT_EQ(S::now(), at(5000));
    EXPECT_EQ(S::here().number, 1);
  });
  auto& busy = kernel.make("busy", [&] {
    S::sleep_until(at(3000));
    Sim::spend(ticks(5000));
  });
  kernel.on_device = [&](uint32_t, S::Interrupt& interrupt) { interrupt.wake(task); };
  kernel.world.raise_at(2, 1, at(5000));
  kernel.boot([&] {
    kernel.spawn_in({.floats = true}, task);
    kernel.spawn(busy);
  });
  kernel.finish();
}

// Clocks that differ: no time is negative, and none is counted twice.
TEST(Accounts, AreExactWhereClocksDiffer) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    using K = Kernel<RoundRobin, Options{.debug_checks = true, .latency = true}>;
    using S = K::S;
    K kernel({.cpus = 3, .seed = seed, .interleave = 0, .skew = ticks(5000)});
    uint64_t checked = 0;
    for (int i = 0; i < 3; ++i) {
      kernel.make("nomad",
                  [&, i] {
                    for (int round = 1; round <= 10; ++round) {
                      Sim::spend(ticks(100));
                      const auto cpu = static_cast<CpuNumber>((i + round) % 3);
                      EXPECT_TRUE(S::set_affinity(S::current(), {cpu}));
                      for (auto& thread : kernel.threads) {
                        const Usage usage = S::usage(thread);
                        EXPECT_LE(usage.run.ticks, 1000u + 5000u);
                        EXPECT_LE(usage.wait.ticks, 10'000u);
                      }
                      for (CpuNumber other = 0; other < 3; ++other) {
                        EXPECT_LT(S::usage(kernel.cpu(other)).busy.ticks, 100'000u);
                        EXPECT_LT(S::usage(kernel.cpu(other)).idle.ticks, 100'000u);
                      }
                      EXPECT_EQ(S::usage(S::current()).run.ticks, 100u * round);
                      ++checked;
                    }
                    EXPECT_LE(S::current().latency().total().ticks, 10'000u);
                  },
                  {.slice = ticks(30)});
    }
    kernel.boot([&] {
      for (auto& thread : kernel.threads) kernel.spawn(thread);
    });
    kernel.finish();
    EXPECT_EQ(checked, 30u);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

}  // namespace
}  // namespace sched::test
