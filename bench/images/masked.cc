// Goes through all that the scheduler does, for `bench/trace` to see how long interrupts stay
// masked. The guest's argument is the number of tasks, 2 to 128: "tasks=2".
//
// A conductor has every task do every thing. Half of the tasks have priorities above its own, each
// another one; half share its level, which has a slice. Mail, which other CPUs send, comes from
// this one while it passes itself off as a second.

#include <cstddef>
#include <cstdint>
#include <span>

#include "bench/images/kernel.h"
#include "bench/probe.h"
#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"

namespace {

constinit bool wake_on_timer = false;

// A CPU that is idle with no timer set has nothing to wake it: here it sets one then, the one thing
// that is not as every kernel has it.
struct Machine : hal::Native {
  static void wait() {
    if (wake_on_timer) arm(now() + hal::to_ticks(2'000, ticks_per_second()));
    hal::Native::wait();
  }
};

using S = sched::Scheduler<Machine, sched::FixedPriority>;
using bench::Probe;

constexpr size_t kMostTasks = 128;
constexpr size_t kStackSize = 2048;
constexpr uint16_t kLevel = 10;

constinit S::Cpu cpus[2];
constinit S::Task conductor{"conductor"};
constinit S::Task tasks[kMostTasks];
alignas(16) constinit std::byte conductor_stack[4096] = {};
constinit size_t count = 0;
constinit size_t ended = 0;
constinit S::Task* on_device = nullptr;  // whom the device's interrupt wakes

std::span<S::Task> all() { return std::span(tasks).first(count); }

uint16_t priority_of(size_t i) {
  return static_cast<uint16_t>(i % 2 == 0 ? kLevel + 1 + i : kLevel);
}

void spawn(size_t i);

void live(void*) {
  while (S::park() != sched::Woken::by_kill) S::yield();
}

void spawn(size_t i) {
  const std::span stack = kit::memory().subspan(i * kStackSize, kStackSize);
  bench::must(S::spawn(tasks[i], stack, live, nullptr, {.priority = priority_of(i)}));
}

void sink(S::Task&) {
  if (++ended == count) S::wake(conductor);
}

/// Lets the tasks of the conductor's own level run until they have parked: each yields once.
void let_run() {
  for (int i = 0; i < 4; ++i) S::yield();
}

/// Does `post(task)` to every task as if a second CPU did, with all of it in the mailbox at once.
template <typename Post>
void post_to_all(Post post) {
  const auto irq = S::Machine::mask();
  asm volatile("bench_not_counted_%=:" : :);
  Probe::become(cpus[1]);
  for (S::Task& task : all()) post(task);
  Probe::become(cpus[0]);
  S::Machine::unmask(irq);
  // So much of it rests for a while. What is posted then would be handled together with it.
  for (S::Task& task : all()) {
    while (task.ownership().pending() != sched::request::none) {
    }
  }
  let_run();
}

/// The same, each on its own; those it makes due may have run when it returns or not.
template <typename Post>
void post_to_each(Post post) {
  for (S::Task& task : all()) {
    const auto irq = S::Machine::mask();
    Probe::become(cpus[1]);
    post(task);
    Probe::become(cpus[0]);
    S::Machine::unmask(irq);
  }
}

void wake_and_yield() {
  for (S::Task& task : all()) S::wake(task);
  for (S::Task& task : all()) S::wake(task);
  let_run();
}

void idle() {
  wake_on_timer = true;
  for (int i = 0; i < 4; ++i) S::park();
  wake_on_timer = false;
}

void guards() {
  {
    const S::NoPreempt outer;
    const S::NoPreempt inner;
    for (S::Task& task : all()) S::wake(task);
  }
  let_run();
}

void interrupts() {
  uint64_t begin;
  for (S::Task& task : all()) {
    on_device = &task;
    Probe::mark_and_raise(begin);
    Probe::mark_and_raise(begin);
  }
  let_run();
  {
    const S::NoPreempt guard;
    for (S::Task& task : all()) {
      on_device = &task;
      Probe::mark_and_raise(begin);
    }
  }
  on_device = nullptr;
  let_run();
}

void slices() {
  // Everybody on the conductor's level has company: the timer takes turns among them.
  cpus[0].policy().set_slice(kLevel, hal::to_ticks(600, S::Machine::ticks_per_second()));
  for (S::Task& task : all()) S::wake(task);
  const auto end = S::now() + hal::to_ticks(30'000, S::Machine::ticks_per_second());
  while (S::now() < end) {
    for (S::Task& task : all()) S::wake(task);
  }
  cpus[0].policy().set_slice(kLevel, {});
  let_run();
}

void retunes() {
  for (const uint16_t priority : {uint16_t{255}, uint16_t{1}, kLevel}) {
    // Ready, blocked and running ones; to above, below and the conductor's own level.
    for (S::Task& task : all()) S::retune(task, {.priority = priority});
    {
      const S::NoPreempt guard;
      for (S::Task& task : all()) S::wake(task);
      for (S::Task& task : all()) S::retune(task, {.priority = kLevel});
      for (S::Task& task : all()) S::retune(task, {.priority = priority});
    }
    S::retune(conductor, {.priority = 0});
    S::retune(conductor, {.priority = kLevel});
  }
  for (size_t i = 0; i < count; ++i) S::retune(tasks[i], {.priority = priority_of(i)});
  let_run();
}

void mail() {
  constexpr auto wake = [](S::Task& task) { S::wake(task); };
  constexpr auto retune = [](S::Task& task) { S::retune(task, {.priority = kLevel + 5}); };
  post_to_each(wake);
  let_run();
  post_to_all(wake);
  post_to_each(retune);
  let_run();
  post_to_all(retune);
  for (size_t i = 0; i < count; ++i) S::retune(tasks[i], {.priority = priority_of(i)});
  // Of tasks that are ready: they leave a level, the last of them empties it, and enter another,
  // which the first finds empty and the others do not.
  constexpr uint16_t kLevels[] = {1, kLevel, kLevel + 1, 255};
  for (const uint16_t from : kLevels) {
    for (const uint16_t to : kLevels) {
      const S::NoPreempt guard;
      for (S::Task& task : all()) S::wake(task);
      for (S::Task& task : all()) S::retune(task, {.priority = from});
      post_to_each([=](S::Task& task) { S::retune(task, {.priority = to}); });
    }
  }
  for (size_t i = 0; i < count; ++i) S::retune(tasks[i], {.priority = priority_of(i)});
  let_run();
}

void lives() {
  for (const bool have_run : {true, false}) {
    // Killed from here, by mail in two ways, and all at once.
    for (int way = 0; way < 4; ++way) {
      if (have_run) let_run();
      ended = 0;
      if (way == 0) {
        for (S::Task& task : all()) S::kill(task);
      } else if (way == 1) {
        post_to_all([](S::Task& task) { S::kill(task); });
      } else if (way == 2) {
        const S::NoPreempt guard;
        post_to_each([](S::Task& task) { S::kill(task); });
      } else {
        const S::NoPreempt guard;
        for (S::Task& task : all()) S::kill(task);
      }
      while (ended < count) S::park();
      if (have_run) {
        for (size_t i = 0; i < count; ++i) spawn(i);
      } else {
        // Those above the conductor would run at once.
        const S::NoPreempt guard;
        for (size_t i = 0; i < count; ++i) spawn(i);
      }
    }
  }
}

void conduct(void*) {
  asm volatile("bench_window_open_%=:" : :);
  for (size_t i = 0; i < count; ++i) spawn(i);
  let_run();
  idle();
  wake_and_yield();
  guards();
  interrupts();
  slices();
  retunes();
  mail();
  lives();
  asm volatile("bench_window_close_%=:" : :);
  kit::print("done with {} tasks\n", count);
  kit::finish(true);
}

size_t number_of_tasks() {
  const size_t number = bench::argument("tasks=").value_or(0);
  if (number < 2 || number > kMostTasks)
    kit::panic("the argument is tasks=2 to tasks=128", nullptr);
  return number;
}

}  // namespace

bool baton_interrupt(uintptr_t source) {
  typename S::Interrupt interrupt;
  const hal::Interrupt what = S::Machine::acknowledge(source);
  if (what.cause == Probe::kDevice && on_device != nullptr) {
    interrupt.wake(*on_device);
  } else if (what.cause == hal::Cause::kick) {
    S::on_kick();
  } else if (what.cause == hal::Cause::timer) {
    S::on_timer();
    if (wake_on_timer) S::wake(conductor);
  }
  if (what.cause == hal::Cause::device) S::Machine::complete(what);
  return interrupt.leave();
}
void baton_preempt() { S::preempt(); }

void kernel_main() {
  count = number_of_tasks();
  S::start(cpus, 1, sink);
  S::start(cpus, 0, sink);
  Probe::start_device();
  bench::must(S::spawn(conductor, conductor_stack, conduct, nullptr, {.priority = kLevel}));
  S::run();
}
