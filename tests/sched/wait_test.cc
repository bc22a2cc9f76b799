// The one token behind everything that blocks: whatever wants to end a wait, and however it meets
// with the others, each wait ends once, for one reason, and no wake is lost or counts twice.

#include "sched/wait.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "sched/sync/semaphore.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;
using Lines = std::vector<std::string>;

TEST(Token, OfTwoWakesIsOne) {
  K kernel;
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_EQ(S::park(), Woken::by_wake);
                             kernel.log("once");
                             EXPECT_EQ(S::park_until(at(500)), Woken::by_timeout);
                             // Before it parks they are one as well.
                             S::wake(S::current());
                             S::wake(S::current());
                             EXPECT_EQ(S::park(), Woken::by_wake);
                             EXPECT_EQ(S::park_until(at(600)), Woken::by_timeout);
                           },
                           {.priority = 1});
  auto& other = kernel.make("other",
                            [&] {
                              const S::NoPreempt guard;
                              S::wake(task);
                              EXPECT_EQ(S::state(task), State::ready);
                            },
                            {.priority = 1});
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"once"});
}

// What ends a wait, and what is left of each that came too late, in every order.
TEST(Token, ThatComesFirstIsTheOnlyReason) {
  using Act = std::function<void(S::Task&)>;
  const std::array<std::pair<Woken, Act>, 3> acts = {{
      {Woken::by_wake, [](S::Task& task) { S::wake(task); }},
      {Woken::by_cancel, [](S::Task& task) { S::cancel_wait(task); }},
      {Woken::by_kill, [](S::Task& task) { S::kill(task); }},
  }};
  for (std::array<size_t, 3> order = {0, 1, 2};;) {
    // Within one interrupt, and across an instant by which the wait has timed out.
    for (const bool late : {false, true}) {
      K kernel;
      const Woken first = late ? Woken::by_timeout : acts[order[0]].first;
      auto& task = kernel.make("task",
                               [&] {
                                 EXPECT_EQ(S::park_until(at(500)), first);
                                 EXPECT_EQ(S::now(), at(500));
                                 EXPECT_TRUE(S::current().kill_requested());
                                 if (first != Woken::by_wake) EXPECT_EQ(S::park(), Woken::by_wake);
                                 EXPECT_EQ(S::park(), Woken::by_kill);
                               },
                               {.priority = 1});
      const auto act = [&] {
        for (const size_t i : order) acts[i].second(task);
      };
      auto& other = kernel.make("other",
                                [&] {
                                  S::sleep_until(at(late ? 500 : 499));
                                  const S::NoPreempt guard;
                                  Sim::spend(ticks(late ? 0 : 1));
                                  EXPECT_EQ(S::state(task), late ? State::ready : State::blocked);
                                  act();
                                },
                                {.priority = 2});
      if (!late) {
        // Masked, so that the timer's interrupt comes after all of them.
        other.body = [&] {
          S::sleep_until(at(499));
          const Sim::Irq irq = Sim::mask();
          Sim::spend(ticks(1));
          act();
          Sim::unmask(irq);
        };
      }
      kernel.boot_with(task, other);
      ASSERT_EQ(kernel.run(), End::quiet);
      EXPECT_EQ(task.finishes, 1);
    }
    if (!std::next_permutation(order.begin(), order.end())) break;
  }
}

// An interrupt at every instant of the way into a wait, and out of it.
TEST(Token, IsNotLostOnTheWayIntoAWait) {
  for (uint64_t when = 100; when < 200; ++when) {
    K kernel({.call_cost = ticks(1)});
    bool flag = false;
    auto& task = kernel.make("task", [&] {
      Sim::spend(ticks(80));
      while (!flag) S::park();
    });
    kernel.on_device = [&](uint32_t, S::Interrupt& interrupt) {
      flag = true;
      interrupt.wake(task);
    };
    kernel.world.raise_at(0, 1, at(when));
    kernel.boot_with(task);
    ASSERT_EQ(kernel.run(), End::quiet) << when;
    ASSERT_EQ(task.finishes, 1) << when;
  }
}

TEST(Token, GivenToASleeperIsKeptForItsPark) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(S::sleep_until(at(500)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(500));
    EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_EQ(S::now(), at(500));
    EXPECT_EQ(S::park_until(at(510)), Woken::by_timeout);
    // The one that it has when it begins to sleep, too.
    S::wake(S::current());
    EXPECT_EQ(S::sleep_until(at(600)), Waited::timed_out);
    EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_EQ(S::park_until(at(610)), Woken::by_timeout);
    // Sleeping past is no wait, and takes none.
    S::wake(S::current());
    EXPECT_EQ(S::sleep_until(at(0)), Waited::timed_out);
    EXPECT_EQ(S::park(), Woken::by_wake);
  });
  kernel.on_device = [&](uint32_t, S::Interrupt& interrupt) { interrupt.wake(task); };
  kernel.world.raise_at(0, 1, at(100));
  kernel.world.raise_at(0, 1, at(200));
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

// It was not meant for the semaphore, and a loop around `park` relies on it.
TEST(Token, GivenToOneThatWaitsForSomethingElseIsKeptForItsPark) {
  for (const bool before : {false, true}) {
    K kernel;
    Semaphore<S> semaphore;
    auto& other = kernel.make("other", [] { Sim::spend(ticks(300)); }, {.priority = 1});
    auto& task = kernel.make("task",
                             [&] {
                               if (before) S::wake(S::current());
                               EXPECT_EQ(semaphore.take_until(at(500)), Waited::done);
                               EXPECT_EQ(S::now(), at(300));
                               EXPECT_EQ(S::park(), Woken::by_wake);
                               EXPECT_EQ(S::now(), at(300));
                               EXPECT_EQ(S::park_until(at(400)), Woken::by_timeout);
                               if (before) S::wake(S::current());
                               EXPECT_EQ(S::join(other), uint64_t{0});
                               EXPECT_EQ(S::now(), at(410));
                               EXPECT_EQ(S::park_until(S::now() + ticks(5)),
                                         before ? Woken::by_wake : Woken::by_timeout);
                             },
                             {.priority = 2});
    kernel.on_device = [&](uint32_t line, S::Interrupt& interrupt) {
      if (line == 1) interrupt.wake(task);
      if (line == 2) semaphore.give();
      if (line == 3) kernel.spawn(other);
    };
    if (!before) kernel.world.raise_at(0, 1, at(100));
    kernel.world.raise_at(0, 2, at(300));
    kernel.world.raise_at(0, 3, at(110));
    kernel.boot_with(task);
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(task.finishes, 1);
  }
}

TEST(Token, OfADeafWaitIsOnlyWhatItWaitsFor) {
  K kernel;
  WaitQueue<S> queue;
  auto& task = kernel.make("task",
                           [&] {
                             {
                               S::Masked masked;
                               queue.lock();
                               static constexpr internal::WaitKind kDeaf{.is_deaf = true};
                               Waiting<S> waiting(masked, kDeaf);
                               Waiter<S> waiter(waiting);
                               queue.insert(waiter);
                               queue.unlock();
                               EXPECT_EQ(masked.park(waiting.task, waiting, never), Woken::by_wake);
                               EXPECT_TRUE(waiting.is_served());
                               EXPECT_EQ(S::now(), at(400));
                             }
                             EXPECT_EQ(S::park(), Woken::by_kill);  // which has been asked before
                           },
                           {.priority = 1});
  kernel.on_device = [&](uint32_t line, auto&) {
    switch (line) {
      case 1: return S::cancel_wait(task);
      case 2: return S::kill(task);
      default: {
        S::Masked masked;
        queue.lock();
        const S::Served served = queue.serve([](Waiter<S>&) {});
        queue.unlock();
        ASSERT_TRUE(served);
        masked.wake(served);
      }
    }
  };
  for (uint32_t line = 1; line <= 3; ++line) kernel.world.raise_at(0, line, at(100 + line * 100));
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

// Whoever stops in an interrupt, or with interrupts masked, must not wait.
TEST(Wait, IsForTasksAlone) {
  K in_interrupt;
  in_interrupt.on_device = [&](uint32_t, auto&) { S::sleep_for(ticks(10)); };
  auto& idler = in_interrupt.make("idler", [] { Sim::spend(ticks(200)); });
  in_interrupt.world.raise_at(0, 1, at(100));
  in_interrupt.boot([&] { in_interrupt.spawn(idler); });
  EXPECT_EQ(in_interrupt.run(), (Panic{"yield, park or exit in an interrupt", "idler"}));

  K masked;
  auto& task = masked.make("task", [] {
    Sim::mask();
    S::sleep_for(ticks(10));
  });
  masked.boot([&] { masked.spawn(task); });
  EXPECT_EQ(masked.run(), (Panic{"sleep with interrupts masked", "task"}));

  K guarded;
  auto& guard = guarded.make("guard", [] {
    const S::NoPreempt forbidden;
    S::park_until(at(5));
  });
  guarded.boot([&] { guarded.spawn(guard); });
  EXPECT_EQ(guarded.run(),
            (Panic{"yield, park or exit while a guard forbids rescheduling", "guard"}));
}

// ---- Several CPUs, many schedules ----

// Wakes that each come with a count; whoever waits takes what has been counted. With timeouts and
// cancels in between none is missing in the end.
TEST(Race, OfEverythingLosesNoWake) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    constexpr size_t kTasks = 3;
    constexpr int kWakes = 40;
    std::array<std::atomic<int>, kTasks> posted{};
    std::array<int, kTasks> taken{};
    int reasons[4] = {};
    std::vector<K::Thread*> tasks, others;
    for (size_t i = 0; i < kTasks; ++i) {
      tasks.push_back(&kernel.make("task",
                                   [&, i] {
                                     for (uint64_t n = 0; taken[i] < kWakes; ++n) {
                                       taken[i] += posted[i].exchange(0);
                                       if (taken[i] == kWakes) break;
                                       // Without a limit now and then: a lost wake hangs it.
                                       const Woken woken = n % 3 == 0
                                                               ? S::park()
                                                               : S::park_until(S::now() + ticks(n));
                                       ++reasons[static_cast<size_t>(woken)];
                                       if (n % 4 == 0) S::sleep_for(ticks(5));
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
      others.push_back(&kernel.make("other",
                                    [&, i] {
                                      for (int n = 0; n < kWakes; ++n) {
                                        const size_t to = (i + static_cast<size_t>(n)) % kTasks;
                                        ++posted[to];
                                        S::wake(*tasks[to]);
                                        if (n % 5 == 0) S::cancel_wait(*tasks[(to + 1) % kTasks]);
                                        Sim::spend(ticks(static_cast<uint64_t>(n % 7)));
                                      }
                                    },
                                    {.priority = 1}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < kTasks; ++i) {
        kernel.spawn_on(static_cast<CpuNumber>(i), *tasks[i]);
        kernel.spawn_on(static_cast<CpuNumber>(i), *others[i]);
      }
    });
    ASSERT_EQ(kernel.run(), End::quiet);
    for (size_t i = 0; i < kTasks; ++i) {
      ASSERT_EQ(tasks[i]->finishes, 1) << "a wake was lost";
      EXPECT_EQ(taken[i], kWakes);
    }
    EXPECT_GT(reasons[static_cast<size_t>(Woken::by_wake)], 0);
  }
}

// Takers that are given permits, time out, are cancelled, suspended and killed: each take has one
// end, and each permit is taken or there.
TEST(Race, OfEverythingLosesNoPermit) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Semaphore<S> semaphore;
    std::array<int, 4> ends{};
    std::vector<K::Thread*> takers, others;
    for (uint16_t i = 0; i < 6; ++i) {
      takers.push_back(&kernel.make("taker",
                                    [&, i] {
                                      for (uint64_t n = 0; n < 10; ++n) {
                                        const Waited end = semaphore.take_for(ticks(40 + n * i));
                                        ++ends[static_cast<size_t>(end)];
                                        if (end == Waited::killed) break;
                                      }
                                    },
                                    {.priority = static_cast<uint16_t>(i % 3)}));
    }
    int given = 0;
    for (size_t i = 0; i < 3; ++i) {
      others.push_back(&kernel.make("other",
                                    [&, i] {
                                      for (size_t n = 0; n < 15; ++n) {
                                        given += semaphore.give();
                                        auto& taker = *takers[(n * 5 + i) % takers.size()];
                                        if (n % 3 == 0) S::cancel_wait(taker);
                                        if (n % 4 == 0 && S::suspend(taker)) {
                                          Sim::spend(ticks(15));
                                          S::resume(taker);
                                        }
                                        if (n == 12) S::kill(*takers[i]);
                                        Sim::spend(ticks(seed % 30 + n));
                                      }
                                    },
                                    {.priority = 1}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < takers.size(); ++i) {
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *takers[i]);
      }
      for (size_t i = 0; i < 3; ++i) kernel.spawn_on(static_cast<CpuNumber>(i), *others[i]);
    });
    ASSERT_EQ(kernel.run(), End::quiet);
    for (auto* taker : takers) ASSERT_EQ(taker->finishes, 1);
    EXPECT_EQ(given, 45);
    EXPECT_EQ(ends[0] + semaphore.permits(), given);
  }
}

}  // namespace
}  // namespace sched::test
