// Tasks that go from one CPU to another: in every state, from everywhere, and nothing of them stays
// behind. The invariants of tests/sched/invariants.h are looked at before every machine call.
//
// Built once more for ThreadSanitizer, as multi_cpu_test.cc is.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/cpu_set.h"
#include "sched/policy/edf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/vtime.h"
#include "sched/scheduler.h"
#include "sched/sync/mutex.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"
#include "tests/sched/seeds.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

// --- The set ---

TEST(CpuSet, HasWhatWasPutIn) {
  constexpr CpuSet<64> kSome{1, 63};
  static_assert(kSome.contains(1) && kSome.contains(63) && !kSome.contains(0));
  static_assert(!kSome.contains(64));  // no such CPU
  static_assert(kSome.size() == 2 && CpuSet<64>::all().size() == 64 &&
                CpuSet<3>::all().size() == 3);
  static_assert((kSome & CpuSet<64>{63}) == CpuSet<64>{63});
  static_assert((kSome & CpuSet<64>{2}).empty());
  static_assert(sizeof(kSome) == 8);
  CpuSet<1024> many{1023, 64};
  many.erase(64);
  EXPECT_EQ(many, CpuSet<1024>{1023});
  EXPECT_EQ(many.size(), 1u);
}

// --- One that runs ---

TEST(Affinity, TakesTheCallerThereBeforeItReturns) {
  for_each_seed([](uint64_t seed) {
    K kernel(world_of(seed, 3));
    for (int i = 0; i < 3; ++i) {
      kernel.make("task", [] {
        for (const CpuNumber cpu : {1, 2, 0, 2, 1}) {
          EXPECT_TRUE(S::set_affinity(S::current(), {cpu}));
          EXPECT_EQ(S::here().number, cpu);
          EXPECT_EQ(S::usage(S::current()).cpu, cpu);
          Sim::spend(ticks(10));
          S::yield();
          EXPECT_EQ(S::here().number, cpu);
        }
      });
    }
    kernel.boot_with_all();
    int ended = 0;
    kernel.on_finish = [&](auto&) {
      if (++ended < 3) return;
      uint64_t departures = 0;
      uint64_t arrivals = 0;
      for (CpuNumber cpu = 0; cpu < 3; ++cpu) {
        departures += S::usage(kernel.cpu(cpu)).departures;
        arrivals += S::usage(kernel.cpu(cpu)).arrivals;
      }
      EXPECT_EQ(departures, 15u);
      EXPECT_EQ(arrivals, 15u);
    };
    Invariants invariants(kernel);
    kernel.finish();
    invariants.expect_nothing_left();
  });
}

TEST(Affinity, LetsATaskBeThatIsWhereItMayBe) {
  K kernel({.cpus = 2});
  auto& task = kernel.make("task", [&] {
    EXPECT_TRUE(S::set_affinity(S::current(), {0, 1}));
    EXPECT_TRUE(S::set_affinity(S::current(), S::CpuSet::all()));
    EXPECT_EQ(S::here().number, 0);
    EXPECT_EQ(S::usage(kernel.cpu(0)).departures, 0u);
  });
  kernel.boot_with(task);
  kernel.finish();
}

TEST(Affinity, WaitsForTheEndOfAGuardAndOfAMaskedStretch) {
  K kernel({.cpus = 2, .interleave = 0});
  auto& task = kernel.make("task", [] {
    {
      const S::NoPreempt guard;
      EXPECT_TRUE(S::set_affinity(S::current(), {1}));
      EXPECT_EQ(S::here().number, 0);
      Sim::spend(ticks(100));
      EXPECT_EQ(S::here().number, 0);
    }
    EXPECT_EQ(S::here().number, 1);
    const Sim::Irq irq = Sim::mask();
    EXPECT_TRUE(S::set_affinity(S::current(), {0}));
    EXPECT_EQ(S::here().number, 1);
    Sim::unmask(irq);
    EXPECT_EQ(S::here().number, 0);
  });
  kernel.boot_with(task);
  kernel.finish();
}

// It is to go, and stops by itself before it can.
TEST(Affinity, OfATaskThatParksOrEndsBeforeItWasSwitchedFrom) {
  for (const bool ends : {false, true}) {
    K kernel({.cpus = 2, .interleave = 0, .kick_latency = ticks(500)});
    auto& task = kernel.make("task", [&] {
      const Sim::Irq irq = Sim::mask();
      EXPECT_TRUE(S::set_affinity(S::current(), {1}));
      Sim::unmask(irq);  // the kick for it comes late
      EXPECT_EQ(S::here().number, 0);
      if (ends) return;
      S::sleep_for(ticks(100));
      EXPECT_EQ(S::here().number, 1);
    });
    auto& other = kernel.make("other", [] { Sim::spend(ticks(1000)); });
    kernel.boot_with(task, other);
    Invariants invariants(kernel);
    kernel.finish();
  }
}

// --- Every state, from everywhere ---

enum class Does : uint8_t { runs, waits_its_turn, parks, sleeps, is_suspended, sleeps_suspended };
constexpr std::array kDoes = {Does::runs,   Does::waits_its_turn, Does::parks,
                              Does::sleeps, Does::is_suspended,   Does::sleeps_suspended};

// A task of CPU 0 is told at 4000 that it may run on CPU 1 only: by a task or an interrupt of `by`.
void move(Does does, CpuNumber by, bool from_interrupt, uint64_t seed) {
  K kernel(world_of(seed, 3));
  const bool sleeps = does == Does::sleeps || does == Does::sleeps_suspended;
  const bool is_suspended = does == Does::is_suspended || does == Does::sleeps_suspended;
  auto& task = kernel.make("task",
                           [&] {
                             if (does == Does::waits_its_turn) return;
                             EXPECT_EQ(S::here().number, 0);
                             if (does == Does::parks) {
                               EXPECT_EQ(S::park(), Woken::by_wake);
                             } else if (sleeps) {
                               EXPECT_EQ(S::park_until(at(8000)), Woken::by_timeout);
                               EXPECT_GE(S::now(), at(8000));
                             } else {
                               Sim::spend(ticks(10'000));
                             }
                             EXPECT_EQ(S::here().number, 1);
                           },
                           {.priority = 2});
  // So that CPU 1 has nobody who would look for mail by himself.
  auto& busy = kernel.make("busy", [] { Sim::spend(ticks(30'000)); },
                           {.priority = static_cast<uint16_t>(seed % 2 == 0 ? 1 : 3)});
  auto& ahead = kernel.make("ahead", [] { Sim::spend(ticks(30'000)); }, {.priority = 3});
  auto& mover = kernel.make("mover",
                            [&] {
                              S::park();
                              EXPECT_TRUE(S::set_affinity(task, {1}));
                            },
                            {.priority = 9});
  auto& controller = kernel.make("controller",
                                 [&] {
                                   S::sleep_until(at(3000));
                                   if (is_suspended) EXPECT_TRUE(S::suspend(task));
                                   S::sleep_until(at(10'000));
                                   if (is_suspended) EXPECT_TRUE(S::resume(task));
                                   if (does == Does::parks) S::wake(task);
                                 },
                                 {.priority = 8});
  kernel.on_device = [&](uint32_t, auto& interrupt) {
    if (from_interrupt) EXPECT_TRUE(S::set_affinity(task, {1}));
    interrupt.wake(mover);
  };
  kernel.world.raise_at(by, 1, at(4000));
  if (from_interrupt) mover.body = [] {};
  kernel.boot([&] {
    if (does == Does::waits_its_turn) kernel.spawn(ahead);
    kernel.spawn(task);
    kernel.spawn_on(1, busy);
    kernel.spawn_on(2, controller);
    kernel.spawn_on(by, mover);
    if (does != Does::waits_its_turn) kernel.spawn_on(2, ahead);
  });
  kernel.on_finish = [&](auto& thread) {
    if (&thread != &task) return;
    EXPECT_EQ(S::here().number, 1);
    EXPECT_EQ(S::usage(task).cpu, 1);
    EXPECT_EQ(S::usage(kernel.cpu(0)).departures, 1u);
    EXPECT_EQ(S::usage(kernel.cpu(1)).arrivals, 1u);
  };
  Invariants invariants(kernel);
  kernel.finish();
  invariants.expect_nothing_left();
}

TEST(Affinity, IsTakenAtOnceInEveryStateFromEveryCpuAndInterrupt) {
  for (const Does does : kDoes) {
    for (const CpuNumber by : {0, 1, 2}) {
      for (const bool from_interrupt : {false, true}) {
        SCOPED_TRACE(std::to_string(static_cast<int>(does)) + " by " + std::to_string(by) +
                     (from_interrupt ? ", in an interrupt" : ""));
        for_each_seed([&](uint64_t seed) { move(does, by, from_interrupt, seed); });
      }
    }
  }
}

// On the CPU where it is, at the instant it was set for.
TEST(Affinity, TakesTheTimerOfAWaitAlong) {
  K kernel({.cpus = 2, .interleave = 0});
  auto& task = kernel.make("task", [] {
    EXPECT_EQ(S::sleep_until(at(5000)), Waited::timed_out);
    EXPECT_EQ(S::here().number, 1);
    EXPECT_EQ(S::now(), at(5000));
  });
  auto& mover = kernel.make("mover", [&] {
    Sim::spend(at(2000) - S::now());
    EXPECT_TRUE(S::set_affinity(task, {1}));
  });
  kernel.boot_with(task, mover);
  EXPECT_EQ(kernel.run(at(3000)), End::until);
  EXPECT_EQ(kernel.world.report(0).armed, never);
  EXPECT_EQ(kernel.world.report(1).armed, at(5000));
  kernel.finish();
}

TEST(Affinity, RefusesAnEmptySetAndWhatDoesNotLive) {
  K kernel({.cpus = 2});
  auto& dead = kernel.make("dead", [] {});
  auto& task = kernel.make("task", [&] {
    EXPECT_FALSE(S::set_affinity(S::current(), {}));
    EXPECT_FALSE(S::set_affinity(S::current(), {2, 63}));  // nobody there
    EXPECT_EQ(S::online(), (S::CpuSet{0, 1}));
    EXPECT_FALSE(S::set_affinity(dead, {1}));
    kernel.spawn(dead);
    EXPECT_TRUE(S::set_affinity(S::current(), {0, 63}));
    const Sim::Irq irq = Sim::mask();
    EXPECT_EQ(S::affinity(S::current()), (S::CpuSet{0, 63}));
    EXPECT_EQ(S::affinity(dead), S::CpuSet::all());
    Sim::unmask(irq);
    EXPECT_EQ(S::join(dead), uint64_t{0});
    EXPECT_FALSE(S::set_affinity(dead, {1}));
  });
  kernel.boot_with(task);
  kernel.finish();
}

// Idle-task affinity: elsewhere an idle task could be bound to another CPU, and its own had nothing
// left to run.
TEST(Affinity, OfAnIdleTaskIsNobodysToChange) {
  K kernel({.cpus = 2});
  auto& task = kernel.make("task", [&] {
    auto& idle = const_cast<S::Task&>(kernel.cpu(1).idle());
    EXPECT_FALSE(S::set_affinity(idle, {0}));
    EXPECT_FALSE(S::set_affinity(const_cast<S::Task&>(kernel.cpu(0).idle()), {1}));
    EXPECT_EQ(S::state(idle), State::running);
  });
  kernel.boot_with(task);
  kernel.finish();
}

// A new life goes where it is spawned, whatever the one before was bound to.
TEST(Affinity, IsOfOneLife) {
  K kernel({.cpus = 2});
  auto& task = kernel.make("task", [] {});
  auto& parent = kernel.make("parent", [&] {
    kernel.spawn(task);
    EXPECT_TRUE(S::set_affinity(task, {1}));
    EXPECT_TRUE(S::join(task).has_value());
    EXPECT_EQ(S::usage(task).cpu, 1);
    kernel.spawn(task);
    const Sim::Irq irq = Sim::mask();
    EXPECT_EQ(S::affinity(task), S::CpuSet::all());
    Sim::unmask(irq);
    EXPECT_TRUE(S::join(task).has_value());
    EXPECT_EQ(S::usage(task).cpu, 0);
  });
  kernel.boot_with(parent);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 2);
}

// One that is on its way already, by spawn or by an affinity before.
TEST(Affinity, OfATaskOnItsWay) {
  K kernel({.cpus = 3, .interleave = 0, .kick_latency = ticks(1000)});
  auto& task = kernel.make("task", [] { EXPECT_EQ(S::here().number, 2); });
  kernel.boot([&] {
    kernel.spawn_on(1, task);
    EXPECT_TRUE(S::set_affinity(task, {0}));
    EXPECT_TRUE(S::set_affinity(task, {2}));
  });
  kernel.on_finish = [&](auto&) {
    EXPECT_EQ(S::usage(kernel.cpu(0)).arrivals, 0u);  // the latest wins
  };
  Invariants invariants(kernel);
  kernel.finish();
}

// --- What a task has with its policy ---

// A mutex's owner counts for what its waiter claims, on its new CPU too, and for itself afterwards.
template <typename P>
void inherit(typename P::Attributes own, typename P::Attributes others, typename P::Claim both,
             typename P::Claim alone) {
  using K = Kernel<P>;
  using S = K::S;
  K kernel({.cpus = 2, .interleave = 0});
  Mutex<S> mutex;
  const auto expect_claim = [](typename P::Claim claim) {
    const Sim::Irq irq = Sim::mask();
    EXPECT_EQ(S::claim(S::current()), claim);
    Sim::unmask(irq);
  };
  auto& owner = kernel.make(
      "owner",
      [&] {
        mutex.lock();
        S::sleep_until(at(2000));
        expect_claim(both);
        EXPECT_TRUE(S::set_affinity(S::current(), {1}));
        EXPECT_EQ(S::here().number, 1);
        expect_claim(both);
        mutex.unlock();
        expect_claim(alone);
      },
      own);
  auto& waiter = kernel.make(
      "waiter",
      [&] {
        S::sleep_until(at(1500));
        mutex.lock();
        mutex.unlock();
      },
      others);
  kernel.boot_with(owner, waiter);
  kernel.finish();
}

TEST(Affinity, KeepsWhatIsInherited) {
  inherit<FixedPriority>({.priority = 2}, {.priority = 9}, 9, 2);
  inherit<Vtime>({.weight = 1000}, {.weight = 3000}, 4000, 1000);  // by `detach` it is forgotten
}

// There is room for it only where it comes from.
TEST(Affinity, BringsBackATaskThatThePolicyThereRefuses) {
  using K = Kernel<Edf>;
  using S = K::S;
  for_each_seed([](uint64_t seed) {
    K kernel(world_of(seed, 2));
    const Edf::Attributes most{
        .runtime = ticks(900), .deadline = ticks(1000), .period = ticks(1000)};
    auto& task = kernel.make(
        "task",
        [&] {
          EXPECT_TRUE(S::set_affinity(S::current(), {1}));
          EXPECT_EQ(S::park(), Woken::by_wake);
          EXPECT_EQ(S::here().number, 0);
          EXPECT_EQ(S::attributes(S::current()), most);
        },
        most);
    auto& other = kernel.make(
        "other",
        [&] {
          // Until it is back.
          while (S::usage(kernel.cpu(0)).arrivals == 0) S::yield();
          S::wake(task);
        },
        most);
    kernel.boot([&] {
      kernel.spawn_on(1, other);
      kernel.spawn(task);
    });
    Invariants invariants(kernel);
    kernel.finish();
  });
}

}  // namespace
}  // namespace sched::test
