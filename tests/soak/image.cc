// The soak on each machine, by its own kernel: `lives=N` as the guest's argument, on four CPUs.

#include <atomic>
#include <cstdint>
#include <string_view>

#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "tests/soak/soak.h"

namespace {

using hal::CpuNumber;
using sched::Random;

struct Machine : hal::Native {
  [[noreturn]] static void panic(const char* rule, const char* task) { kit::panic(rule, task); }
};
using S = sched::Scheduler<Machine, sched::FixedPriority>;

constexpr CpuNumber kCpus = 4;

constinit soak::Soak<S, 8192> work;
constinit soak::Plan plan{.cpus = kCpus, .lives = 0};
constinit S::Task main_task{"main"};
alignas(16) constinit std::byte main_stack[8192]{};
constinit std::atomic<bool> has_begun = false;

S::Attributes attributes(Random& random) {
  return {.priority = static_cast<uint16_t>(random.below(4))};
}

void run(void*) {
  const char* const wrong = work.run(plan, attributes);
  const soak::Counts& counts = work.counts();
  kit::print("{} born, {} ended by themselves, {} killed before they ran\n", counts.born,
             counts.ended, counts.never_ran);
  kit::print("{} turns with the mutex, {} timers, {} moves, {} kicks, {} times a CPU went\n",
             counts.locked, counts.ticks, counts.departures, counts.kicks, counts.offline);
  kit::print("{}\n", wrong == nullptr ? "all adds up" : wrong);
  kit::finish(wrong == nullptr);
}

void begin(CpuNumber cpu) {
  work.begin(cpu, plan);
  has_begun.store(true, std::memory_order_release);
  S::run();
}

}  // namespace

extern "C" bool baton_interrupt(uintptr_t source) {
  S::Interrupt interrupt;
  const hal::Cause cause = Machine::acknowledge(source).cause;
  if (cause == hal::Cause::timer) S::on_timer();
  if (cause == hal::Cause::kick) S::on_kick();
  return interrupt.leave();
}

extern "C" void baton_preempt() { S::preempt(); }

extern "C" void kernel_main() {
  kit::name_of_task = [] { return S::current().name(); };
  constexpr std::string_view kLives = "lives=";
  const std::string_view arguments = kit::arguments();
  if (!arguments.starts_with(kLives)) kit::panic("how many lives is not said", nullptr);
  for (const char digit : arguments.substr(kLives.size())) {
    plan.lives = 10 * plan.lives + static_cast<uint64_t>(digit - '0');
  }
  work.cpu(0).hardware_ids = kit::hardware_ids();
  work.begin(0, plan);
  for (CpuNumber cpu = 1; cpu < kCpus; ++cpu) {
    Machine::prepare_cpu(work.cpu(cpu), work.cpu(0));
    if (!kit::start_cpu(cpu, begin)) kit::panic("a CPU does not start", nullptr);
    while (!has_begun.exchange(false, std::memory_order_acquire)) Machine::relax();
  }
  if (!S::spawn(main_task, main_stack, run, nullptr)) kit::panic("no main task", nullptr);
  S::run();
}
