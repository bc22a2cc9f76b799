// Counts an interrupt whose handler wakes a higher task, to that task's first instruction.

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

constinit S::Cpu cpus[1];
constinit S::Task lower{"lower"};
constinit S::Task higher{"higher"};
alignas(16) constinit std::byte stacks[2][4096] = {};

constinit uint64_t begin = 0;
constinit bench::Rounds rounds;

void wait_for_interrupts(void*) {
  for (;;) {
    S::park();
    rounds.add(Probe::read() - begin);
  }
}

void be_interrupted(void*) {
  const uint64_t raising = bench::cost_of_raising<S>();
  for (size_t i = 0; i < bench::Rounds::kWanted; ++i) Probe::mark_and_raise(begin);
  rounds.report("irq_wake_to_higher", raising);
  kit::finish(true);
}

}  // namespace

bool baton_interrupt(uintptr_t source) {
  return bench::interrupt<S>(source, Probe::kDevice,
                             [](S::Interrupt& interrupt) { interrupt.wake(higher); });
}
void baton_preempt() { S::preempt(); }

void kernel_main() {
  Probe::start_counter();
  S::start(cpus, 0, bench::no_sink<S>);
  Probe::start_device();
  bench::must(S::spawn(higher, stacks[0], wait_for_interrupts, nullptr, {.priority = 200}));
  bench::must(S::spawn(lower, stacks[1], be_interrupted, nullptr, {.priority = 1}));
  S::run();
}
