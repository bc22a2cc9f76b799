// The standard's durations and time points, as a kernel's code may come with them: what makes the
// mutexes here TimedLockable. Without the standard's header: whoever has such a duration has it.

#ifndef BATON_SCHED_SYNC_STANDARD_TIME_H_
#define BATON_SCHED_SYNC_STANDARD_TIME_H_

#include <cstdint>

#include "hal/time.h"

namespace sched {

/// A `std::chrono::duration` that counts whole nanoseconds or multiples of them.
template <typename D>
concept StandardDuration = requires(const D& duration) {
  duration.count();
  D::period::num;
  D::period::den;
} && 1'000'000'000 % D::period::den == 0;

/// A `std::chrono::time_point` of such a clock.
template <typename T>
concept StandardTimePoint = requires(const T& point) {
  { point - T::clock::now() } -> StandardDuration;
};

/// In clock ticks of `S`, rounded up; none for what is not positive, at most `hal::forever`.
template <typename S, StandardDuration D>
hal::Duration ticks_of(const D& duration) {
  constexpr uint64_t kNanoseconds = 1'000'000'000 / D::period::den * D::period::num;
  if (duration.count() <= 0) return {};
  uint64_t nanoseconds;
  if (__builtin_mul_overflow(static_cast<uint64_t>(duration.count()), kNanoseconds, &nanoseconds)) {
    return hal::forever;
  }
  return hal::to_ticks(nanoseconds, S::Machine::ticks_per_second());
}

}  // namespace sched

#endif  // BATON_SCHED_SYNC_STANDARD_TIME_H_
