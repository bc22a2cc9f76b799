// What the tests of timers share.

#ifndef BATON_TESTS_SCHED_TIME_TIMER_KIT_H_
#define BATON_TESTS_SCHED_TIME_TIMER_KIT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "gtest/gtest.h"
#include "hal/time.h"
#include "sched/time/timer_queue.h"

namespace sched::test {

constexpr Instant at(uint64_t ticks) { return Instant{ticks}; }
constexpr Duration ticks(uint64_t count) { return Duration{count}; }
constexpr Instant kLast = at(never.ticks - 1);  // that comes

// A timer with a number.
struct Numbered : Timer {
  constexpr explicit Numbered(
      int number = 0, Fire fire = +[](Timer&) {})
      : Timer(fire), number(number) {}
  int number;
};

// Timers that do not move, numbered from zero.
inline std::deque<Numbered> some(int count) {
  std::deque<Numbered> timers;
  for (int i = 0; i < count; ++i) timers.emplace_back(i);
  return timers;
}

inline int number(const Timer* timer) { return static_cast<const Numbered*>(timer)->number; }

// What `expire` gave until it said that there was no more, and how often it was called.
struct Drained {
  std::vector<int> due;
  size_t calls = 0;
};

inline Drained drain(TimerQueue& queue, Instant now) {
  Drained drained;
  for (;;) {
    const TimerQueue::Step step = queue.expire(now);
    ++drained.calls;
    if (!step.more) {
      EXPECT_EQ(step.due, nullptr);
      return drained;
    }
    if (step.due != nullptr) {
      EXPECT_FALSE(step.due->armed());
      drained.due.push_back(number(step.due));
    }
  }
}

inline std::vector<int> due(TimerQueue& queue, Instant now) { return drain(queue, now).due; }

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_TIME_TIMER_KIT_H_
