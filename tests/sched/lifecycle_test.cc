// A task's life on one CPU: spawn, yield, park and wake, kill, exit, the sink, and again.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
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

using Lines = std::vector<std::string>;
using K = Kernel<Fifo>;
using S = K::S;

void nothing(void*) {}

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

// --- Spawn ---

TEST(Spawn, RunsTheEntryWithItsArgumentUnmaskedOnItsStack) {
  K kernel;
  S::Task task{K::kStranger};
  hal::sim::Stack stack;
  struct Seen {
    hal::sim::Stack& stack;
    bool on_its_stack = false;
    Sim::Irq irq = Sim::Irq::masked;
  } seen{stack};
  kernel.boot([&] {
    const auto entry = [](void* argument) {
      Seen& seen = *static_cast<Seen*>(argument);
      const auto* const here = static_cast<std::byte*>(__builtin_frame_address(0));
      seen.on_its_stack = here >= seen.stack.bytes().data() &&
                          here < seen.stack.bytes().data() + seen.stack.bytes().size();
      seen.irq = Sim::mask();
      Sim::unmask(seen.irq);
    };
    EXPECT_TRUE(S::spawn(task, stack, entry, &seen).has_value());
    EXPECT_EQ(task.stack_limit(), stack.bytes().data());
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_TRUE(seen.on_its_stack);
  EXPECT_EQ(seen.irq, Sim::Irq::unmasked);
}

TEST(Spawn, FromATaskAndFromAnInterruptAndFromTheSink) {
  K kernel;
  auto& third = kernel.make("third", [&] { kernel.log("third"); });
  auto& fourth = kernel.make("fourth", [&] { kernel.log("fourth"); });
  auto& second = kernel.make("second", [&] { kernel.log("second"); });
  auto& first = kernel.make("first", [&] {
    kernel.spawn(second);
    Sim::spend(ticks(100));
    kernel.log("first");
  });
  kernel.on_device = [&](uint32_t, auto&) { kernel.spawn(third); };
  kernel.on_finish = [&](K::Thread& thread) {
    if (&thread == &third) kernel.spawn(fourth);
  };
  kernel.world.raise_at(0, 1, at(50));
  kernel.boot([&] { kernel.spawn(first); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"first", "second", "third", "fourth"}));
}

TEST(Spawn, RefusesATaskThatIsReadyRunningOrBlocked) {
  K kernel;
  std::vector<SpawnError> errors;
  const auto spawn_again = [&](K::Thread& thread) {
    const auto result = kernel.try_spawn(thread);
    ASSERT_FALSE(result.has_value());
    errors.push_back(result.error());
  };
  K::Thread* self = nullptr;
  auto& blocked = kernel.make("blocked", [&] {
    spawn_again(*self);
    S::park();
    kernel.log("woken");
  });
  self = &blocked;
  auto& other = kernel.make("other", [&] {
    spawn_again(blocked);
    S::wake(blocked);
  });
  kernel.boot([&] {
    kernel.spawn(blocked);
    spawn_again(blocked);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(errors, std::vector(3, SpawnError::already_spawned));
  EXPECT_EQ(kernel.lines, Lines{"woken"});  // nothing had changed
  EXPECT_EQ(blocked.finishes, 1);
}

TEST(Spawn, RefusesAStackThatIsTooSmall) {
  K kernel;
  alignas(16) std::array<std::byte, 4096> memory;
  bool ran = false;
  kernel.boot([&] {
    S::Task task{K::kStranger};
    size_t smallest = 0;
    for (size_t bytes = 0; bytes <= memory.size(); ++bytes) {
      const auto result = S::spawn(task, std::span(memory).first(bytes), &nothing, nullptr);
      if (result.has_value()) {
        smallest = bytes;
        break;
      }
      ASSERT_EQ(result.error(), SpawnError::stack_too_small) << bytes;
      ASSERT_EQ(S::state(task), State::fresh);
    }
    EXPECT_GE(smallest, 2 * Sim::kContextBytes);
    EXPECT_LE(smallest, 2 * Sim::kContextBytes + 128);
    ran = true;
    kernel.world.stop();
  });
  EXPECT_EQ(kernel.run(), End::stopped);
  EXPECT_TRUE(ran);
}

TEST(Spawn, TakesAStackAtAnyAddress) {
  for (size_t offset = 1; offset < 16; ++offset) {
    K kernel;
    S::Task task{K::kStranger};
    hal::sim::Stack stack;
    bool ran = false;
    kernel.boot([&] {
      const std::span<std::byte> bytes = stack;
      const auto entry = [](void* ran) { *static_cast<bool*>(ran) = true; };
      EXPECT_TRUE(
          S::spawn(task, bytes.subspan(offset, bytes.size() - 20), entry, &ran).has_value());
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_TRUE(ran) << offset;
  }
}

TEST(Spawn, RefusesAttributesThatThePolicyRefuses) {
  Kernel<FixedPriority> kernel;
  using S = decltype(kernel)::S;
  auto& task = kernel.make("task", [&] { kernel.log("runs"); }, {.priority = 256});
  kernel.boot([&] {
    const auto result = kernel.try_spawn(task);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error(), SpawnError::bad_attributes);
    EXPECT_EQ(S::state(task), State::fresh);
    task.attributes.priority = 255;
    kernel.spawn(task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"runs"});
  EXPECT_EQ(task.finishes, 1);
}

TEST(Spawn, RefusesACpuThatIsNotThere) {
  K kernel({.cpus = 3});
  auto& task = kernel.make("task", [&] { kernel.log("runs"); });
  kernel.boot_cpu(
      0,
      [&] {
        for (const CpuNumber cpu : {1, 2, 3, 0xfffe}) {
          const auto result = kernel.try_spawn_on(cpu, task);
          ASSERT_FALSE(result.has_value()) << cpu;
          EXPECT_EQ(result.error(), SpawnError::cpu_not_started) << cpu;
        }
        Sim::spend(ticks(1000));  // CPU 1 starts meanwhile
        EXPECT_EQ(kernel.try_spawn_on(2, task).error(), SpawnError::cpu_not_started);
        kernel.spawn_on(1, task);
      },
      at(1));
  kernel.boot_cpu(1, nullptr, at(500));
  kernel.boot_cpu(2, nullptr, at(5000));
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"runs"});
}

TEST(Spawn, MayRunTheTaskBeforeItReturns) {
  Kernel<FixedPriority> kernel;
  auto& high = kernel.make("high", [&] { kernel.log("high"); }, {.priority = 2});
  auto& low = kernel.make("low",
                          [&] {
                            kernel.spawn(high);
                            kernel.log("low");
                          },
                          {.priority = 1});
  kernel.boot([&] { kernel.spawn(low); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"high", "low"}));
}

// --- Yield ---

TEST(Yield, TakesTurns) {
  K kernel;
  for (const char* name : {"a", "b", "c"}) {
    kernel.make(name, [&kernel, name] {
      for (int i = 0; i < 3; ++i) {
        kernel.log(name + std::to_string(i));
        S::yield();
      }
    });
  }
  kernel.boot([&] {
    for (auto& thread : kernel.threads) kernel.spawn(thread);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"}));
}

template <typename P>
class YieldAlone : public testing::Test {};
using Policies = testing::Types<Fifo, RoundRobin, FixedPriority, FixedPriorityThreshold>;
TYPED_TEST_SUITE(YieldAlone, Policies);

TYPED_TEST(YieldAlone, ReturnsAtOnceWithoutASwitch) {
  Kernel<TypeParam> kernel;
  using S = typename decltype(kernel)::S;
  auto& task = kernel.make("task", [&] {
    const uint64_t before = kernel.world.report(0).switches;
    for (int i = 0; i < 10; ++i) S::yield();
    EXPECT_EQ(kernel.world.report(0).switches, before);
    EXPECT_EQ(S::usage(S::current()).voluntary, 0u);
  });
  if constexpr (std::is_same_v<TypeParam, FixedPriorityThreshold>) {
    task.attributes = {.priority = 5, .threshold = 9};
  }
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

// --- Park and wake ---

TEST(Park, LetsOthersRunUntilTheWake) {
  K kernel;
  auto& sleeper = kernel.make("sleeper", [&] {
    kernel.log("parks");
    EXPECT_EQ(S::park(), Woken::by_wake);
    kernel.log("is woken");
  });
  auto& waker = kernel.make("waker", [&] {
    kernel.log("wakes");
    S::wake(sleeper);
    kernel.log("goes on");
  });
  kernel.boot([&] {
    kernel.spawn(sleeper);
    kernel.spawn(waker);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"parks", "wakes", "goes on", "is woken"}));
}

TEST(Park, PassesAtOnceAfterAnEarlierWakeAndThatOnce) {
  K kernel;
  K::Thread* self = nullptr;
  auto& task = kernel.make("task", [&] {
    for (int i = 0; i < 5; ++i) S::wake(*self);  // count as one
    EXPECT_EQ(S::park(), Woken::by_wake);
    kernel.log("passed");
    S::park();
    kernel.log("woken");
  });
  self = &task;
  auto& other = kernel.make("other", [&] {
    kernel.log("other");
    S::wake(task);
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"passed", "other", "woken"}));
}

TEST(Park, PassesAfterAWakeThatCameWhileTheTaskWasReady) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    S::park();
    kernel.log("passed");
  });
  kernel.boot([&] {
    kernel.spawn(task);
    S::wake(task);
    S::wake(task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"passed"});
}

TEST(Wake, OfABlockedTaskTwiceLeavesAPermit) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    S::park();
    S::park();
    kernel.log("passed twice");
    S::park();
    kernel.log("never");
  });
  auto& waker = kernel.make("waker", [&] {
    for (int i = 0; i < 3; ++i) S::wake(task);
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(waker);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"passed twice"});
  EXPECT_EQ(S::state(task), State::blocked);
}

TEST(Wake, FromAnInterruptEndsTheIdleTime) {
  K kernel;
  uint64_t woken_at = 0;
  auto& task = kernel.make("task", [&] {
    S::park();
    woken_at = Sim::now().ticks;
  });
  kernel.on_device = [&](uint32_t line, auto&) {
    EXPECT_EQ(line, 7u);
    S::wake(task);
  };
  kernel.world.raise_at(0, 7, at(12345));
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(woken_at, 12345u);
}

TEST(Wake, OfATaskThatIsNotAliveIsIgnoredAndCounted) {
  K kernel;
  auto& never_spawned = kernel.make("never spawned", [] {});
  auto& task = kernel.make("task", [] {});
  auto& other = kernel.make("other", [&] {
    EXPECT_EQ(S::state(task), State::finished);
    EXPECT_EQ(S::usage(kernel.cpu(0)).stale, 0u);
    S::wake(task);
    S::kill(task);
    EXPECT_EQ(S::usage(kernel.cpu(0)).stale, 2u);
    EXPECT_FALSE(S::retune(task, {}));
    const uint64_t stale = S::usage(kernel.cpu(0)).stale;
    S::wake(never_spawned);
    S::kill(never_spawned);
    EXPECT_EQ(S::usage(kernel.cpu(0)).stale, stale + 2);
    EXPECT_FALSE(S::retune(never_spawned, {}));
    EXPECT_EQ(S::state(task), State::finished);
    EXPECT_EQ(S::state(never_spawned), State::fresh);
    EXPECT_FALSE(task.kill_requested());
    EXPECT_FALSE(never_spawned.kill_requested());
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
  EXPECT_EQ(other.finishes, 1);
  EXPECT_EQ(never_spawned.finishes, 0);
}

// --- Kill ---

TEST(Kill, EndsAPark) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    EXPECT_FALSE(S::current().kill_requested());
    EXPECT_EQ(S::park(), Woken::by_kill);
    EXPECT_TRUE(S::current().kill_requested());
    EXPECT_EQ(S::park(), Woken::by_kill);  // and every one after it
    kernel.log("cleans up");
  });
  auto& killer = kernel.make("killer", [&] { S::kill(task); });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(killer);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"cleans up"});
  EXPECT_EQ(task.finishes, 1);
}

// Whichever way a task that has run lost the CPU: it holds something, perhaps.
TEST(Kill, OfAReadyTaskThatHasRunLetsItRunUntilItParks) {
  using K = Kernel<FixedPriority>;
  using S = K::S;
  for (const char* const way : {"yields", "is preempted", "is timed out", "is woken"}) {
    K kernel;
    kernel.cpu(0).policy().set_slice(1, ticks(100));
    auto& task = kernel.make("task",
                             [&] {
                               if (way == std::string("yields")) S::yield();
                               if (way == std::string("is woken")) S::park();
                               Sim::spend(ticks(150));
                               EXPECT_TRUE(S::current().kill_requested()) << way;
                               EXPECT_EQ(S::park(), Woken::by_kill) << way;
                               kernel.log(way);
                             },
                             {.priority = 1});
    auto& killer = kernel.make("killer",
                               [&] {
                                 if (way == std::string("is woken")) S::wake(task);
                                 EXPECT_EQ(S::state(task), State::ready) << way;
                                 S::kill(task);
                                 EXPECT_TRUE(task.kill_requested());
                               },
                               {.priority = 1});
    if (way == std::string("is preempted")) {
      killer.attributes.priority = 2;
      kernel.on_device = [&](uint32_t, auto&) { kernel.spawn(killer); };
      kernel.world.raise_at(0, 1, at(50));
    }
    kernel.boot([&] {
      kernel.spawn(task);
      if (killer.attributes.priority == 1) kernel.spawn(killer);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(kernel.lines, Lines{way});
    EXPECT_EQ(task.finishes, 1);
    EXPECT_FALSE(task.never_ran());
  }
}

// A wake before the kill does not say why `park` returns: the kill does.
TEST(Kill, AfterAWakeBeforeTheTaskRunsIsWhatTheNextParkReports) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_TRUE(S::current().kill_requested());
    EXPECT_EQ(S::park(), Woken::by_kill);
    kernel.log("knows");
  });
  auto& other = kernel.make("other", [&] {
    S::wake(task);
    EXPECT_EQ(S::state(task), State::ready);
    S::kill(task);
    EXPECT_EQ(S::usage(kernel.cpu(0)).wakes, 1u);
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"knows"});
}

TEST(Kill, OfTheRunningTaskTakesNothingFromIt) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    S::kill(S::current());
    EXPECT_TRUE(S::current().kill_requested());
    S::yield();
    kernel.log("goes on");
    EXPECT_EQ(S::park(), Woken::by_kill);
  });
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"goes on"});
  EXPECT_EQ(task.finishes, 1);
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
