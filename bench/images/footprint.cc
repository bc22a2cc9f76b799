// A kernel that uses every function of the scheduler once, so that the linker keeps them all:
// bench/text_bytes.sh adds up what is there. It is never run.
//
// What a function's caller gets inlined is in the `bench_api_` function here that calls it.

#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"

using S = sched::Scheduler<hal::Native, sched::FixedPriority>;

namespace {

constinit S::Cpu cpus[2];
constinit S::Task task{"task"};
alignas(16) constinit std::byte stack[4096] = {};

}  // namespace

extern "C" {

[[gnu::noinline]] void bench_api_start(S::Sink sink) { S::start(cpus, 0, sink); }
[[gnu::noinline]] void bench_api_run() { S::run(); }
[[gnu::noinline]] bool bench_api_spawn(hal::Entry entry, uint16_t priority) {
  return S::spawn(task, stack, entry, nullptr, {.priority = priority}).has_value();
}
[[gnu::noinline]] bool bench_api_spawn_on(hal::Entry entry, uint16_t priority) {
  return S::spawn_on(1, task, stack, entry, nullptr, {.priority = priority}).has_value();
}
[[gnu::noinline]] void bench_api_yield() { S::yield(); }
[[gnu::noinline]] bool bench_api_park() { return S::park() == sched::Woken::by_kill; }
[[gnu::noinline]] void bench_api_exit() { S::exit(); }
[[gnu::noinline]] void bench_api_wake(S::Task* who) { S::wake(*who); }
[[gnu::noinline]] void bench_api_kill(S::Task* who) { S::kill(*who); }
[[gnu::noinline]] bool bench_api_retune(S::Task* who, uint16_t priority) {
  return S::retune(*who, {.priority = priority});
}
[[gnu::noinline]] uint16_t bench_api_attributes(const S::Task* who) {
  return S::attributes(*who).priority;
}
[[gnu::noinline]] S::Task* bench_api_current() { return &S::current(); }
[[gnu::noinline]] int bench_api_state(const S::Task* who) {
  return static_cast<int>(S::state(*who));
}
[[gnu::noinline]] void bench_api_task_usage(const S::Task* who, sched::Usage* usage) {
  *usage = S::usage(*who);
}
[[gnu::noinline]] void bench_api_cpu_usage(S::CpuUsage* usage) { *usage = S::usage(cpus[0]); }
[[gnu::noinline]] void bench_api_guard(void (*body)()) {
  const S::NoPreempt guard;
  body();
}

bool baton_interrupt(uintptr_t source) {
  S::Interrupt interrupt;
  const hal::Interrupt what = S::Machine::acknowledge(source);
  switch (what.cause) {
    case hal::Cause::timer: S::on_timer(); break;
    case hal::Cause::kick: S::on_kick(); break;
    case hal::Cause::device:
      interrupt.wake(task);
      S::Machine::complete(what);
      break;
    case hal::Cause::none: break;
  }
  return interrupt.leave();
}
void baton_preempt() { S::preempt(); }

void kernel_main() {
  // What is told to nobody might be left out.
  void* const functions[] = {
      reinterpret_cast<void*>(bench_api_start),      reinterpret_cast<void*>(bench_api_run),
      reinterpret_cast<void*>(bench_api_spawn),      reinterpret_cast<void*>(bench_api_spawn_on),
      reinterpret_cast<void*>(bench_api_yield),      reinterpret_cast<void*>(bench_api_park),
      reinterpret_cast<void*>(bench_api_exit),       reinterpret_cast<void*>(bench_api_wake),
      reinterpret_cast<void*>(bench_api_kill),       reinterpret_cast<void*>(bench_api_retune),
      reinterpret_cast<void*>(bench_api_attributes), reinterpret_cast<void*>(bench_api_current),
      reinterpret_cast<void*>(bench_api_state),      reinterpret_cast<void*>(bench_api_task_usage),
      reinterpret_cast<void*>(bench_api_cpu_usage),  reinterpret_cast<void*>(bench_api_guard),
  };
  for (void* const function : functions) asm volatile("" : : "r"(function));
  kit::print("this kernel is for looking at\n");
  kit::finish(true);
}
}
