// Reads the instruction counter in user mode, around an operation (readings.h), and then waits for
// the kernel to fetch what it has read.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "bench/probe.h"
#include "bench/user/readings.h"
#include "kernel_demo/user/shared.h"

namespace {

using bench::Meter;
using bench::Probe;
using bench::Readings;
using sched::shared::Answer;
using sched::shared::Coroutine;
using sched::shared::FramePool;
using sched::shared::Frames;
using sched::shared::Handle;

constinit Readings readings{};
constexpr size_t kRounds = Readings::kRounds;

void call_nothing() {
  for (size_t i = 0; i < kRounds; ++i) {
    Probe::mark(readings.before[i]);
    user::self();
    readings.after[i] = Probe::read();
  }
}

void yield() {
  for (size_t i = 0; i < kRounds; ++i) {
    Probe::mark(readings.before[i]);
    user::yield();
    readings.after[i] = Probe::read();
  }
}

/// From here on the kernel may fetch them.
void publish() {
  *reinterpret_cast<volatile uint64_t*>(bench::kReadingsAddress) = user::word_of(&readings);
}

/// Where more lies between two readings than this loop, somebody else has run.
[[noreturn]] void spin() {
  uint64_t last = Probe::read();
  uint64_t shortest = UINT64_MAX;
  for (size_t i = 0;;) {
    const uint64_t now = Probe::read();
    const uint64_t gap = now - last;
    if (gap < shortest) shortest = gap;
    if (gap > 200 && i < kRounds) {
      readings.before[i] = last;
      readings.after[i++] = now;
      readings.cost_of_nothing = shortest;
      if (i == kRounds) publish();
    }
    last = now;
  }
}

void use_pool(const user::Shared& shared, uint64_t tasks) {
  const auto add = [&] {
    Handle handle;
    shared.client().add(0, shared.space(), 0, 0, handle);
  };
  // Each slot has been used: a fresh one costs less.
  Answer answer;
  const auto remove = [&] {
    shared.client().peek([](uint16_t) { return true; }, answer);
    shared.client().remove(Handle(answer.handle));
  };
  const uint64_t capacity = shared.client().header().capacity;
  for (uint64_t i = 0; i < capacity; ++i) add();
  for (uint64_t i = tasks; i < capacity; ++i) remove();
  for (size_t i = 0; i < kRounds; ++i) {
    Probe::mark(readings.before[i]);
    remove();
    add();
    readings.after[i] = Probe::read();
  }
}

/// The one after the other: each reading is the other's.
Coroutine take_turns(Frames&, user::SharedExecutor& executor) {
  static constinit size_t round = 0;
  while (round < kRounds) {
    Probe::mark(readings.before[round]);
    co_await executor.yield();
    const uint64_t now = Probe::read();
    if (round < kRounds) readings.after[round++] = now;
  }
}

void run_tasks(user::Shared& shared) {
  static FramePool<2, 512> frames;
  static user::SharedExecutor executor(shared.client(), shared);
  executor.spawn(take_turns(frames, executor), 0);
  executor.spawn(take_turns(frames, executor), 0);
  executor.run();
}

}  // namespace

int64_t user_main(uint64_t argument) {
  readings.cost_of_nothing = Probe::cost_of_nothing();
  const auto meter = static_cast<Meter>(argument & 0xffff);
  switch (meter) {
    case Meter::null_call: call_nothing(); break;
    case Meter::yield: yield(); break;
    case Meter::spin: spin();
    case Meter::shared_pool:
    case Meter::shared_task: {
      static user::Shared shared;
      if (!shared.is_mapped()) return shared.error();
      if (meter == Meter::shared_pool) {
        use_pool(shared, argument >> 16);
      } else {
        run_tasks(shared);
      }
    }
  }
  publish();
  static constinit std::atomic<uint32_t> never = 0;
  return user::wait_word(never, 0);
}
