// What a task has another CPU do for it, and timers that are cancelled from there.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/round_robin.h"
#include "tests/sched/kernel.h"
#include "tests/sched/seeds.h"

namespace sched::test {
namespace {

using K = Kernel<RoundRobin>;
using S = K::S;

hal::sim::Options world_of(uint64_t seed) {
  return test::world_of(seed, static_cast<CpuNumber>(2 + seed % 3));
}

TEST(CallOn, RunsThereMaskedAndReturnsAfterwards) {
  for_each_seed([](uint64_t seed) {
    K kernel(world_of(seed));
    std::array<int, 4> calls{};  // each its CPU's own
    auto& task = kernel.make("task", [&] {
      for (CpuNumber cpu = 0; cpu < kernel.count(); ++cpu) {
        EXPECT_TRUE(S::call_on(cpu, [&] {
          EXPECT_EQ(S::here().number, cpu);
          ++calls[cpu];
        }));
        EXPECT_EQ(calls[cpu], 1);
        EXPECT_EQ(S::here().number, 0);
      }
    });
    kernel.boot([&] { kernel.spawn(task); });
    kernel.finish();
  });
}

TEST(CallOn, IsNoCpuThatHasNotStarted) {
  K kernel({.cpus = 3});
  auto& task = kernel.make("task", [] {
    EXPECT_FALSE(S::call_on(2, [] { ADD_FAILURE(); }));
    EXPECT_FALSE(S::call_on(3, [] { ADD_FAILURE(); }));
  });
  kernel.boot_cpu(1, nullptr, at(10));
  kernel.boot_cpu(0, [&] { kernel.spawn(task); }, at(1000));
  kernel.finish();
}

TEST(CallOn, IsForTasksWithoutAGuard) {
  for (const bool guarded : {true, false}) {
    K kernel({.cpus = 2});
    auto& task = kernel.make("task", [&] {
      if (guarded) {
        const S::NoPreempt guard;
        S::call_on(1, [] {});
      } else {
        Sim::mask();
        S::call_on(1, [] {});
      }
    });
    kernel.boot([&] { kernel.spawn(task); });
    EXPECT_EQ(kernel.run(), End::panic);
  }
}

// Everybody calls everybody, some from CPUs that call themselves; a call wakes tasks there.
TEST(CallOn, LosesNoCallAndNoWakeInIt) {
  for_each_seed([](uint64_t seed) {
    K kernel(world_of(seed));
    static constexpr int kRounds = 5;
    std::array<int, 4> calls{};
    std::vector<K::Thread*> sleepers;
    for (CpuNumber cpu = 0; cpu < kernel.count(); ++cpu) {
      sleepers.push_back(&kernel.make("sleeper " + std::to_string(cpu), [&, cpu] {
        while (calls[cpu] < kRounds * kernel.count()) S::park();
      }));
    }
    std::vector<K::Thread*> callers;
    for (CpuNumber from = 0; from < kernel.count(); ++from) {
      callers.push_back(&kernel.make("caller " + std::to_string(from), [&] {
        for (int i = 0; i < kRounds; ++i) {
          for (CpuNumber to = 0; to < kernel.count(); ++to) {
            EXPECT_TRUE(S::call_on(to, [&] {
              ++calls[to];
              S::wake(*sleepers[to]);
            }));
          }
        }
      }));
    }
    kernel.boot([&] {
      for (CpuNumber cpu = 0; cpu < kernel.count(); ++cpu) {
        kernel.spawn_on(cpu, *sleepers[cpu]);
        kernel.spawn_on(cpu, *callers[cpu]);
      }
    });
    kernel.finish();
  });
}

// That CPU has the caller's address: nothing but its answer ends the wait.
TEST(CallOn, IsNotEndedByKillOrCancel) {
  K kernel({.cpus = 2, .kick_latency = ticks(1000)});
  bool answered = false;
  auto& task = kernel.make("task", [&] {
    EXPECT_TRUE(S::call_on(1, [&] { answered = true; }));
    EXPECT_TRUE(answered);
    EXPECT_EQ(S::park(), Woken::by_kill);
  });
  auto& other = kernel.make("other", [&] {
    S::cancel_wait(task);
    S::kill(task);
    EXPECT_FALSE(answered);
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(other);
  });
  kernel.finish();
}

TEST(CallOn, IsAnsweredByACpuThatIsOffline) {
  K kernel({.cpus = 2});
  auto& task = kernel.make("task", [] {
    EXPECT_TRUE(S::take_offline(1));
    while (S::online().contains(1) || !S::is_offline(1)) S::sleep_for(ticks(10));
    bool answered = false;
    EXPECT_TRUE(S::call_on(1, [&] { answered = S::here().number == 1; }));
    EXPECT_TRUE(answered);
  });
  kernel.boot([&] { kernel.spawn(task); });
  kernel.finish();
}

// ---- Timers ----

struct CountingTimer : Timer {
  explicit CountingTimer(CpuNumber of = 0) : Timer(&fired), of(of) {}
  static void fired(Timer& timer) {
    auto& self = static_cast<CountingTimer&>(timer);
    EXPECT_EQ(S::here().number, self.of);
    ++self.fires;
  }
  CpuNumber of;
  int fires = 0;  // of the CPU that it is armed on, and of who cancels it afterwards
};

// One task on CPU 1, and, once that has done it, another one on CPU 0.
void run_one_after_the_other(K& kernel, std::function<void()> first, std::function<void()> second) {
  auto& later = kernel.make("second", [second] {
    S::park();
    second();
  });
  auto& former = kernel.make("first", [&later, first] {
    first();
    S::wake(later);
  });
  kernel.boot([&] {
    kernel.spawn(later);
    kernel.spawn_on(1, former);
  });
  kernel.finish();
}

TEST(CancelAnywhere, SaysWhetherItWasInTime) {
  for_each_seed([](uint64_t seed) {
    K kernel(world_of(seed));
    CountingTimer timer(1);
    run_one_after_the_other(
        kernel, [&] { EXPECT_TRUE(S::arm(timer, S::now() + ticks(40))); },
        [&] {
          Sim::spend(ticks(seed % 60));
          const bool in_time = S::cancel_anywhere(timer);
          EXPECT_EQ(timer.fires, in_time ? 0 : 1);
          EXPECT_FALSE(S::cancel_anywhere(timer));
        });
  });
}

TEST(CancelAnywhere, IsTheOnlyOneFromElsewhere) {
  K kernel({.cpus = 2});
  CountingTimer timer;
  run_one_after_the_other(
      kernel, [&] { EXPECT_TRUE(S::arm(timer, never)); },
      [&] {
        EXPECT_FALSE(S::arm(timer, never));
        EXPECT_FALSE(S::cancel(timer));
        EXPECT_TRUE(S::cancel_anywhere(timer));
        EXPECT_TRUE(S::arm(timer, never));
        EXPECT_TRUE(S::cancel(timer));
      });
  EXPECT_EQ(timer.fires, 0);
}

TEST(Arm, MayBeOfAnotherCpuOnceItHasFired) {
  K kernel({.cpus = 2});
  CountingTimer timer(1);
  run_one_after_the_other(
      kernel,
      [&] {
        EXPECT_TRUE(S::arm(timer, S::now()));
        while (timer.fires == 0) S::yield();
      },
      [&] {
        timer.of = 0;
        EXPECT_TRUE(S::arm(timer, S::now()));
        while (timer.fires == 1) S::yield();
      });
}

TEST(CancelAnywhere, OfATimerThatNeverWasArmed) {
  K kernel({.cpus = 2});
  CountingTimer timer;
  auto& task = kernel.make("task", [&] {
    EXPECT_FALSE(S::cancel_anywhere(timer));
    EXPECT_TRUE(S::arm(timer, S::now() + ticks(100)));
    EXPECT_TRUE(S::cancel_anywhere(timer)) << "of this CPU";
  });
  kernel.boot([&] { kernel.spawn(task); });
  kernel.finish();
  EXPECT_EQ(timer.fires, 0);
}

// It is armed by its own callback, over and over: after the cancel it is not any more, wherever it
// was when that came.
TEST(CancelAnywhere, OfATimerThatArmsItself) {
  struct Repeating : Timer {
    Repeating() : Timer(&fired) {}
    static void fired(Timer& timer) {
      ++static_cast<Repeating&>(timer).fires;
      S::arm(timer, S::now() + ticks(1000));
    }
    int fires = 0;
  };
  for_each_seed([](uint64_t seed) {
    K kernel(world_of(seed));
    Repeating timer;
    run_one_after_the_other(
        kernel, [&] { EXPECT_TRUE(S::arm(timer, S::now())); },
        [&] {
          Sim::spend(ticks(seed * 20));
          EXPECT_TRUE(S::cancel_anywhere(timer));
          const int fires = timer.fires;
          S::sleep_for(ticks(3000));
          EXPECT_EQ(timer.fires, fires);
        });
  });
}

// Its CPU goes offline meanwhile, and it is carried to another one.
TEST(CancelAnywhere, OfATimerThatIsCarriedAway) {
  struct Plain : Timer {
    Plain() : Timer([](Timer&) { ADD_FAILURE() << "it was cancelled"; }) {}
  };
  for_each_seed([](uint64_t seed) {
    K kernel(test::world_of(seed, 3));
    std::array<Plain, 3> timers;
    run_one_after_the_other(
        kernel,
        [&] {
          for (auto& timer : timers) EXPECT_TRUE(S::arm(timer, at(1'000'000)));
        },
        [&] {
          EXPECT_TRUE(S::take_offline(1));
          Sim::spend(ticks(seed % 40));
          for (auto& timer : timers) EXPECT_TRUE(S::cancel_anywhere(timer));
        });
  });
}

}  // namespace
}  // namespace sched::test
