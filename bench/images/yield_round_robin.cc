// Counts a yield between two tasks of the same rank under round robin, both with a slice.

#include <cstddef>
#include <cstdint>

#include "bench/images/kernel.h"
#include "bench/probe.h"
#include "bench/rounds.h"
#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"

namespace {

using S = sched::Scheduler<hal::Native, sched::RoundRobin>;

constinit S::Cpu cpus[1];
constinit S::Task first{"first"};
constinit S::Task second{"second"};
alignas(16) constinit std::byte stacks[2][4096] = {};

constinit uint64_t begin = 0;
constinit bench::Rounds rounds;

void turns(void*) {
  for (;;) {
    bench::Probe::mark(begin);
    S::yield();
    if (rounds.add(bench::Probe::read() - begin)) {
      rounds.report("yield_round_robin", bench::Probe::cost_of_nothing());
      kit::finish(true);
    }
  }
}

}  // namespace

bool baton_interrupt(uintptr_t source) { return bench::interrupt<S>(source); }
void baton_preempt() { S::preempt(); }

void kernel_main() {
  bench::Probe::start_counter();
  S::start(cpus, 0, bench::no_sink<S>);
  const S::Attributes attributes = {.slice = bench::ten_milliseconds<S>()};
  bench::must(S::spawn(first, stacks[0], turns, nullptr, attributes));
  bench::must(S::spawn(second, stacks[1], turns, nullptr, attributes));
  S::run();
}
