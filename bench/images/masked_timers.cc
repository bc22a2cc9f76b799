// Goes through all that timers and sleeps do, for `bench/trace` to see how long interrupts stay
// masked. The guest's argument is how many there are: "timers=10000" or "sleepers=1000".
//
// A conductor arms timers in all orders, cancels them, and lets them come due; or it has as many
// tasks as wanted sleep until one and the same instant, of which half have priorities above its own
// and half share its level.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "bench/images/kernel.h"
#include "bench/probe.h"
#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"

namespace {

using S = sched::Scheduler<hal::Native, sched::FixedPriority>;
using bench::Probe;
using sched::Duration;
using sched::Instant;
using sched::Timer;

constexpr size_t kFewestTimers = 200;
constexpr size_t kMostTimers = 10'000;
constexpr size_t kFewestSleepers = 10;
constexpr size_t kMostSleepers = 1'000;
constexpr size_t kStackSize = 1024;
constexpr uint16_t kLevel = 10;

constinit S::Cpu cpus[1];
constinit S::Task conductor{"conductor"};
constinit S::Task other{"other"};
constinit S::Task tasks[kMostSleepers];
alignas(16) constinit std::byte conductor_stack[4096] = {};
alignas(16) constinit std::byte other_stack[4096] = {};

Duration microseconds(uint64_t count) {
  return hal::to_ticks(count * 1'000, S::Machine::ticks_per_second());
}

/// For what interrupts and other tasks change.
size_t read(size_t& number) { return std::atomic_ref(number).load(std::memory_order_relaxed); }

void spin_until(Instant when) {
  while (S::now() < when) continue;
}

// ---- Timers ---------------------------------------------------------------------------------

constinit size_t fired = 0;
constinit size_t periods = 0;

struct Periodic : Timer {
  constexpr Periodic() : Timer(again) {}
  static void again(Timer& timer) {
    Periodic& self = static_cast<Periodic&>(timer);
    ++periods;
    if (--self.left != 0) S::arm(self, self.when() + self.period);
  }

  Duration period;
  int left = 0;
};
constinit Periodic periodic[8];

void count(Timer&) { ++fired; }
void wake_other(Timer&) {
  ++fired;
  S::wake(other);
}

void park_for_ever(void*) {
  for (;;) S::park();
}

/// In no order: neighbours in time are far from each other.
size_t shuffled(size_t i, size_t size) { return i * 7'919 % size; }

void wait_for(size_t& number, size_t wanted) {
  while (read(number) < wanted) continue;
}

void go_through_timers(size_t count_of_timers) {
  const std::span timers(reinterpret_cast<Timer*>(kit::memory().data()), count_of_timers);
  const std::span some = timers.first(100);
  // A hundred a microsecond apart, and then all others.
  const Instant start = S::now() + microseconds(20'000);
  for (size_t i = 0; i < timers.size(); ++i) {
    std::construct_at(&timers[i], i % 2 == 0 ? count : wake_other);
  }
  for (size_t i = 0; i < timers.size(); ++i) {
    const size_t place = shuffled(i, timers.size());
    S::arm(timers[place], start + microseconds(place < some.size() ? place : 5'000 + place));
  }
  // Idle until the first; what opens the slots then interrupts this task.
  S::sleep_until(start);
  for (const int offset : {-1, 0, 1}) {
    S::retune(other, {.priority = static_cast<uint16_t>(kLevel + offset)});
    wait_for(fired, some.size() / 4 * static_cast<size_t>(offset + 2));
  }

  // Periodic ones, of the same instants and of others.
  for (size_t i = 0; i < std::size(periodic); ++i) {
    periodic[i].period = microseconds(i < 4 ? 10 : 3 + i);
    periodic[i].left = 10;
    S::arm(periodic[i], start + microseconds(500));
  }
  S::sleep_until(start + microseconds(490));
  wait_for(periods, 10 * std::size(periodic));

  // The earliest of a slot leaves it, again and again: armed anew, then cancelled.
  for (const bool anew : {true, false}) {
    for (size_t i = 0; i < some.size(); ++i) {
      S::arm(some[i], start + microseconds(10'000'000 + i));
    }
    for (Timer& timer : some) {
      if (anew) {
        S::arm(timer, start + microseconds(20'000'000));
      } else {
        S::cancel(timer);
      }
    }
  }
  for (Timer& timer : timers.last(some.size())) S::cancel(timer);
  // For what has passed: all of them at once.
  for (Timer& timer : some) S::arm(timer, start);
}

// ---- Sleepers -------------------------------------------------------------------------------

constinit std::atomic<uint64_t> end_of_sleep{0};
constinit size_t awake = 0;

void sleep(void*) {
  for (;;) {
    S::park();
    S::sleep_until(Instant{end_of_sleep.load(std::memory_order_relaxed)});
    ++awake;
  }
}

enum class Way : uint8_t { idle, running, guarded, slice };

/// All of them sleep until the same instant, and this task until shortly before it.
void sleep_and_wake(std::span<S::Task> sleepers, Way way) {
  // The timers that come due with this task's own are sorted first.
  const Duration before = microseconds(20 + sleepers.size() / 3);
  const Instant shortly = S::now() + microseconds(10 * sleepers.size() + 100);
  const Instant when = shortly + before;
  awake = 0;
  end_of_sleep.store(when.ticks, std::memory_order_relaxed);
  for (S::Task& sleeper : sleepers) S::wake(sleeper);
  S::sleep_until(way == Way::idle ? when + before : shortly);
  if (way == Way::guarded) {
    const S::NoPreempt guard;
    spin_until(when + microseconds(20));
  } else if (way == Way::slice) {
    cpus[0].policy().set_slice(kLevel, when - S::now());
    S::yield();
  }
  spin_until(when);
  while (read(awake) < sleepers.size()) S::yield();
  cpus[0].policy().set_slice(kLevel, {});
  for (int i = 0; i < 4; ++i) S::yield();
}

void go_through_sleeps(size_t count_of_sleepers) {
  const std::span sleepers = std::span(tasks).first(count_of_sleepers);
  for (size_t i = 0; i < sleepers.size(); ++i) {
    const std::span stack = kit::memory().subspan(i * kStackSize, kStackSize);
    const auto above = static_cast<uint16_t>(kLevel + 1 + i % 128);
    bench::must(
        S::spawn(sleepers[i], stack, sleep, nullptr, {.priority = i % 2 == 0 ? above : kLevel}));
  }
  for (int i = 0; i < 4; ++i) S::yield();
  sleep_and_wake(sleepers, Way::idle);
  sleep_and_wake(sleepers, Way::running);
  const std::span some = sleepers.first(std::min<size_t>(sleepers.size(), 100));
  sleep_and_wake(some, Way::guarded);
  sleep_and_wake(some, Way::slice);
}

void conduct(void*) {
  asm volatile("bench_window_open_%=:" : :);
  const auto timers = bench::argument("timers=");
  const auto sleepers = bench::argument("sleepers=");
  if (timers && *timers >= kFewestTimers && *timers <= kMostTimers) {
    bench::must(S::spawn(other, other_stack, park_for_ever, nullptr, {.priority = kLevel}));
    go_through_timers(*timers);
  } else if (sleepers && *sleepers >= kFewestSleepers && *sleepers <= kMostSleepers) {
    go_through_sleeps(*sleepers);
  } else {
    kit::panic("the argument is timers=200 to timers=10000 or sleepers=10 to sleepers=1000",
               nullptr);
  }
  asm volatile("bench_window_close_%=:" : :);
  kit::print("done with {}\n", kit::arguments());
  kit::finish(true);
}

}  // namespace

bool baton_interrupt(uintptr_t source) { return bench::interrupt<S>(source); }
void baton_preempt() { S::preempt(); }

void kernel_main() {
  S::start(cpus, 0, bench::no_sink<S>);
  bench::must(S::spawn(conductor, conductor_stack, conduct, nullptr, {.priority = kLevel}));
  S::run();
}
