// A task's life on one CPU: its states, its exit, the sink, and again.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<Fifo>;
using S = K::S;

// --- States ---

TEST(State, ChangesAsTheTableSays) {
  constexpr State kAll[] = {
      State::fresh,    State::ready,     State::running,          State::blocked,
      State::finished, State::suspended, State::suspended_blocked};
  const std::vector<std::pair<State, State>> legal = {
      {State::fresh, State::ready},       // spawn
      {State::ready, State::running},     // is picked
      {State::ready, State::finished},    // kill, before the first time
      {State::running, State::ready},     // loses the CPU
      {State::running, State::blocked},   // park
      {State::running, State::finished},  // exit
      {State::blocked, State::ready},     // wake
      {State::finished, State::ready},    // spawn
      {State::ready, State::suspended},
      {State::running, State::suspended},
      {State::blocked, State::suspended_blocked},
      {State::suspended, State::ready},              // resume
      {State::suspended_blocked, State::blocked},    // resume
      {State::suspended_blocked, State::suspended},  // wake
  };
  for (const State from : kAll) {
    for (const State to : kAll) {
      const bool expected =
          std::find(legal.begin(), legal.end(), std::pair(from, to)) != legal.end();
      EXPECT_EQ(is_legal(from, to), expected) << int(from) << " to " << int(to);
    }
  }
}

TEST(State, IsToldAtEachStepOfALife) {
  K kernel;
  std::vector<State> states;
  K::Thread* other = nullptr;
  auto& task = kernel.make("task", [&] {
    states.push_back(S::state(*other));  // running, seen by itself
    S::yield();
    S::park();
  });
  other = &task;
  auto& observer = kernel.make("observer", [&] {
    states.push_back(S::state(task));  // it has yielded
    S::yield();
    states.push_back(S::state(task));  // it has parked
    S::wake(task);
    states.push_back(S::state(task));  // woken, and waits for its turn
    S::yield();
    states.push_back(S::state(task));
  });
  kernel.boot([&] {
    states.push_back(S::state(task));
    kernel.spawn(task);
    states.push_back(S::state(task));
    kernel.spawn(observer);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(states, (std::vector<State>{State::fresh, State::ready, State::running, State::ready,
                                        State::blocked, State::ready, State::finished}));
}

// --- Exit, the sink, and the next life ---

TEST(Exit, EndsTheTaskThere) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    kernel.log("before");
    S::exit();
    kernel.log("after");
  });
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"before"});
  EXPECT_EQ(task.finishes, 1);
}

// Its exit value is kept where what it waits in was.
TEST(Exit, TakesTheTaskFromWhoeverWouldCancelItsWait) {
  for (const hal::sim::Wait wait : {hal::sim::Wait::takes, hal::sim::Wait::returns_masked}) {
    for (uint64_t delay = 0; delay < 60; ++delay) {
      Kernel<Fifo> kernel({.interleave = 0, .call_cost = ticks(1), .wait = wait});
      using S = decltype(kernel)::S;
      auto& task = kernel.make("task", [&] {
        S::park();
        S::exit(UINT64_MAX);
      });
      kernel.on_device = [&](uint32_t line, auto&) {
        if (line == 1) {
          S::wake(task);
        } else {
          S::cancel_wait(task);
        }
      };
      kernel.world.raise_at(0, 1, at(1000));
      kernel.world.raise_at(0, 2, at(1000 + delay));
      kernel.boot([&] { kernel.spawn(task); });
      EXPECT_EQ(kernel.run(), End::quiet) << delay;
      EXPECT_EQ(task.finishes, 1);
    }
  }
}

TEST(Sink, RunsOnTheIdleTaskUnmaskedAndAllowsWhatAnInterruptMay) {
  Kernel<RoundRobin> kernel;
  using S = decltype(kernel)::S;
  auto& woken = kernel.make("woken", [&] {
    S::park();
    kernel.log("woken");
  });
  auto& task = kernel.make("task", [] {});
  kernel.on_finish = [&](auto& thread) {
    if (&thread != &task) return;
    EXPECT_EQ(&S::current(), &kernel.cpu(0).idle());
    EXPECT_STREQ(S::current().name(), "idle");
    const Sim::Irq irq = Sim::mask();
    EXPECT_EQ(irq, Sim::Irq::unmasked);
    Sim::unmask(irq);
    const typename S::NoPreempt guard;
    S::wake(woken);
    S::kill(woken);
    EXPECT_TRUE(S::retune(woken, {.slice = ticks(5)}));
    EXPECT_EQ(S::state(task), State::finished);
    kernel.log("sink");
  };
  kernel.boot([&] {
    kernel.spawn(woken);
    kernel.spawn(task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"sink", "woken"}));
}

// The sink poisons the stack and the task is spawned again on it, at once and thousands of times.
TEST(Sink, GetsATaskOnlyOnceItIsOffItsStack) {
  static constexpr int kLives = 3000;
  Kernel<RoundRobin> kernel({.steps = 100'000'000});
  int lives = 0;
  auto& task = kernel.make("task", [&] { ++lives; });
  auto& bystander = kernel.make("bystander", [&] {
    while (lives < kLives) decltype(kernel)::S::yield();
  });
  kernel.on_finish = [&](auto& thread) {
    if (&thread == &task && lives < kLives) kernel.spawn(task);
  };
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(bystander);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(lives, kLives);
  EXPECT_EQ(task.finishes, kLives);
}

// Other storage of the same address: a task object is destroyed and constructed anew in between.
TEST(Sink, HandsTheStorageBackForGood) {
  static constexpr int kLives = 1000;
  K kernel;
  alignas(S::Task) std::array<std::byte, sizeof(S::Task)> storage;
  hal::sim::Stack stack;
  int lives = 0;
  auto& maker = kernel.make("maker", [&] {
    const auto live = [](void* lives) { ++*static_cast<int*>(lives); };
    for (int life = 0; life < kLives; ++life) {
      auto* const task = new (storage.data()) S::Task(K::kStranger);
      EXPECT_TRUE(S::spawn(*task, stack, live, &lives).has_value());
      while (!task->ownership().is_free()) S::yield();
      std::memset(stack.bytes().data(), 0xdb, stack.bytes().size());
      task->~Task();
      std::memset(storage.data(), 0xdb, storage.size());
    }
  });
  kernel.boot([&] { kernel.spawn(maker); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(lives, kLives);
}

TEST(NextLife, ForgetsPermitKillAndStatistics) {
  Kernel<FixedPriority> kernel;
  using S = decltype(kernel)::S;
  int life = 0;
  auto& task = kernel.make("task", [&] {
    if (++life == 1) {
      Sim::spend(ticks(1000));
      S::yield();
      S::wake(S::current());  // a permit that is left over
      S::kill(S::current());
      return;
    }
    EXPECT_FALSE(S::current().kill_requested());
    const Usage usage = S::usage(S::current());
    EXPECT_EQ(usage.run, ticks(0));
    EXPECT_EQ(usage.voluntary + usage.involuntary + usage.preemptions + usage.wakes, 0u);
    EXPECT_EQ(S::park(), Woken::by_wake);
    kernel.log("woken in the second life");
  });
  auto& other = kernel.make("other", [&] {
    S::yield();
    EXPECT_EQ(S::state(task), State::finished);
    kernel.spawn(task);
    S::yield();
    EXPECT_EQ(S::state(task), State::blocked);
    S::wake(task);
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"woken in the second life"});
  EXPECT_EQ(task.finishes, 2);
}

TEST(NextLife, MayHaveAnotherPriority) {
  Kernel<FixedPriority> kernel;
  auto& task = kernel.make("task", [&] { kernel.log("task"); }, {.priority = 9});
  auto& other = kernel.make("other", [&] { kernel.log("other"); }, {.priority = 5});
  kernel.on_finish = [&](auto& thread) {
    if (&thread != &task || task.finishes > 1) return;
    task.attributes = {.priority = 1};
    kernel.spawn(task);
  };
  kernel.boot([&] {
    kernel.spawn(other);
    kernel.spawn(task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"task", "other", "task"}));
}

// --- Who runs ---

TEST(Current, IsTheIdleTaskBeforeRunAndTheTaskInATask) {
  K kernel;
  auto& task = kernel.make("task", [&] { EXPECT_EQ(&S::current(), &kernel.threads.front()); });
  kernel.boot([&] {
    EXPECT_EQ(&S::current(), &kernel.cpu(0).idle());
    EXPECT_EQ(&S::here(), &kernel.cpu(0));
    EXPECT_EQ(S::state(kernel.cpu(0).idle()), State::running);
    kernel.spawn(task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(Scheduler, LivesManyTimesInOneProcess) {
  Kernel<RoundRobin> first({.cpus = 2});
  Kernel<FixedPriority> second({.cpus = 1});
  Kernel<RoundRobin> third({.cpus = 1});
  const auto populate = [](auto& kernel) {
    using S = typename std::remove_reference_t<decltype(kernel)>::S;
    for (int i = 0; i < 3; ++i) {
      kernel.make("task " + std::to_string(i), [] {
        for (int round = 0; round < 100; ++round) {
          Sim::spend(ticks(10));
          S::yield();
        }
      });
    }
    kernel.boot([&kernel] {
      for (auto& thread : kernel.threads) kernel.spawn(thread);
    });
  };
  populate(first);
  populate(second);
  populate(third);
  for (uint64_t until = 100; until < 5000; until += 100) {
    EXPECT_EQ(first.run(at(until)), until < 4000 ? End::until : End::quiet);
    second.run(at(until));
    third.run(at(until));
  }
  for (const auto& thread : first.threads) EXPECT_EQ(thread.finishes, 1);
  for (const auto& thread : second.threads) EXPECT_EQ(thread.finishes, 1);
  for (const auto& thread : third.threads) EXPECT_EQ(thread.finishes, 1);
}

}  // namespace
}  // namespace sched::test
