// Counts an interrupt whose handler does nothing but acknowledge it, back to the interrupted task.

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
constinit S::Task task{"interrupted"};
alignas(16) constinit std::byte stack[4096] = {};

constinit uint64_t begin = 0;
constinit bench::Rounds rounds;

void be_interrupted(void*) {
  const uint64_t raising = bench::cost_of_raising<S>();
  for (bool enough = false; !enough;) {
    Probe::mark_and_raise(begin);
    enough = rounds.add(Probe::read() - begin);
  }
  rounds.report("irq_same_task", raising);
  kit::finish(true);
}

}  // namespace

bool baton_interrupt(uintptr_t source) {
  return bench::interrupt<S>(source, Probe::kDevice, [](S::Interrupt&) {});
}
void baton_preempt() { S::preempt(); }

void kernel_main() {
  Probe::start_counter();
  S::start(cpus, 0, bench::no_sink<S>);
  Probe::start_device();
  bench::must(S::spawn(task, stack, be_interrupted, nullptr, {.priority = 1}));
  S::run();
}
