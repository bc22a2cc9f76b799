// Time in the mechanism: sleeping, timers and their interrupts, and what masked time they cost.
// (The queue alone: tests/sched/time.)

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "sched/time/periodic.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;
using Lines = std::vector<std::string>;

// A timer that calls a function.
struct Alarm : Timer {
  explicit Alarm(std::function<void(Alarm&)> then)
      : Timer([](Timer& self) {
          auto& alarm = static_cast<Alarm&>(self);
          alarm.then(alarm);
        }),
        then(std::move(then)) {}
  std::function<void(Alarm&)> then;
};

// ---- Sleeping ----

TEST(Sleep, EndsAtItsInstantAndNotBefore) {
  K kernel;
  auto& task = kernel.make("task", [] {
    EXPECT_EQ(S::sleep_until(at(1234)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(1234));
    EXPECT_EQ(S::sleep_for(ticks(1)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(1235));
    EXPECT_EQ(S::park_until(at(1300)), Woken::by_timeout);
    EXPECT_EQ(S::now(), at(1300));
    // The same for one that is exactly now, has passed, or was before the clock began.
    for (const uint64_t when : {1300, 1299, 1, 0}) {
      EXPECT_EQ(S::sleep_until(at(when)), Waited::timed_out);
      EXPECT_EQ(S::park_until(at(when)), Woken::by_timeout);
    }
    EXPECT_EQ(S::sleep_for(ticks(0)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(1300));
    EXPECT_EQ(S::usage(S::current()).wakes, 3u);
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.world.report(0).timer_interrupts, 3u);
}

TEST(Sleep, WithoutALimitNeedsAnother) {
  for (const Instant when : {never, Instant{UINT64_MAX}}) {
    K kernel;
    auto& task = kernel.make("task", [&] {
      EXPECT_EQ(S::sleep_until(when), Waited::cancelled);
      EXPECT_EQ(S::sleep_for(Duration{UINT64_MAX}), Waited::killed);
      EXPECT_EQ(S::sleep_until(never), Waited::killed);
      EXPECT_EQ(S::now(), at(200));
    });
    kernel.on_device = [&](uint32_t line, auto&) {
      line == 1 ? S::cancel_wait(task) : S::kill(task);
    };
    kernel.world.raise_at(0, 1, at(100));
    kernel.world.raise_at(0, 2, at(200));
    kernel.boot_with(task);
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(task.finishes, 1);
    EXPECT_EQ(kernel.world.report(0).timer_interrupts, 0u);
  }
}

// Slices are the first to end: a turn without one is `forever` long, of which the clock holds four.
TEST(Sleep, ReachesAsFarAsTheClock) {
  constexpr uint64_t kYear = uint64_t{31'557'600} * 1'000'000'000;
  K kernel;
  auto& task = kernel.make("task", [] {
    for (const uint64_t when : {kYear, 100 * kYear, 291 * kYear}) {
      EXPECT_EQ(S::sleep_until(at(when)), Waited::timed_out);
      EXPECT_EQ(S::now(), at(when));
    }
    EXPECT_EQ(S::sleep_for(ticks(1000)), Waited::timed_out);
    for (const uint64_t when : {400 * kYear, 500 * kYear, 510 * kYear}) {
      EXPECT_EQ(S::sleep_until(at(when)), Waited::timed_out);
      EXPECT_EQ(S::now(), at(when));
    }
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

// Work of varying length, and others that come in between: the hundredth period still begins where
// a hundred periods end. An idle CPU is not disturbed but for that.
TEST(Sleep, UntilAbsoluteInstantsDoesNotDrift) {
  K kernel;
  auto& task = kernel.make("task",
                           [&] {
                             for (uint64_t n = 1; n <= 100; ++n) {
                               EXPECT_EQ(S::sleep_until(at(10 + n * 1000)), Waited::timed_out);
                               EXPECT_EQ(S::now(), at(10 + n * 1000));
                               Sim::spend(ticks(n * 7 % 900));
                             }
                           },
                           {.priority = 1});
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.world.report(0).timer_interrupts, 100u);
}

TEST(Sleep, OfManyAtOneInstantEndsInTheOrderInWhichTheyCame) {
  K kernel;
  Lines expected;
  std::vector<K::Thread*> tasks;
  for (int i = 0; i < 20; ++i) {
    const std::string name = std::to_string(i);
    expected.push_back(name);
    tasks.push_back(&kernel.make(name,
                                 [&kernel, name] {
                                   S::sleep_until(at(500));
                                   kernel.log(name);
                                 },
                                 {.priority = 1}));
  }
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, expected);
}

TEST(Periodic, KeepsItsInstantsAndCountsWhatItMissed) {
  K kernel;
  auto& task = kernel.make("task", [] {
    Periodic<S> period(at(1000), ticks(100));
    const auto expect_next = [&](uint64_t due, uint64_t now, uint64_t missed) {
      EXPECT_EQ(period.next(), Waited::timed_out);
      EXPECT_EQ(period.due(), at(due));
      EXPECT_EQ(S::now(), at(now));
      EXPECT_EQ(period.missed(), missed);
    };
    expect_next(1100, 1100, 0);
    Sim::spend(ticks(99));
    expect_next(1200, 1200, 0);
    Sim::spend(ticks(100));
    expect_next(1300, 1300, 0);  // just in time
    Sim::spend(ticks(130));
    expect_next(1400, 1430, 0);  // late
    Sim::spend(ticks(70));
    expect_next(1500, 1500, 0);
    Sim::spend(ticks(350));
    expect_next(1800, 1850, 2);  // without 1600 and 1700
    expect_next(1900, 1900, 2);
    S::kill(S::current());
    EXPECT_EQ(period.next(), Waited::killed);
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
}

// ---- Interrupts ----

TEST(Interrupts, DoNotComeWhileThereIsNothingToDo) {
  K kernel;
  auto& task = kernel.make("task",
                           [] {
                             // Given up long before: a timer that was cancelled has no interrupt.
                             EXPECT_EQ(S::park_until(at(50'000)), Woken::by_wake);
                             S::sleep_until(at(100'000));
                           },
                           {.priority = 1});
  auto& waker = kernel.make("waker",
                            [&] {
                              S::sleep_until(at(1000));
                              S::wake(task);
                            },
                            {.priority = 1});
  kernel.boot_with(task, waker);
  EXPECT_EQ(kernel.run(at(99'000)), End::until);
  EXPECT_EQ(kernel.world.report(0).timer_interrupts, 1u);
  EXPECT_EQ(kernel.world.report(0).armed, at(100'000));
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.world.report(0).timer_interrupts, 2u);
  EXPECT_EQ(kernel.world.report(0).armed, never);
}

// Many sleepers at instants of their own: the CPU leaves its sleep once for each, for nothing else.
TEST(Interrupts, OfAnIdleCpuAreAtTheInstantsOfItsTimers) {
  K kernel;
  constexpr uint64_t kTasks = 50;
  std::vector<K::Thread*> tasks;
  for (uint64_t i = 0; i < kTasks; ++i) {
    const uint64_t when = 5000 + i * i * 37;
    tasks.push_back(&kernel.make("task", [when] {
      S::sleep_until(at(when));
      EXPECT_EQ(S::now(), at(when));
    }));
  }
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.world.report(0).waits, kTasks);
}

// Hardware that reaches less far interrupts on the way, and that is all.
TEST(Interrupts, OnTheWayToAFarInstantAreHarmless) {
  K kernel({.timer_reach = ticks(1000)});
  auto& task = kernel.make("task", [] {
    S::sleep_until(at(10'010));
    EXPECT_EQ(S::now(), at(10'010));
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.world.report(0).timer_interrupts, 10u);
}

// However many are due at once, none is masked for longer, and none is late by more than that of
// those before it.
TEST(Interrupts, AreBoundedHoweverMuchIsDue) {
  const auto longest = [](size_t sleepers, bool equal) {
    K kernel({.interleave = 0, .call_cost = ticks(1)});
    std::vector<K::Thread*> tasks;
    size_t ended = 0;
    for (size_t i = 0; i < sleepers; ++i) {
      const uint64_t when = equal ? 1'000'000 : 1'000'000 - i * 7;
      tasks.push_back(&kernel.make(
          "task",
          [&, when] {
            S::sleep_until(at(when));
            ++ended;
          },
          {.priority = static_cast<uint16_t>(i % 200)}, 32 * 1024));
    }
    // With all due by the time that it unmasks.
    auto& late = kernel.make("late",
                             [&] {
                               S::sleep_until(at(900'000));
                               const Sim::Irq irq = Sim::mask();
                               Sim::spend(ticks(200'000));
                               Sim::unmask(irq);
                             },
                             {.priority = 255});
    kernel.boot([&] {
      for (auto* task : tasks) kernel.spawn(*task);
      kernel.spawn(late);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(ended, sleepers);
    return kernel.longest_interrupt();
  };
  for (const bool equal : {false, true}) EXPECT_EQ(longest(1000, equal), longest(4, equal));
}

// A clock that leaps: everything is due at once, late, and in its order. One that stands still for
// a while (as all machine calls at an instant do) has no effect.
TEST(Interrupts, OfAClockThatLeapsLoseNothing) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 2, .seed = seed, .interleave = 1, .stall = ticks(500)});
    std::vector<K::Thread*> tasks;
    int periods = 0;
    for (uint64_t i = 0; i < 6; ++i) {
      tasks.push_back(&kernel.make("task",
                                   [&, i] {
                                     Instant due = at(2000 + i);
                                     for (int n = 0; n < 20; ++n) {
                                       due = due + ticks(100 + i);
                                       EXPECT_EQ(S::sleep_until(due), Waited::timed_out);
                                       EXPECT_GE(S::now(), due);
                                       ++periods;
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i) {
        kernel.spawn_on(static_cast<CpuNumber>(i % 2), *tasks[i]);
      }
    });
    ASSERT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(periods, 120);
  }
}

// ---- Timers ----

TEST(Alarms, FireInOrderAndMayBeArmedAnewAndCancelled) {
  K kernel;
  std::deque<Alarm> alarms;
  const auto logs = [&](std::string name) {
    return [&kernel, name](Alarm&) {
      kernel.log(name + " " + std::to_string(S::now().ticks));
      const Sim::Irq irq = Sim::mask();
      EXPECT_EQ(irq, Sim::Irq::masked);
    };
  };
  auto& first = alarms.emplace_back(logs("first"));
  auto& second = alarms.emplace_back(logs("second"));
  auto& moved = alarms.emplace_back(logs("moved"));
  auto& gone = alarms.emplace_back(logs("gone"));
  auto& past = alarms.emplace_back(logs("past"));
  auto& not_ever = alarms.emplace_back(logs("never"));
  int rounds = 0;
  auto& periodic = alarms.emplace_back([&](Alarm& self) {
    kernel.log("periodic " + std::to_string(S::now().ticks));
    EXPECT_FALSE(self.armed());
    EXPECT_FALSE(S::cancel(self));  // it is what fires
    if (++rounds < 3) EXPECT_TRUE(S::arm(self, self.when() + ticks(100)));
  });
  auto& killer = alarms.emplace_back([&](Alarm&) {
    EXPECT_TRUE(S::cancel(gone));
    EXPECT_FALSE(S::cancel(gone));
  });
  auto& task = kernel.make("task", [&] {
    EXPECT_FALSE(S::cancel(first));
    EXPECT_TRUE(S::arm(moved, at(200)));
    EXPECT_TRUE(S::arm(killer, at(300)));
    EXPECT_TRUE(S::arm(first, at(300)));
    EXPECT_TRUE(S::arm(second, at(300)));
    EXPECT_TRUE(S::arm(gone, at(300)));
    EXPECT_TRUE(S::arm(moved, at(300)));
    EXPECT_TRUE(S::arm(not_ever, never));
    EXPECT_TRUE(S::arm(periodic, at(150)));
    EXPECT_TRUE(S::arm(past, at(3)));  // at once, in an interrupt
    EXPECT_EQ(kernel.lines, Lines{"past 10"});
    S::sleep_until(at(1000));
    EXPECT_TRUE(not_ever.armed());
    EXPECT_TRUE(S::cancel(not_ever));
    EXPECT_FALSE(S::cancel(first));
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"past 10", "periodic 150", "periodic 250", "first 300",
                                 "second 300", "moved 300", "periodic 350"}));
}

TEST(Alarms, MayDoWhatAnInterruptMay) {
  K kernel;
  auto& urgent = kernel.make("urgent", [&] { kernel.log("urgent"); }, {.priority = 9});
  auto& victim = kernel.make("victim", [] { ADD_FAILURE(); }, {.priority = 1});
  auto& parked =
      kernel.make("parked", [&] { EXPECT_EQ(S::park(), Woken::by_cancel); }, {.priority = 8});
  Alarm alarm([&](Alarm&) {
    kernel.spawn(urgent);
    S::kill(victim);
    S::cancel_wait(parked);
    S::suspend(S::current());
  });
  auto& task = kernel.make("task",
                           [&] {
                             kernel.spawn(victim);
                             S::arm(alarm, at(100));
                             Sim::spend(ticks(500));
                             kernel.log("task");
                           },
                           {.priority = 2});
  kernel.on_finish = [&](K::Thread& thread) {
    if (&thread == &victim) EXPECT_TRUE(S::resume(task));
  };
  kernel.boot_with(parked, task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"urgent", "task"}));
  EXPECT_EQ(parked.finishes, 1);
}

TEST(Alarms, WithSlackShareAnInterrupt) {
  for (const uint64_t slack : {0, 1000}) {
    K kernel;
    std::deque<Alarm> alarms;
    int fired = 0;
    for (int i = 0; i < 8; ++i) {
      alarms.emplace_back([&fired](Alarm& self) {
        ++fired;
        EXPECT_EQ(S::now(), self.when());
      });
    }
    auto& task = kernel.make("task", [&] {
      for (uint64_t i = 0; i < 8; ++i) {
        EXPECT_TRUE(S::arm(alarms[i], at(10'000 + i * 20), ticks(slack)));
        EXPECT_GE(alarms[i].when(), at(10'000 + i * 20));
        EXPECT_LE(alarms[i].when(), at(10'000 + i * 20 + slack));
      }
    });
    kernel.boot_with(task);
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(fired, 8);
    EXPECT_EQ(kernel.world.report(0).waits, slack == 0 ? 8u : 1u);
  }
}

TEST(Alarms, BelongToTheCpuThatArmedThem) {
  K kernel({.cpus = 2});
  int fired = 0;
  Alarm alarm([&](Alarm&) {
    ++fired;
    EXPECT_EQ(S::here().number, 1);
    EXPECT_EQ(S::now(), at(5000));
  });
  auto& owner = kernel.make("owner", [&] {
    EXPECT_TRUE(S::arm(alarm, at(5000)));
    S::sleep_until(at(6000));
  });
  auto& other = kernel.make("other", [&] {
    S::sleep_until(at(4000));
    EXPECT_FALSE(S::arm(alarm, at(4500)));
    EXPECT_FALSE(S::cancel(alarm));
    EXPECT_EQ(alarm.when(), at(5000));
    S::sleep_until(at(7000));
    // Not armed it is nobody's.
    EXPECT_TRUE(S::arm(alarm, at(8000)));
    EXPECT_TRUE(S::cancel(alarm));
  });
  kernel.boot([&] {
    kernel.spawn_on(1, owner);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(fired, 1);
}

// ---- Together with the rest ----

// Timers between slices neither lengthen nor shorten them.
TEST(Alarms, LeaveSlicesAlone) {
  using Rr = Kernel<RoundRobin>;
  using RrS = Rr::S;
  Rr kernel;
  int fired = 0;
  Alarm alarm([&](Alarm& self) {
    if (++fired < 100) EXPECT_TRUE(RrS::arm(self, self.when() + ticks(17)));
  });
  std::vector<Rr::Thread*> tasks;
  for (int i = 0; i < 3; ++i) {
    tasks.push_back(&kernel.make("task", [] { Sim::spend(ticks(600)); }, {.slice = ticks(50)}));
  }
  kernel.on_finish = [&](Rr::Thread& task) {
    EXPECT_EQ(RrS::usage(task).run, ticks(600));
    // Twelve turns of fifty each; who is alone in the end has no more.
    if (&task != tasks.back()) EXPECT_EQ(RrS::usage(task).involuntary, 12u);
  };
  kernel.boot([&] {
    RrS::arm(alarm, at(10));
    for (auto* task : tasks) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(fired, 100);
  EXPECT_GE(kernel.world.now(), at(1810));
}

// Sleepers, slices, timers and wakes across CPUs: everybody ends, nobody early.
TEST(Alarms, OfManyCpusAreExactInEverySchedule) {
  using Rr = Kernel<RoundRobin>;
  using RrS = Rr::S;
  int cancelled = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Rr kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    std::deque<Alarm> alarms;
    std::vector<Rr::Thread*> tasks;
    int fired = 0, refused = 0;
    for (size_t i = 0; i < 9; ++i) {
      alarms.emplace_back([&](Alarm& self) {
        ++fired;
        EXPECT_GE(RrS::now(), self.when());
      });
      tasks.push_back(&kernel.make("task",
                                   [&, i] {
                                     for (uint64_t n = 0; n < 10; ++n) {
                                       const Instant until = RrS::now() + ticks(20 + n * 3);
                                       if (RrS::sleep_until(until) == Waited::timed_out)
                                         EXPECT_GE(RrS::now(), until);
                                       if (!alarms[i].armed())
                                         EXPECT_TRUE(RrS::arm(alarms[i], RrS::now() + ticks(150)));
                                       RrS::wake(*tasks[(i + n) % tasks.size()]);
                                       if (n % 4 == 1)
                                         RrS::cancel_wait(*tasks[(i + n) % tasks.size()]);
                                       Sim::spend(ticks(n * 5));
                                       if (n % 3 == 0) cancelled += RrS::cancel(alarms[i]);
                                       // Of the task before, which is another CPU's.
                                       if (n % 5 == 2) refused += !RrS::cancel(alarms[(i + 1) % 9]);
                                     }
                                     cancelled += RrS::cancel(alarms[i]);
                                   },
                                   {.slice = ticks(25)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i) {
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
      }
    });
    ASSERT_EQ(kernel.run(), End::quiet);
    for (auto* task : tasks) ASSERT_EQ(task->finishes, 1);
    for (auto& alarm : alarms) EXPECT_FALSE(alarm.armed());
    EXPECT_GT(fired, 0);
    EXPECT_EQ(refused, 18);
  }
  EXPECT_GT(cancelled, 0);
}

}  // namespace
}  // namespace sched::test
