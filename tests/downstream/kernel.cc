// A kernel of another workspace: two tasks that never yield share the CPU, a slice at a time, until
// each has seen the other run; then both finish, and the kernel with them.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "hal/native.h"
#include "hal/time.h"
#include "kernel_demo/kit.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"

namespace {

// The machine that is built for, which says what is wrong where hal's own only stops.
struct Machine : hal::Native {
  [[noreturn]] static void panic(const char* rule, const char* task) { kit::panic(rule, task); }
};

using S = sched::Scheduler<Machine, sched::RoundRobin>;

constinit std::array<S::Cpu, 1> cpus;
constinit std::array<S::Task, 2> tasks = {S::Task("ping"), S::Task("pong")};
alignas(16) constinit std::array<std::array<std::byte, 8192>, 2> stacks{};

constinit std::array<std::atomic<int>, 2> turns{};
constinit int finished = 0;

// Counts its own turns: one begins whenever the other's count has moved. Only the timer can end
// one.
void play(void* argument) {
  const auto self = reinterpret_cast<uintptr_t>(argument);
  int seen = 0;
  while (turns[self] < 5) {
    const int others = turns[1 - self];
    if (others != seen || turns[self] == 0) {
      seen = others;
      ++turns[self];
    }
  }
}

void on_finish(S::Task& task) {
  kit::print("{} took its turns, preempted {} times\n", task.name(), S::usage(task).involuntary);
  if (++finished < 2) return;
  kit::print("both tasks are done\n");
  kit::finish(true);
}

}  // namespace

extern "C" bool baton_interrupt(uintptr_t source) {
  S::Interrupt interrupt;
  switch (Machine::acknowledge(source).cause) {
    case hal::Cause::timer: S::on_timer(); break;
    case hal::Cause::kick: S::on_kick(); break;
    default: kit::panic("an interrupt that nobody asked for", nullptr);
  }
  return interrupt.leave();
}

extern "C" void baton_preempt() { S::preempt(); }

extern "C" void kernel_main() {
  S::start(cpus, 0, on_finish);
  const auto slice = hal::to_ticks(2'000'000, Machine::ticks_per_second());
  for (uintptr_t i = 0; i < tasks.size(); ++i) {
    if (!S::spawn(tasks[i], stacks[i], play, reinterpret_cast<void*>(i), {.slice = slice})) {
      kit::panic("a task was refused", tasks[i].name());
    }
  }
  S::run();
}
