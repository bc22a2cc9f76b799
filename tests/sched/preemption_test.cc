// Who runs until when: slices, the timer that is armed as seldom as possible, the idle CPU, and the
// same tasks under each of the three policies.

#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/policy.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using Lines = std::vector<std::string>;

std::string now_as_text() { return std::to_string(Sim::now().ticks); }

// --- Slices ---

TEST(Slice, OfALoneTaskDoesNotExist) {
  Kernel<RoundRobin> kernel;
  auto& task = kernel.make("task", [] { Sim::spend(ticks(1'000'000)); }, {.slice = ticks(10)});
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.world.report(0).timer_interrupts, 0u);
  EXPECT_EQ(kernel.world.report(0).arms, 0u);
}

TEST(Slice, BeginsWhenCompanyComes) {
  Kernel<RoundRobin> kernel;
  auto& second = kernel.make("second", [&] { kernel.log("second " + now_as_text()); });
  auto& first = kernel.make("first",
                            [&] {
                              Sim::spend(ticks(2000));
                              kernel.log("first " + now_as_text());
                            },
                            {.slice = ticks(100)});
  kernel.on_device = [&](uint32_t, auto&) { kernel.spawn(second); };
  kernel.world.raise_at(0, 1, at(1000));
  kernel.boot_with(first);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"second 1100", "first 2010"}));
}

TEST(Slice, GoesOnWhenMoreCompanyComes) {
  Kernel<RoundRobin> kernel;
  auto& second = kernel.make("second", [&] { kernel.log("second " + now_as_text()); });
  auto& third = kernel.make("third", [&] { kernel.log("third " + now_as_text()); });
  auto& first = kernel.make("first", [&] { Sim::spend(ticks(2000)); }, {.slice = ticks(100)});
  kernel.on_device = [&](uint32_t line, auto&) { kernel.spawn(line == 2 ? second : third); };
  kernel.world.raise_at(0, 2, at(1000));
  kernel.world.raise_at(0, 3, at(1060));
  kernel.boot_with(first);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"second 1100", "third 1100"}));
}

TEST(Slice, TakesEffectToTheTick) {
  Kernel<RoundRobin> kernel;
  for (const uint64_t slice : {100, 250}) {
    kernel.make(std::to_string(slice),
                [&kernel, slice] {
                  for (int i = 0; i < 2; ++i) {
                    kernel.log(std::to_string(slice) + " from " + now_as_text());
                    Sim::spend(ticks(slice));
                  }
                },
                {.slice = ticks(slice)});
  }
  kernel.boot_with_all();
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"100 from 10", "250 from 110", "100 from 360", "250 from 460"}));
}

// Whoever yields gives the rest of his slice away; the timer that was armed for it is left alone.
TEST(Slice, IsArmedLazily) {
  static constexpr uint64_t kYields = 10'000;
  Kernel<RoundRobin> kernel({.steps = 100'000'000});
  using S = decltype(kernel)::S;
  for (int i = 0; i < 2; ++i) {
    kernel.make("task",
                [] {
                  for (uint64_t n = 0; n < kYields; ++n) {
                    Sim::spend(ticks(1));
                    S::yield();
                  }
                },
                {.slice = ticks(1000)});
  }
  kernel.boot_with_all();
  EXPECT_EQ(kernel.run(), End::quiet);
  const hal::sim::CpuReport report = kernel.world.report(0);
  EXPECT_GE(report.switches, 2 * kYields);
  // 20 000 ticks with a slice of 1000: some twenty times, not twenty thousand.
  EXPECT_LE(report.arms, 25u);
  EXPECT_LE(report.timer_interrupts, 25u);
  for (const auto& thread : kernel.threads) EXPECT_EQ(thread.finishes, 1);
}

TEST(Slice, EndsWithoutASwitchWhereNobodyIsLeft) {
  Kernel<RoundRobin> kernel;
  using S = decltype(kernel)::S;
  auto& first = kernel.make("first",
                            [&] {
                              Sim::spend(ticks(1000));
                              EXPECT_EQ(S::usage(S::current()).involuntary, 0u);
                            },
                            {.slice = ticks(100)});
  // Leaves at once, while the timer is armed for the first one's slice.
  auto& second = kernel.make("second", [] {}, {.slice = ticks(100)});
  kernel.boot_with(second, first);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_LE(kernel.world.report(0).timer_interrupts, 1u);
  EXPECT_EQ(first.finishes, 1);
}

// --- Preemption by priority ---

TEST(Preemption, ByAnInterruptThatWakes) {
  Kernel<FixedPriority> kernel;
  using S = decltype(kernel)::S;
  auto& high = kernel.make("high",
                           [&] {
                             S::park();
                             kernel.log("high " + now_as_text());
                           },
                           {.priority = 2});
  auto& low = kernel.make("low",
                          [&] {
                            Sim::spend(ticks(1000));
                            kernel.log("low " + now_as_text());
                          },
                          {.priority = 1});
  kernel.on_device = [&](uint32_t, auto& interrupt) { interrupt.wake(high); };
  kernel.world.raise_at(0, 1, at(500));
  kernel.boot_with(high, low);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"high 500", "low 1010"}));
}

TEST(Preemption, DoesNotHappenForAnEqualOrALowerPriority) {
  Kernel<FixedPriority> kernel;
  using S = decltype(kernel)::S;
  std::vector<decltype(kernel)::Thread*> others;
  for (const uint16_t priority : {4, 5}) {
    others.push_back(&kernel.make(std::to_string(priority),
                                  [&kernel, priority] {
                                    S::park();
                                    kernel.log(std::to_string(priority));
                                  },
                                  {.priority = priority}));
  }
  auto& task =
      kernel.make("task",
                  [&] {
                    EXPECT_TRUE(S::retune(S::current(), {.priority = 1}));  // lets them park
                    EXPECT_TRUE(S::retune(S::current(), {.priority = 5}));
                    for (auto* other : others) S::wake(*other);
                    kernel.log("task");
                  },
                  {.priority = 5});
  kernel.boot([&] {
    kernel.spawn(task);
    for (auto* other : others) kernel.spawn(*other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"task", "5", "4"}));
}

TEST(Preemption, KeepsTheTasksPlaceInLine) {
  Kernel<FixedPriority> kernel;
  using S = decltype(kernel)::S;
  auto& high = kernel.make("high", [&] { S::park(); }, {.priority = 2});
  for (const char* name : {"first", "second"}) {
    kernel.make(name,
                [&kernel, name, &high] {
                  S::wake(high);
                  kernel.log(name);
                },
                {.priority = 1});
  }
  kernel.boot_with_all();
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"first", "second"}));
}

TEST(Preemption, TakesTurnsOnALevelWithASlice) {
  Kernel<FixedPriority> kernel;
  for (const char* name : {"a", "b"}) {
    kernel.make(name,
                [&kernel, name] {
                  Sim::spend(ticks(150));
                  kernel.log(name + (" " + now_as_text()));
                },
                {.priority = 7});
  }
  kernel.boot([&] {
    kernel.cpu(0).policy().set_slice(7, ticks(100));
    for (auto& thread : kernel.threads) kernel.spawn(thread);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"a 260", "b 310"}));
}

// Known from elsewhere: a slice that begins anew after each preemption never ends where somebody
// more urgent comes more often than that, and the equals of its task starve.
TEST(Slice, IsNotResetByAFrequentHigherPriorityTask) {
  Kernel<FixedPriority> kernel;
  using S = decltype(kernel)::S;
  auto& high = kernel.make("high",
                           [&] {
                             for (int i = 1; i <= 100; ++i) S::sleep_until(at(1000 + 60 * i));
                           },
                           {.priority = 9});
  std::string turns;
  for (const char* name : {"a", "b"}) {
    kernel.make(name,
                [&, name] {
                  for (int i = 0; i < 200; ++i) {
                    Sim::spend(ticks(10));
                    if (turns.empty() || turns.back() != *name) turns += *name;
                  }
                },
                {.priority = 5});
  }
  kernel.boot([&] {
    kernel.cpu(0).policy().set_slice(5, ticks(100));
    kernel.spawn(high);
    for (size_t i : {1, 2}) kernel.spawn(kernel.threads[i]);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  // 2000 ticks of work each, and some for the calls, in turns of 100.
  EXPECT_EQ(turns, "ababababababababababababababababababababab");
}

TEST(Preemption, RespectsAThreshold) {
  Kernel<FixedPriorityThreshold> kernel;
  using S = decltype(kernel)::S;
  for (const uint16_t priority : {8, 12}) {
    kernel.make(std::to_string(priority),
                [&kernel, priority] {
                  S::park();
                  kernel.log(std::to_string(priority));
                },
                {.priority = priority});
  }
  auto& task = kernel.make("task",
                           [&] {
                             for (int i = 0; i < 2; ++i)
                               S::wake(kernel.threads[static_cast<size_t>(i)]);
                             kernel.log("task");
                             S::yield();
                             kernel.log("task again");
                           },
                           {.priority = 5, .threshold = 10});
  kernel.boot_with_all();
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"12", "task", "8", "task again"}));
  EXPECT_EQ(task.finishes, 1);
}

TEST(Preemption, DoesNotHappenAtAnInterruptThatAsksForNothing) {
  Kernel<RoundRobin> kernel;
  auto& task = kernel.make("task", [] { Sim::spend(ticks(1000)); });
  auto& other = kernel.make("other", [] {});
  kernel.on_device = [](uint32_t, auto&) {};
  for (uint64_t when = 100; when < 1000; when += 100) kernel.world.raise_at(0, 1, at(when));
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.world.report(0).device_interrupts, 9u);
  EXPECT_EQ(kernel.world.report(0).preempts, 0u);
}

// A kick that brings nothing, as late ones may.
TEST(Preemption, DoesNotHappenAtAKickWithoutMail) {
  Kernel<RoundRobin> kernel;
  auto& task = kernel.make("task", [] {
    for (int i = 0; i < 10; ++i) Sim::kick(0);
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.world.report(0).kick_interrupts, 10u);
  EXPECT_EQ(kernel.world.report(0).preempts, 0u);
}

// --- The idle CPU ---

TEST(Idle, TakesNoInterruptUntilThereIsSomethingToDo) {
  for (const auto wait : {hal::sim::Wait::returns_masked, hal::sim::Wait::takes}) {
    Kernel<RoundRobin> kernel({.wait = wait});
    using S = decltype(kernel)::S;
    auto& task = kernel.make("task",
                             [&] {
                               Sim::spend(ticks(100));
                               S::park();
                               kernel.log(now_as_text());
                             },
                             {.slice = ticks(1000)});
    // Leaves a timer armed that nobody needs any more.
    auto& other = kernel.make("other", [] {}, {.slice = ticks(1000)});
    kernel.on_device = [&](uint32_t, auto& interrupt) { interrupt.wake(task); };
    kernel.world.raise_at(0, 1, at(1'000'000'000));
    kernel.boot_with(task, other);
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(kernel.lines, Lines{"1000000000"});
    EXPECT_EQ(kernel.world.report(0).timer_interrupts, 0u);
    EXPECT_EQ(kernel.world.report(0).waits, 1u);
    EXPECT_EQ(kernel.world.report(0).waited, ticks(1'000'000'000 - 110));
  }
}

// A policy that lets nobody run before a certain instant. Deliberately the least a policy can be:
// none of the optional callbacks.
class Curfew {
 public:
  struct Entity {
    bool runnable = false;
  };
  struct Attributes {};

  bool attach(Detached<Entity>, const Attributes&) { return true; }
  Attributes attributes(const Entity&) const { return {}; }
  Links enqueue(Entity& entity, Enter, Instant) {
    only_ = &entity;
    return Links::intact;
  }
  Links dequeue(Entity&, Leave, Instant) {
    only_ = nullptr;
    return Links::intact;
  }
  Links put_back(Entity&, Pause, Instant) { return Links::intact; }
  Choice<Entity> pick(Instant now) {
    if (only_ == nullptr) return {};
    if (now < end) return {nullptr, end};
    return {only_, never};
  }

  Instant end;

 private:
  Entity* only_ = nullptr;
};

TEST(Idle, ArmsTheTimerForExactlyTheInstantThatThePolicyNames) {
  for (const auto wait : {hal::sim::Wait::returns_masked, hal::sim::Wait::takes}) {
    Kernel<Curfew> kernel({.wait = wait});
    auto& task = kernel.make("task", [&] { kernel.log(now_as_text()); });
    kernel.boot([&] {
      kernel.cpu(0).policy().end = at(54'321);
      kernel.spawn(task);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(kernel.lines, Lines{"54321"});
    EXPECT_EQ(kernel.world.report(0).timer_interrupts, 1u);
  }
}

// --- The same tasks under three policies ---

// Eight tasks that never stop computing. Nothing in here depends on the policy but the alias.
template <typename P>
class Computing {
 public:
  static constexpr int kTasks = 8;
  using K = Kernel<P>;
  using S = typename K::S;

  explicit Computing(const std::function<typename S::Attributes(int)>& attributes) {
    for (int i = 0; i < kTasks; ++i) {
      kernel.make(
          "task " + std::to_string(i),
          [this, i] {
            began.push_back(i);
            for (;;) Sim::spend(ticks(1'000'000));
          },
          attributes(i));
    }
    kernel.boot([this] {
      for (auto& thread : kernel.threads) kernel.spawn(thread);
    });
  }

  // Runs until then, and fills `run`.
  void run_until(Instant until) {
    kernel.on_device = [this](uint32_t, auto&) {
      for (const auto& thread : kernel.threads) run.push_back(S::usage(thread).run.ticks);
      kernel.world.stop();
    };
    kernel.world.raise_at(0, 1, until);
    EXPECT_EQ(kernel.run(), End::stopped);
  }

  K kernel;
  std::vector<int> began;     // in which order
  std::vector<uint64_t> run;  // how long each has run
};

TEST(SameTasks, ShareTheCpuWithinAPercentUnderRoundRobin) {
  Computing<RoundRobin> tasks([](int) { return RoundRobin::Attributes{.slice = ticks(10'000)}; });
  tasks.run_until(at(10 + 8'003'000));  // not a whole number of rounds
  EXPECT_EQ(tasks.began, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  for (const uint64_t run : tasks.run) EXPECT_NEAR(double(run), 8'003'000 / 8.0, 10'000);
}

TEST(SameTasks, RunTheHighestAloneUnderFixedPriority) {
  Computing<FixedPriority> tasks([](int i) {
    return FixedPriority::Attributes{.priority = static_cast<uint16_t>(i == 3 ? 200 : i)};
  });
  tasks.run_until(at(8'000'010));
  EXPECT_EQ(tasks.began, (std::vector<int>{3}));
  EXPECT_EQ(tasks.run, (std::vector<uint64_t>{0, 0, 0, 8'000'000, 0, 0, 0, 0}));
}

TEST(SameTasks, RunTheFirstComeAloneUnderFifo) {
  Computing<Fifo> tasks([](int) { return Fifo::Attributes{}; });
  tasks.run_until(at(8'000'010));
  EXPECT_EQ(tasks.began, (std::vector<int>{0}));
  EXPECT_EQ(tasks.run, (std::vector<uint64_t>{8'000'000, 0, 0, 0, 0, 0, 0, 0}));
}

// Tasks that end, with the order in which they do.
template <typename P>
Lines order_of_ends(const std::function<typename P::Attributes(int)>& attributes) {
  Kernel<P> kernel;
  for (int i = 0; i < 4; ++i) {
    kernel.make(std::to_string(i), [] { Sim::spend(ticks(1000)); }, attributes(i));
  }
  kernel.on_finish = [&](auto& thread) { kernel.log(thread.text); };
  kernel.boot_with_all();
  EXPECT_EQ(kernel.run(), End::quiet);
  return kernel.lines;
}

TEST(SameTasks, EndInTheOrderThatThePolicySays) {
  EXPECT_EQ(order_of_ends<Fifo>([](int) { return Fifo::Attributes{}; }),
            (Lines{"0", "1", "2", "3"}));
  EXPECT_EQ(order_of_ends<RoundRobin>([](int i) {
              return RoundRobin::Attributes{.slice = ticks(static_cast<uint64_t>(100 + 100 * i))};
            }),
            (Lines{"3", "2", "1", "0"}));
  EXPECT_EQ(order_of_ends<FixedPriority>([](int i) {
              return FixedPriority::Attributes{.priority = static_cast<uint16_t>(i % 2 * 9 + i)};
            }),
            (Lines{"3", "1", "2", "0"}));
}

}  // namespace
}  // namespace sched::test
