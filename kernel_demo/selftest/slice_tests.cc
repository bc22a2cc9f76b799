// Turns end by the timer, in code that never asks for it, and cost it nothing that it can see.

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_demo/kernel.h"
#include "kernel_demo/registers.h"
#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"

namespace demo::selftest {
namespace {

using Kernel = demo::Kernel<sched::RoundRobin>;
using S = Kernel::S;

constexpr uint64_t kSliceUs = 500;

Kernel::Attributes turns() { return {.slice = microseconds(kSliceUs)}; }

/// Spawns `count` tasks that run `entry` and waits for their end; `tasks` gets them.
template <size_t count>
void run_together(std::array<Kernel::Task*, count>& tasks, hal::Entry entry) {
  const uint64_t before = Kernel::finished();
  {
    const S::NoPreempt guard;
    for (Kernel::Task*& task : tasks) {
      task = Kernel::spawn("turn", entry, reinterpret_cast<void*>(&task - tasks.data()), turns());
    }
  }
  Kernel::wait_for_finished(before + count);
}

// However slow the host is: all go on until one has lost the CPU so many times.
constexpr uint64_t kPreemptions = 20;

uint64_t own_preemptions() { return S::usage(S::current()).involuntary; }

constinit volatile bool enough = false;

bool go_on(uint64_t preemptions) {
  if (own_preemptions() >= preemptions) enough = true;
  return !enough;
}

void cpu_bound_code_is_preempted(Test& test) {
  enough = false;
  std::array<Kernel::Task*, 3> tasks;
  run_together(tasks, [](void*) {
    // Nothing here asks for anything: if nobody takes the CPU away this does not end.
    while (go_on(kPreemptions)) {
    }
  });
  for (const Kernel::Task* task : tasks) {
    test.expect(S::usage(*task).involuntary >= kPreemptions - 1, "one was preempted less often");
    test.expect_equal(S::usage(*task).preemptions, 0, "slices' ends that count as preemptions");
  }
}

void all_registers_survive(Test& test) {
  static constinit uint64_t corrupt = 0;
  corrupt = 0;
  enough = false;
  std::array<Kernel::Task*, 4> tasks;
  run_together(tasks, [](void* number) {
    const uint64_t seed = (reinterpret_cast<uintptr_t>(number) + 1) * 0x9e37'79b9'7f4a'7c15;
    while (go_on(10 * kPreemptions)) corrupt |= hold_registers(seed, 1'000);
  });
  test.expect_equal(corrupt, 0, "a register was changed, by these bits");
}

void turns_are_never_short(Test& test) {
  enough = false;
  std::array<Kernel::Task*, 3> tasks;
  run_together(tasks, [](void*) {
    while (go_on(10 * kPreemptions)) {
    }
  });
  for (const Kernel::Task* task : tasks) {
    const sched::Usage usage = S::usage(*task);
    test.expect(usage.run.ticks >= usage.involuntary * microseconds(kSliceUs).ticks,
                "a task ran for less than a slice each time it was preempted");
  }
}

void alone_runs_without_timer(Test& test) {
  std::array<Kernel::Task*, 1> tasks;
  run_together(tasks, [](void*) { spin_for(milliseconds(20)); });
  test.expect_equal(S::usage(*tasks[0]).involuntary, 0, "it was preempted, for nobody");
}

void guard_outlives_the_slice(Test& test) {
  static constinit volatile uint64_t ran = 0;
  static constinit volatile bool released = false;
  static constinit bool alone = false;
  static constinit uint64_t switches = 0;
  ran = 0;
  released = false;
  std::array<Kernel::Task*, 2> tasks;
  run_together(tasks, [](void* number) {
    if (number != nullptr) {
      while (!released) ran = ran + 1;
      return;
    }
    uint64_t before;
    {
      const S::NoPreempt guard;
      const uint64_t other = ran;
      before = own_preemptions();
      spin_for(milliseconds(10));  // many times the slice
      alone = ran == other && own_preemptions() == before;
      released = true;
    }
    // The switch that was due happens when the guard goes, or when the timer's interrupt arrives
    // that a busy host has kept; the other task then finishes, so that there is no second one.
    const Instant limit = S::now() + milliseconds(1'000);
    while (own_preemptions() == before && S::now() < limit) {
    }
    switches = own_preemptions() - before;
  });
  test.expect(alone, "a switch happened while the guard lived");
  test.expect_equal(switches, 1, "switches when it went");
}

constexpr Case kCases[] = {
    {"code that never yields is preempted", cpu_bound_code_is_preempted},
    {"all registers survive preemption", all_registers_survive},
    {"turns are never shorter than a slice", turns_are_never_short},
    {"a task that is alone has no timer", alone_runs_without_timer},
    {"a guard outlives the slice, then gives way once", guard_outlives_the_slice},
};

}  // namespace

void run_slice_tests() { run_cases("slices", kCases); }

}  // namespace demo::selftest
