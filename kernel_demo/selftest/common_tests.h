// What holds under every policy: the same tests, instantiated for each.

#ifndef BATON_KERNEL_DEMO_SELFTEST_COMMON_TESTS_H_
#define BATON_KERNEL_DEMO_SELFTEST_COMMON_TESTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernel_demo/kernel.h"
#include "kernel_demo/registers.h"
#include "kernel_demo/selftest/report.h"

namespace demo::selftest {

/// Called from the first task, which is above all others where a policy has ranks.
template <typename P>
class CommonTests {
  using Kernel = demo::Kernel<P>;
  using S = typename Kernel::S;
  using Task = typename Kernel::Task;

 public:
  static void run() {
    static constexpr Case kCases[] = {
        {"tasks of one rank alternate when they yield", yield_alternates},
        {"preserved registers survive a yield", registers_survive_yield},
        {"a wake before the park lets it pass", wake_before_park},
        {"several wakes count as one", wakes_merge},
        {"a parked task is woken from an interrupt", wake_from_interrupt},
        {"an idle CPU loses no wake-up", idle_loses_no_wake},
        {"a task is spawned from an interrupt", spawn_from_interrupt},
        {"no switch happens while a guard lives", guard_forbids},
        {"a finished task's stack is poisoned and used again", sink_reuses},
        {"a kill reaches a parked task", kill_parked},
        {"a kill reaches a task that runs", kill_running},
        {"a task killed before its first turn never runs", kill_unborn},
        {"a task that lives is not spawned again", double_spawn},
        {"what is asked of a finished task is ignored and counted", finished_is_ignored},
        {"a spawn that cannot be is refused", bad_spawns},
        {"the canary is the lowest word of the stack", canary_is_lowest},
        {"run times add up to the time that passed", statistics_add_up},
        {"switches are counted by kind", switches_are_counted},
        {"a later life begins with fresh statistics", statistics_are_fresh},
        {"every wait is in the latency histogram", latency_counts},
    };
    run_cases(Kernel::Traits::kName, kCases);
    Kernel::at_kick(nullptr);
  }

 private:
  // No slices: a host that is slow must not end a turn in the middle of a test.
  static typename Kernel::Attributes ordinary() {
    return Kernel::Traits::attributes(10, hal::forever);
  }

  static Task& spawn(hal::Entry entry, void* argument = nullptr) {
    return *Kernel::spawn("test", entry, argument, ordinary());
  }

  /// How many tasks have finished, those of `let_others_run` left out.
  static uint64_t finished() { return Kernel::finished() - tails; }

  /// Parks until `count` more than `already` have.
  static void finish(uint64_t already, uint64_t count) {
    Kernel::wait_for_finished(already + count + tails);
  }

  /// Parks until all that could run has run.
  static void let_others_run() {
    const uint64_t before = finished();
    Kernel::spawn("tail", [](void*) {}, nullptr, Kernel::Traits::attributes(0, hal::forever));
    finish(before, 1);
    ++tails;
  }

  static void wait_until_blocked(const Task& task) {
    while (S::state(task) != sched::State::blocked) let_others_run();
  }

  static inline constinit uint64_t tails = 0;

  // ---- Turns

  static void yield_alternates(Test& test) {
    static constinit std::array<char, 16> log{};
    static constinit size_t size = 0;
    size = 0;
    const uint64_t before = finished();
    for (const char* name : {"a", "b"}) {
      const typename S::NoPreempt guard;
      spawn(
          [](void* own) {
            for (int i = 0; i < 5; ++i) {
              log[size++] = *static_cast<const char*>(own);
              S::yield();
            }
          },
          const_cast<char*>(name));
    }
    finish(before, 2);
    test.expect(std::string_view(log.data(), size) == "ababababab", "they did not");
  }

  static void registers_survive_yield(Test& test) {
    static constinit uint64_t corrupt = 0;
    static constinit uint64_t seeds[] = {0x1111'2222'3333'4444, 0xfedc'ba98'7654'3210};
    corrupt = 0;
    const uint64_t before = finished();
    for (uint64_t& seed : seeds) {
      spawn(
          [](void* own) {
            for (int i = 0; i < 500; ++i) {
              corrupt |= hold_preserved(*static_cast<const uint64_t*>(own) + i, [] { S::yield(); });
            }
          },
          &seed);
    }
    finish(before, 2);
    test.expect_equal(corrupt, 0, "a register was changed, by these bits");
  }

  // ---- Park and wake

  static void wake_before_park(Test& test) {
    S::wake(S::current());
    test.expect(S::park() == sched::Woken::by_wake, "it was not by a wake");
  }

  static void wakes_merge(Test& test) {
    static constinit volatile uint64_t passed = 0;
    passed = 0;
    const uint64_t before = finished();
    Task& task = spawn([](void*) {
      while (passed < 2) {
        S::park();
        passed = passed + 1;
      }
    });
    // Not yet parked: the first wake is remembered, the others are the same one.
    for (int i = 0; i < 3; ++i) S::wake(task);
    S::wake(S::current());
    S::park();
    for (int i = 0; i < 3; ++i) S::yield();
    wait_until_blocked(task);
    test.expect_equal(passed, 1, "a park returned too often");
    S::wake(task);
    finish(before, 1);
    test.expect_equal(passed, 2, "a park returned too often");
  }

  static inline constinit Task* target = nullptr;
  static inline constinit volatile uint64_t interrupts = 0;

  static void wake_from_interrupt(Test& test) {
    static constinit volatile uint64_t rounds = 0;
    rounds = 0;
    interrupts = 0;
    const uint64_t before = finished();
    target = &spawn([](void*) {
      for (; rounds < 100; rounds = rounds + 1) S::park();
    });
    Kernel::at_kick([] {
      interrupts = interrupts + 1;
      S::wake(*target);
    });
    for (uint64_t i = 1; i <= 100; ++i) {
      wait_until_blocked(*target);
      Machine::kick(0);
      test.expect(spin_until(interrupts, i), "the kick was lost");
    }
    finish(before, 1);
    Kernel::at_kick(nullptr);
    test.expect_equal(rounds, 100, "a wake was lost or counted twice");
  }

  // Nobody is left to run: the CPU waits, and the kick may come at any moment before or in that.
  static void idle_loses_no_wake(Test& test) {
    Kernel::at_kick([] { S::wake(*target); });
    target = &S::current();
    for (int i = 0; i < 1'000; ++i) {
      Machine::kick(0);
      test.expect(S::park() == sched::Woken::by_wake, "it was not by a wake");
    }
    Kernel::at_kick(nullptr);
  }

  static void spawn_from_interrupt(Test& test) {
    static constinit volatile uint64_t ran = 0;
    ran = 0;
    interrupts = 0;
    const uint64_t before = finished();
    Kernel::at_kick([] {
      interrupts = interrupts + 1;
      spawn([](void*) { ran = ran + 1; });
    });
    for (uint64_t i = 1; i <= 10; ++i) {
      Machine::kick(0);
      test.expect(spin_until(interrupts, i), "the kick was lost");
    }
    Kernel::at_kick(nullptr);
    finish(before, 10);
    test.expect_equal(ran, 10, "not every task ran once");
  }

  // ---- The guard

  static void guard_forbids(Test& test) {
    static constinit volatile uint64_t ran = 0;
    ran = 0;
    const uint64_t before = finished();
    {
      const typename S::NoPreempt outer;
      {
        const typename S::NoPreempt inner;
        spawn([](void*) { ran = ran + 1; });
        Machine::kick(0);
        spin_for(milliseconds(2));
      }
      spin_for(milliseconds(2));
      test.expect_equal(ran, 0, "another task ran");
    }
    finish(before, 1);
    test.expect_equal(ran, 1, "it did not run afterwards");
  }

  // ---- The end of a task

  static void sink_reuses(Test& test) {
    static constinit uintptr_t frame = 0;
    const uint64_t before = finished();
    size_t index = kStacks;
    for (uint64_t i = 0; i < 200; ++i) {
      Task& task = spawn([](void*) {
        volatile uint64_t local = 0;
        frame = reinterpret_cast<uintptr_t>(&local);
      });
      const size_t used = Kernel::stack_of(task);
      if (i == 0) index = used;
      test.expect_equal(used, index, "the next task got another stack");
      finish(before + i, 1);
      const auto low = reinterpret_cast<uintptr_t>(stack(used).data());
      test.expect(frame - low < kStackSize, "it ran on another stack");
      test.expect(is_poisoned(used, kStackSize - sizeof(uintptr_t)),
                  "the stack was written to after the sink had it");
    }
  }

  static void kill_parked(Test& test) {
    static constinit sched::Woken woken = sched::Woken::by_wake;
    woken = sched::Woken::by_wake;
    Task& task = spawn([](void*) { woken = S::park(); });
    wait_until_blocked(task);
    const uint64_t before = finished();
    S::kill(task);
    finish(before, 1);
    test.expect(woken == sched::Woken::by_kill, "its park does not say so");
  }

  static void kill_running(Test& test) {
    static constinit uint64_t rounds = 0;
    rounds = 0;
    target = &S::current();
    const uint64_t before = finished();
    Task& task = spawn([](void*) {
      while (!S::current().kill_requested()) {
        if (++rounds == 1) S::wake(*target);
        S::yield();
      }
    });
    while (rounds == 0) S::park();
    const uint64_t seen = rounds;
    S::kill(task);
    finish(before, 1);
    test.expect(rounds <= seen + 1, "it went on after the kill");
  }

  static void kill_unborn(Test& test) {
    static constinit bool ran = false;
    ran = false;
    const uint64_t before = finished();
    {
      const typename S::NoPreempt guard;
      S::kill(spawn([](void*) { ran = true; }));
    }
    test.expect_equal(finished() - before, 1, "the sink has not had it");
    test.expect(!ran, "it ran");
  }

  // ---- Misuse

  static void double_spawn(Test& test) {
    static constinit std::array<std::byte, 2048> other{};
    const uint64_t before = finished();
    Task& task = spawn([](void*) { S::park(); });
    const auto again = S::spawn(task, other, [](void*) {}, nullptr, ordinary());
    test.expect(!again && again.error() == sched::SpawnError::already_spawned,
                "a ready task could be spawned");
    S::wake(task);
    finish(before, 1);
  }

  static void finished_is_ignored(Test& test) {
    const uint64_t before = finished();
    Task& task = spawn([](void*) {});
    finish(before, 1);
    const uint64_t stale = S::usage(Kernel::cpu()).stale;
    S::wake(task);
    S::kill(task);
    test.expect(!S::retune(task, ordinary()), "retune says that it was done");
    test.expect(S::state(task) == sched::State::finished, "it is not finished any more");
    test.expect_equal(S::usage(Kernel::cpu()).stale - stale, 2, "they were not counted");
  }

  static void bad_spawns(Test& test) {
    static constinit Task task{"never"};
    static constinit std::array<std::byte, 64> small{};
    static constinit std::array<std::byte, 2048> enough{};
    const auto on_small = S::spawn(task, small, [](void*) {}, nullptr, ordinary());
    test.expect(!on_small && on_small.error() == sched::SpawnError::stack_too_small,
                "64 bytes are enough for a stack");
    const auto elsewhere = S::spawn_on(kCpus, task, enough, [](void*) {}, nullptr, ordinary());
    test.expect(!elsewhere && elsewhere.error() == sched::SpawnError::cpu_not_started,
                "a CPU that there is not takes tasks");
    test.expect(S::state(task) == sched::State::fresh, "the task has changed");
  }

  static void canary_is_lowest(Test& test) {
    const uint64_t before = finished();
    Task& task = spawn([](void*) { S::park(); });
    const std::byte* const low = stack(Kernel::stack_of(task)).data();
    test.expect(task.stack_limit() == low, "it is elsewhere");
    test.expect(*reinterpret_cast<const uintptr_t*>(low) == reinterpret_cast<uintptr_t>(low),
                "it does not hold its own address");
    S::wake(task);
    finish(before, 1);
  }

  // ---- Statistics

  /// What the tasks, the CPU and the clock say has passed, read one after the other.
  struct Reading {
    uint64_t tasks = 0;  // run times of the caller and of `others`
    uint64_t busy = 0;
    uint64_t idle = 0;
    uint64_t clock = 0;

    explicit Reading(std::span<Task* const> others) {
      tasks = S::usage(S::current()).run.ticks;
      for (const Task* task : others) tasks += S::usage(*task).run.ticks;
      busy = S::usage(Kernel::cpu()).busy.ticks;
      idle = S::usage(Kernel::cpu()).idle.ticks;
      clock = S::now().ticks;
    }
  };

  static void statistics_add_up(Test& test) {
    const uint64_t before = finished();
    // Twice each, because time passes between the readings: what was read in between lies between.
    const Reading first({}), second({});
    std::array<Task*, 3> tasks;
    {
      const typename S::NoPreempt guard;
      for (Task*& task : tasks) {
        task = &spawn([](void*) {
          while (S::usage(S::current()).run < milliseconds(7)) {
          }
        });
      }
    }
    finish(before, tasks.size());
    const Reading third(tasks), fourth(tasks);
    test.expect(third.tasks - second.tasks <= third.busy - first.busy,
                "the tasks ran longer than the CPU was busy");
    test.expect(third.busy - first.busy <= fourth.tasks - first.tasks,
                "the CPU was busy longer than the tasks ran");
    test.expect(third.busy + third.idle - second.busy - second.idle <= third.clock - first.clock,
                "busy and idle are more than the time that passed");
    test.expect(third.clock - second.clock <= fourth.busy + fourth.idle - second.busy - second.idle,
                "busy and idle are less than the time that passed");
    for (const Task* task : tasks) {
      const sched::Usage usage = S::usage(*task);
      test.expect(usage.run >= milliseconds(7), "a task ran shorter than it did");
      test.expect(usage.run.ticks + usage.wait.ticks <= third.clock - first.clock,
                  "a task ran and waited longer than the time that passed");
    }
  }

  static void switches_are_counted(Test& test) {
    const uint64_t before = finished();
    std::array<Task*, 2> tasks;
    {
      const typename S::NoPreempt guard;
      for (Task*& task : tasks) {
        task = &spawn([](void*) {
          for (int i = 0; i < 10; ++i) S::yield();
          S::wake(S::current());
          S::park();
        });
      }
    }
    finish(before, 2);
    // Ten yields and the end, and nothing for a park that passed. The last yields may have found
    // nobody else.
    test.expect_equal(S::usage(*tasks[0]).voluntary, 11, "voluntary switches of the first");
    test.expect_equal(S::usage(*tasks[0]).involuntary, 0, "involuntary switches");
    test.expect_equal(S::usage(*tasks[0]).wakes, 0, "wakes from blocked to ready");
  }

  static void statistics_are_fresh(Test& test) {
    const uint64_t before = finished();
    spawn([](void*) {
      spin_for(milliseconds(3));
      S::yield();
    });
    finish(before, 1);
    const Instant start = S::now();
    Task& task = spawn([](void*) {});
    finish(before, 2);
    const sched::Usage usage = S::usage(task);
    test.expect(usage.run <= S::now() - start, "run time of an earlier life");
    test.expect_equal(usage.voluntary, 1, "voluntary switches of an earlier life");
    test.expect_equal(waits(task), 1, "waits of an earlier life");
  }

  static uint64_t waits(const Task& task) {
    uint64_t sum = 0;
    for (size_t i = 0; i < sched::LatencyHistogram::kBuckets; ++i) sum += task.latency().read(i);
    return sum;
  }

  static void latency_counts(Test& test) {
    const uint64_t before = finished();
    std::array<Task*, 2> tasks;
    {
      const typename S::NoPreempt guard;
      for (Task*& task : tasks) {
        task = &spawn([](void*) {
          for (int i = 0; i < 20; ++i) {
            spin_for(microseconds(100));
            S::yield();
          }
        });
      }
    }
    finish(before, 2);
    for (const Task* task : tasks) {
      const sched::Usage usage = S::usage(*task);
      // Whoever stops running began to.
      test.expect_equal(waits(*task), usage.voluntary + usage.involuntary,
                        "waits, of as many switches");
    }
    test.expect(tasks[0]->latency().percentile(500) >= microseconds(100),
                "half of the waits were shorter than the other's turn");
  }
};

}  // namespace demo::selftest

#endif  // BATON_KERNEL_DEMO_SELFTEST_COMMON_TESTS_H_
