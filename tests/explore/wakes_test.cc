// Waits and what ends them, lives and what ends those, on two CPUs: every schedule.
//
// What one task stores plainly before it wakes another, that one reads plainly after: so each
// scenario also says what the wake orders (hal/sim/races.h).

#include <atomic>

#include "gtest/gtest.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "tests/explore/explore.h"

namespace sched::test {
namespace {

using K = Scenario<Fifo>;
using S = K::S;

// ---- A park and a wake ----

EXPLORE(AParkAndAWake) {
  K kernel(explorer);
  int stored = 0;
  auto& sleeper = kernel.task(0, "sleeper", [&] {
    EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_EQ(stored, 7);
  });
  kernel.task(1, "waker", [&] {
    stored = 7;
    S::wake(sleeper);
  });
  kernel.run();
}

// A flag, then a wake; the other CPU looks, then parks.
EXPLORE(AFlagAndAWake) {
  K kernel(explorer);
  std::atomic<bool> flag = false;
  auto& sleeper = kernel.task(0, "sleeper", [&] {
    while (!flag.load(std::memory_order_relaxed)) S::park();
  });
  kernel.task(1, "waker", [&] {
    flag.store(true, std::memory_order_relaxed);
    S::wake(sleeper);
  });
  kernel.run();
}

// Two wakes of one task: each is a wake, or comes before the park that the other one ends.
EXPLORE(AParkAndTwoWakes) {
  K kernel(explorer);
  int stored = 0;
  auto& sleeper = kernel.early_task(0, "sleeper", [&] {
    EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_EQ(stored, 8);
  });
  kernel.task(1, "waker", [&] {
    stored = 7;
    S::wake(sleeper);
    while (sleeper.ownership(std::memory_order_acquire).pending() != request::none) S::relax();
    stored = 8;
    S::wake(sleeper);
  });
  kernel.run();
}

EXPLORE(APingPong) {
  K kernel(explorer);
  int ball = 0;
  K::Thread* pong = nullptr;
  auto& ping = kernel.task(0, "ping", [&] {
    ball = 1;
    S::wake(*pong);
    S::park();
    EXPECT_EQ(ball, 2);
  });
  pong = &kernel.task(1, "pong", [&] {
    S::park();
    EXPECT_EQ(ball, 1);
    ball = 2;
    S::wake(ping);
  });
  kernel.run();
}

// Nobody runs on CPU 0, or it is just about to find that out.
EXPLORE(AnIdleCpuAndAWake) {
  K kernel(explorer);
  int stored = 0;
  auto& sleeper = kernel.early_task(0, "sleeper", [&] {
    EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_EQ(stored, 7);
  });
  kernel.task(0, "other", [] {});
  kernel.task(1, "waker", [&] {
    stored = 7;
    S::wake(sleeper);
  });
  kernel.run();
}

// Two messages to one CPU, each from another one.
EXPLORE(AnIdleCpuAndTwoWakers, .preemptions = 1) {
  K kernel(explorer, 3);
  int stored[2] = {0, 0};
  K::Thread* sleepers[2];
  for (int i : {0, 1}) {
    sleepers[i] = &kernel.early_task(0, "sleeper", [&stored, i] {
      EXPECT_EQ(S::park(), Woken::by_wake);
      EXPECT_EQ(stored[i], 7);
    });
    kernel.task(static_cast<CpuNumber>(i + 1), "waker", [&, i] {
      stored[i] = 7;
      S::wake(*sleepers[i]);
    });
  }
  kernel.run();
}

// ---- A timeout ----

// The clock may come to the timeout at any moment, also before the wait has begun.
EXPLORE(ATimeoutAndAWake) {
  K kernel(explorer);
  int stored = 0;
  auto& sleeper = kernel.task(0, "sleeper", [&] {
    const Woken reason = S::park_until(kStart + ticks(100));
    if (reason == Woken::by_wake) EXPECT_EQ(stored, 7);
    // What came too late lets the next one pass.
    if (reason == Woken::by_timeout) EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_EQ(stored, 7);
  });
  kernel.task(1, "waker", [&] {
    stored = 7;
    S::wake(sleeper);
  });
  kernel.run();
}

EXPLORE(ATimeoutAndACancel) {
  K kernel(explorer);
  auto& sleeper = kernel.early_task(0, "sleeper", [&] {
    const Woken reason = S::park_until(kStart + ticks(100));
    EXPECT_TRUE(reason == Woken::by_timeout || reason == Woken::by_cancel);
    if (reason == Woken::by_cancel) EXPECT_LE(S::now(), kStart + ticks(100));
  });
  kernel.task(1, "other", [&] { S::cancel_wait(sleeper); });
  kernel.run();
}

EXPLORE(ATimeoutAndAKill) {
  K kernel(explorer);
  auto& sleeper = kernel.early_task(0, "sleeper", [&] {
    const Woken reason = S::park_until(kStart + ticks(100));
    EXPECT_TRUE(reason == Woken::by_timeout || reason == Woken::by_kill);
    if (reason == Woken::by_timeout) S::park();
    EXPECT_TRUE(S::current().kill_requested());
  });
  kernel.task(1, "killer", [&] { S::kill(sleeper); });
  kernel.run();
}

// ---- The end of a task ----

EXPLORE(AnEndAndAWake) {
  K kernel(explorer);
  auto& task = kernel.task(0, "task", [] {});
  kernel.task(1, "waker", [&] { S::wake(task); });
  kernel.run();
}

EXPLORE(AnEndAndAKill) {
  K kernel(explorer);
  auto& task = kernel.task(0, "task", [] {});
  kernel.task(1, "killer", [&] { S::kill(task); });
  kernel.run();
}

EXPLORE(AParkAndAKill) {
  K kernel(explorer);
  auto& task = kernel.task(0, "task", [] { EXPECT_EQ(S::park(), Woken::by_kill); });
  kernel.task(1, "killer", [&] { S::kill(task); });
  kernel.run();
}

// A wake and a kill meet: the task sees both.
EXPLORE(AWakeAndAKill) {
  K kernel(explorer);
  int stored = 0;
  auto& task = kernel.early_task(0, "task", [&] {
    while (S::park() != Woken::by_kill) EXPECT_EQ(stored, 7);
  });
  kernel.task(0, "killer", [&] { S::kill(task); });
  kernel.task(1, "waker", [&] {
    stored = 7;
    S::wake(task);
  });
  kernel.run();
}

// The same, both by mail: the second may come while the first is taken.
EXPLORE(AWakeAndAKillByMail, .preemptions = 1) {
  K kernel(explorer, 3);
  auto& task = kernel.early_task(0, "task", [&] {
    while (S::park() != Woken::by_kill) continue;
  });
  kernel.task(1, "waker", [&] { S::wake(task); });
  kernel.task(2, "killer", [&] { S::kill(task); });
  kernel.run();
}

// Two messages to a CPU whose task does not give it up: both are taken, by interrupts alone.
EXPLORE(ABusyCpuAndTwoWakes, .preemptions = 2) {
  using K = Scenario<FixedPriority>;
  using S = K::S;
  K kernel(explorer);
  std::atomic<int> woken = 0;
  K::Thread* sleepers[2];
  for (int i : {0, 1}) {
    sleepers[i] = &kernel.early_task(0, "sleeper",
                                     [&, i] {
                                       EXPECT_EQ(S::park(), Woken::by_wake);
                                       // Not to its end alone: the idle task would take the rest.
                                       if (woken.fetch_add(1, std::memory_order_relaxed) == 0) {
                                         S::park();
                                       } else {
                                         S::wake(*sleepers[1 - i]);
                                       }
                                     },
                                     {.priority = 2});
  }
  kernel.task(0, "busy",
              [&] {
                while (woken.load(std::memory_order_relaxed) < 2) S::relax();
              },
              {.priority = 1});
  kernel.task(1, "waker",
              [&] {
                for (auto* sleeper : sleepers) S::wake(*sleeper);
              },
              {.priority = 1});
  kernel.run();
}

// It is on its way to its CPU, or there and has not run.
EXPLORE(ABirthAndAKill, .preemptions = 2) {
  K kernel(explorer);
  int stored = 0;
  auto& task = kernel.unborn_task("task", [&] { EXPECT_EQ(stored, 7); });
  kernel.task(0, "parent", [&] {
    stored = 7;
    kernel.spawn_on(1, task);
    S::kill(task);
  });
  kernel.run();
}

// Its new CPU owns it, but has not taken it over yet: what is asked for there waits, too.
EXPLORE(ABirthAndAWakeOnItsCpu, .preemptions = 2) {
  K kernel(explorer);
  auto& task = kernel.unborn_task("task", [] { EXPECT_EQ(S::park(), Woken::by_wake); });
  kernel.task(0, "parent", [&] { kernel.spawn_on(1, task); });
  kernel.task(1, "waker", [&] {
    while (!task.ownership(std::memory_order_acquire).is_alive()) S::relax();
    S::wake(task);
  });
  kernel.run();
}

// Its end is waited for on another CPU: before it, or after.
EXPLORE(AnEndAndAJoin) {
  K kernel(explorer);
  int stored = 0;
  auto& task = kernel.task(0, "task", [&] {
    stored = 7;
    S::exit(8);
  });
  kernel.task(1, "parent", [&] {
    EXPECT_EQ(S::join(task), uint64_t{8});
    EXPECT_EQ(stored, 7);
  });
  kernel.run();
}

EXPLORE(ATimeoutAndAJoin, .preemptions = 2) {
  K kernel(explorer);
  auto& task = kernel.task(0, "task", [] { S::exit(8); });
  kernel.task(1, "parent", [&] {
    const auto joined = S::join(task, kStart + ticks(100));
    if (!joined.has_value()) EXPECT_EQ(joined.error(), JoinError::timed_out);
  });
  kernel.run();
}

// The sink has had a task, and it lives again on another CPU; what is meant for its first life
// comes late, and does nothing to the second.
EXPLORE(ASecondLifeAndALateWake, .preemptions = 2) {
  K kernel(explorer);
  auto& task = kernel.task(0, "task", [&] {
    if (S::here().number == 1) EXPECT_EQ(S::park_until(kStart), Woken::by_timeout);
  });
  const S::Life first{&task, 0};
  kernel.on_finish = [&](auto& finished) {
    if (&finished != &task || finished.finishes == 2) return;
    kernel.spawn_on(1, task);
  };
  kernel.task(1, "waker", [&] { S::wake(first); });
  kernel.lives_twice = &task;
  kernel.run();
}

// ---- Calls ----

// The CPU that answers is idle, or about to be.
EXPLORE(ACallAndItsAnswer) {
  K kernel(explorer);
  int asked = 0;
  int answered = 0;
  kernel.task(0, "other", [] {});
  kernel.task(1, "caller", [&] {
    asked = 7;
    EXPECT_TRUE(S::call_on(0, [&] { answered = asked; }));
    EXPECT_EQ(answered, 7);
  });
  kernel.run();
}

// Whoever comes first has kicked, and the kick is for both.
EXPLORE(ACallAndAWake, .preemptions = 1) {
  K kernel(explorer, 3);
  int answered = 0;
  int stored = 0;
  auto& sleeper = kernel.early_task(0, "sleeper", [&] {
    EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_EQ(stored, 7);
  });
  kernel.task(1, "caller", [&] {
    EXPECT_TRUE(S::call_on(0, [&] { ++answered; }));
    EXPECT_EQ(answered, 1);
  });
  kernel.task(2, "waker", [&] {
    stored = 7;
    S::wake(sleeper);
  });
  kernel.run();
}

EXPLORE(TwoCallsOfOneCpu, .preemptions = 1) {
  K kernel(explorer, 3);
  int answered = 0;
  for (const CpuNumber cpu : {1, 2}) {
    kernel.task(cpu, "caller", [&] { EXPECT_TRUE(S::call_on(0, [&] { ++answered; })); });
  }
  if (kernel.run()) EXPECT_EQ(answered, 2);
}

// It fires before, and has returned, or not at all.
EXPLORE(ATimerAndACancelFromElsewhere) {
  struct Stored : Timer {
    Stored() : Timer([](Timer& timer) { static_cast<Stored&>(timer).fires = 1; }) {}
    int fires = 0;
  };
  K kernel(explorer);
  Stored timer;
  kernel.early_task(0, "owner", [&] { EXPECT_TRUE(S::arm(timer, kStart + ticks(100))); });
  kernel.task(1, "other", [&] {
    const bool in_time = S::cancel_anywhere(timer);
    EXPECT_EQ(timer.fires, in_time ? 0 : 1);
  });
  kernel.run();
}

// ---- Other requests ----

EXPLORE(ASuspendAndAWake, .preemptions = 2) {
  K kernel(explorer);
  auto& task = kernel.early_task(0, "task", [] { EXPECT_EQ(S::park(), Woken::by_wake); });
  kernel.task(0, "waker", [&] { S::wake(task); });
  kernel.task(1, "other", [&] {
    if (S::suspend(task)) EXPECT_TRUE(S::resume(task));
  });
  kernel.run();
}

EXPLORE(ARetuneAndAWake, .preemptions = 2) {
  using K = Scenario<FixedPriority>;
  using S = K::S;
  K kernel(explorer);
  auto& task = kernel.early_task(0, "task",
                                 [] {
                                   EXPECT_EQ(S::park(), Woken::by_wake);
                                   S::NoPreempt guard;
                                 },
                                 {.priority = 1});
  kernel.task(0, "waker", [&] { S::wake(task); }, {.priority = 2});
  kernel.task(1, "other", [&] { S::retune(task, {.priority = 3}); }, {.priority = 1});
  if (kernel.run()) EXPECT_EQ(task.finishes, 1);
}

// ---- A guard ----

// The guard ends, and a kick comes for somebody more urgent: it runs after the guard, though the
// guarded task does not give up its CPU.
EXPLORE(AGuardEndsAndAKickComes, .preemptions = 3) {
  using K = Scenario<FixedPriority>;
  using S = K::S;
  K kernel(explorer);
  bool is_guarded = false;
  std::atomic<bool> has_run = false;
  auto& urgent = kernel.early_task(0, "urgent",
                                   [&] {
                                     EXPECT_EQ(S::park(), Woken::by_wake);
                                     EXPECT_FALSE(is_guarded);
                                     has_run.store(true, std::memory_order_relaxed);
                                   },
                                   {.priority = 2});
  kernel.task(0, "guarded",
              [&] {
                {
                  const S::NoPreempt guard;
                  is_guarded = true;
                  Sim::now();
                  is_guarded = false;
                }
                while (!has_run.load(std::memory_order_relaxed)) S::relax();
              },
              {.priority = 1});
  kernel.task(1, "waker", [&] { S::wake(urgent); }, {.priority = 1});
  kernel.run();
}

}  // namespace
}  // namespace sched::test
