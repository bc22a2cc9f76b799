// Counts a sleep that ends while another task runs: from the timer interrupt's first instruction to
// the sleeper's first.
//
// So that the reading before the interrupt is in a known place, the lower task masks interrupts
// until the timer's has been waiting for a while, and lets it in by the instruction after it.

#include <atomic>
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

using S = sched::Scheduler<hal::Native, sched::FixedPriority, sched::Options{.cpus = 1}>;
using bench::Probe;

constinit S::Cpu cpus[1];
constinit S::Task lower{"lower"};
constinit S::Task sleeper{"sleeper"};
alignas(16) constinit std::byte stacks[2][4096] = {};

constinit uint64_t begin = 0;
constinit std::atomic<uint64_t> end_of_sleep{0};
constinit bench::Rounds rounds;

sched::Duration microseconds(uint64_t count) {
  return hal::to_ticks(count * 1'000, S::Machine::ticks_per_second());
}

void sleep(void*) {
  for (;;) {
    const sched::Instant when = S::now() + microseconds(50);
    end_of_sleep.store(when.ticks, std::memory_order_relaxed);
    S::sleep_until(when);
    rounds.add(Probe::read() - begin);
  }
}

void be_interrupted(void*) {
  const auto irq = S::Machine::mask();
  const uint64_t unmasking = Probe::cost_of_unmasking();
  S::Machine::unmask(irq);
  for (size_t i = 0; i < bench::Rounds::kWanted; ++i) {
    S::Machine::mask();
    const sched::Instant when{end_of_sleep.load(std::memory_order_relaxed)};
    while (S::now() < when + microseconds(10)) continue;
    Probe::mark_and_unmask(begin);
  }
  rounds.report("sleep_to_wake", unmasking);
  kit::finish(true);
}

}  // namespace

bool baton_interrupt(uintptr_t source) { return bench::interrupt<S>(source); }
void baton_preempt() { S::preempt(); }

void kernel_main() {
  Probe::start_counter();
  S::start(cpus, 0, bench::no_sink<S>);
  bench::must(S::spawn(sleeper, stacks[0], sleep, nullptr, {.priority = 200}));
  bench::must(S::spawn(lower, stacks[1], be_interrupted, nullptr, {.priority = 1}));
  S::run();
}
