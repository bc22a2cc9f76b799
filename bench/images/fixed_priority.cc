// Counts under fixed priorities: a yield between two tasks, a yield alone, a wake of a higher task,
// a task that is created and deleted without a turn, a task's whole life; and says how large a task
// is.
//
// A conductor, of low priority, has one scene played after the other. The tasks of a scene have
// higher priorities; they stay parked when it is over.

#include <cstddef>
#include <cstdint>

#include "bench/images/kernel.h"
#include "bench/probe.h"
#include "bench/rounds.h"
#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"

namespace {

using S = sched::Scheduler<hal::Native, sched::FixedPriority>;
using bench::Probe;
using bench::Rounds;

constexpr uint16_t kConductor = 2;
constexpr uint16_t kTurns = 7;  // the one level with a slice
constexpr uint16_t kHigher = 200;

constinit S::Cpu cpus[1];
constinit S::Task conductor{"conductor"};
constinit S::Task first{"first"};
constinit S::Task second{"second"};
constinit S::Task higher{"higher"};
constinit S::Task child{"child"};
alignas(16) constinit std::byte stacks[5][4096] = {};

constinit uint64_t begin = 0;
constinit Rounds yields;
constinit Rounds wakes;
constinit Rounds lives;
constinit Rounds ends;

void take_turns(void*) {
  for (bool enough = false; !enough;) {
    Probe::mark(begin);
    S::yield();
    enough = yields.add(Probe::read() - begin);
  }
  for (;;) S::park();
}

void wait_for_wakes(void*) {
  for (;;) {
    S::park();
    wakes.add(Probe::read() - begin);
  }
}

void end_at_once(void*) {}

void never(void*) { kit::panic("a task runs that was killed before", "child"); }

void mark_and_end(void*) { Probe::mark(begin); }

constinit Rounds* life = nullptr;  // what the sink counts, if anything
void sink(S::Task&) {
  if (life != nullptr) life->add(Probe::read() - begin);
}

void conduct(void*) {
  const uint64_t nothing = Probe::cost_of_nothing();

  const S::Attributes turns = {.priority = kTurns};
  {
    const S::NoPreempt both_or_none;
    bench::must(S::spawn(first, stacks[1], take_turns, nullptr, turns));
    bench::must(S::spawn(second, stacks[2], take_turns, nullptr, turns));
  }
  yields.report("yield_fixed_priority", nothing);

  Rounds alone;
  for (bool enough = false; !enough;) {
    Probe::mark(begin);
    S::yield();
    enough = alone.add(Probe::read() - begin);
  }
  alone.report("yield_alone", nothing);

  bench::must(S::spawn(higher, stacks[3], wait_for_wakes, nullptr, {.priority = kHigher}));
  for (size_t i = 0; i < Rounds::kWanted; ++i) {
    Probe::mark(begin);
    S::wake(higher);
  }
  wakes.report("wake_to_higher", nothing);

  // A child of the conductor's own rank: it does not run before the conductor lets it.
  Rounds unborn;
  for (size_t i = 0; i < Rounds::kWanted; ++i) {
    Probe::mark(begin);
    bench::must(S::spawn(child, stacks[4], never, nullptr, {.priority = kConductor}));
    S::kill(child);
    unborn.add(Probe::read() - begin);
  }
  unborn.report("create_delete", nothing);

  // It takes its turn when the conductor yields.
  life = &lives;
  for (size_t i = 0; i < Rounds::kWanted; ++i) {
    Probe::mark(begin);
    bench::must(S::spawn(child, stacks[4], end_at_once, nullptr, {.priority = kConductor}));
    S::yield();
  }
  lives.report("whole_life", nothing);

  // Of these: the beginning alone, and the end alone, from its last instruction on.
  life = &ends;
  Rounds births;
  for (size_t i = 0; i < Rounds::kWanted; ++i) {
    Probe::mark(begin);
    const auto spawned =
        S::spawn(child, stacks[4], mark_and_end, nullptr, {.priority = kConductor});
    births.add(Probe::read() - begin);
    bench::must(spawned);
    S::yield();
  }
  kit::print("# whole_life: {} are the call of spawn, {} from the task's last instruction on\n",
             births.commonest() - nothing, ends.commonest() - nothing);

  kit::print("task_bytes\t{}\n", sizeof(S::Task));
  kit::finish(true);
}

}  // namespace

bool baton_interrupt(uintptr_t source) { return bench::interrupt<S>(source); }
void baton_preempt() { S::preempt(); }

void kernel_main() {
  Probe::start_counter();
  S::start(cpus, 0, sink);
  cpus[0].policy().set_slice(kTurns, bench::ten_milliseconds<S>());
  bench::must(S::spawn(conductor, stacks[0], conduct, nullptr, {.priority = kConductor}));
  S::run();
}
