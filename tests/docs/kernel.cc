// A kernel in thirty lines: two tasks that never yield share a CPU, two milliseconds a turn.

#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"

using S = sched::Scheduler<hal::Native, sched::RoundRobin>;

constinit S::Cpu cpus[1];
constinit S::Task tasks[] = {S::Task("ping"), S::Task("pong")};
alignas(16) constinit std::byte stacks[2][8192]{};
constinit int unfinished = 2;

hal::Duration ms(uint64_t n) {
  return hal::to_ticks(n * 1'000'000, S::Machine::ticks_per_second());
}

void work(void*) {
  while (S::usage(S::current()).run < ms(20)) continue;
}

void on_finish(S::Task& task) {
  kit::print("{} is done, preempted {} times\n", task.name(), S::usage(task).involuntary);
  if (--unfinished == 0) kit::finish(true);
}

bool baton_interrupt(uintptr_t source) {
  S::Interrupt interrupt;
  const hal::Cause cause = S::Machine::acknowledge(source).cause;
  if (cause == hal::Cause::timer) S::on_timer();
  if (cause == hal::Cause::kick) S::on_kick();
  return interrupt.leave();
}

void baton_preempt() { S::preempt(); }

void kernel_main() {
  S::start(cpus, 0, on_finish);
  for (int i : {0, 1})
    if (!S::spawn(tasks[i], stacks[i], work, nullptr, {.slice = ms(2)})) kit::finish(false);
  S::run();
}
