// Something that a task does again and again, at equal distances that do not drift.
//
//     sched::Periodic<S> period(S::now(), S::Machine::ticks_per_second() / 100);
//     while (period.next() == sched::Waited::timed_out) sample();
//
// The instants are `first + n * period`, whatever the work takes and whenever the task gets to run.
// (With `sleep_for` what is lost each time adds up.) A task that is late begins at once and has the
// rest of its period; periods that have passed as a whole are left out, and counted.

#ifndef BATON_SCHED_TIME_PERIODIC_H_
#define BATON_SCHED_TIME_PERIODIC_H_

#include <cstdint>

#include "hal/time.h"
#include "sched/wait.h"

namespace sched {

/// See the head of this file. One task's.
template <typename S>
class Periodic {
 public:
  /// The first instant that `next` waits for is `first + period`. `period` is above zero.
  constexpr Periodic(hal::Instant first, hal::Duration period) : due_(first), period_(period) {}

  /// Sleeps until the next of the instants that has not passed, or was the last to pass: then it
  /// returns at once. `timed_out`, unless the sleep was cancelled or the task killed.
  Waited next() {
    const uint64_t behind = (S::now() - due_).ticks / period_.ticks;
    if (behind > 1) missed_ += behind - 1;
    due_ = due_ + hal::Duration{(behind > 1 ? behind : 1) * period_.ticks};
    return S::sleep_until(due_);
  }

  /// The instant that `next` waited for last.
  constexpr hal::Instant due() const { return due_; }

  /// How many periods passed as a whole.
  constexpr uint64_t missed() const { return missed_; }

 private:
  hal::Instant due_;
  hal::Duration period_;
  uint64_t missed_ = 0;
};

}  // namespace sched

#endif  // BATON_SCHED_TIME_PERIODIC_H_
