// What is known beforehand of tasks that come again and again: priorities for `FixedPriority`,
// response times under them, and whether `Edf` meets all deadlines. docs/policies/rate_monotonic.md
//
// C. L. Liu and J. W. Layland, "Scheduling Algorithms for Multiprogramming in a Hard-Real-Time
// Environment", JACM 1973: rate monotonic. J. Leung and J. Whitehead, "On the Complexity of
// Fixed-Priority Scheduling of Periodic, Real-Time Tasks", 1982: deadline monotonic. M. Joseph and
// P. Pandya, "Finding Response Times in a Real-Time System", 1986, and N. Audsley and others,
// "Applying New Scheduling Theory to Static Priority Pre-emptive Scheduling", 1993: response times.
// S. Baruah, A. Mok and L. Rosier, RTSS 1990: processor demand. F. Zhang and A. Burns,
// "Schedulability Analysis for Real-Time Systems with EDF Scheduling", 2009: looking at few points
// of it.
//
// All of it is `constexpr`, and nothing here is for an interrupt: most tests are pseudo-polynomial,
// their time grows with the ratios of the periods. `Tasks` is anything that a range-based `for`
// goes through and whose elements have `runtime`, `deadline` (at most the period) and `period`:
// a `std::array<RealTimeTask, n>`, or `BasicEdf::Attributes` in which no deadline is zero. No
// runtime and no period is zero, and none is above `forever`; no function overflows on any others.

#ifndef BATON_SCHED_POLICY_ANALYSIS_H_
#define BATON_SCHED_POLICY_ANALYSIS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hal/time.h"
#include "sched/policy/bandwidth.h"

namespace sched {

using hal::forever;

/// A task that comes at most once in each `period`, then runs for at most `runtime`, and is to be
/// done within `deadline`.
struct RealTimeTask {
  Duration runtime;
  Duration deadline;
  Duration period;

  friend bool operator==(const RealTimeTask&, const RealTimeTask&) = default;
};

enum class Verdict : uint8_t {
  fails,
  holds,
  undecided,  ///< only where a function says so
};

namespace internal {

constexpr Wide ceil_div(uint64_t a, uint64_t b) { return Wide{a / b} + (a % b != 0); }

constexpr uint64_t saturated(Wide number) {
  return number > UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(number);
}

constexpr uint64_t common_divisor(uint64_t a, uint64_t b) {
  while (b != 0) {
    const uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

// The work that has come by `length` if all tasks come at once, then as often as they may.
template <typename Tasks>
constexpr uint64_t work_within(const Tasks& tasks, uint64_t length) {
  uint64_t sum = 0;
  for (const auto& task : tasks) {
    const Wide work = ceil_div(length, task.period.ticks) * task.runtime.ticks;
    sum = saturated(Wide{sum} + saturated(work));
  }
  return sum;
}

}  // namespace internal

// ---- Fixed priorities -----------------------------------------------------------------------

/// What the tasks' priorities go by.
enum class Monotonic : uint8_t {
  rate,      ///< the shorter the period, the higher: the best there is where deadlines are periods
  deadline,  ///< the shorter the deadline, the higher: the best there is where they are shorter
};

/// Priorities for `FixedPriority`, one for each task, all different: `highest` and downward. Of
/// equal tasks the one that comes first in `tasks` is higher. False, and nothing has changed, if
/// there are not as many priorities as tasks, or not so many levels from `highest` down to 0.
constexpr bool assign(Monotonic order, std::span<const RealTimeTask> tasks,
                      std::span<uint16_t> priorities, uint16_t highest = 255) {
  if (priorities.size() != tasks.size() || tasks.size() > size_t{highest} + 1) return false;
  const auto key = [order](const RealTimeTask& task) {
    return order == Monotonic::rate ? task.period : task.deadline;
  };
  for (size_t i = 0; i < tasks.size(); ++i) {
    uint16_t rank = 0;
    for (size_t j = 0; j < tasks.size(); ++j) {
      const bool first = key(tasks[j]) < key(tasks[i]) || (key(tasks[j]) == key(tasks[i]) && j < i);
      if (first) ++rank;
    }
    priorities[i] = static_cast<uint16_t>(highest - rank);
  }
  return true;
}

/// The longest time from when task number `i` comes to when it is done, under fixed priorities:
/// exact, if it is at most the task's period; beyond that it is how long the first job takes when
/// all come at once. None if it is above `limit`. Tasks of the same priority count as higher.
///
/// The least R with R = C_i + sum over those of ceil(R / T_j) C_j, from below. There is none if
/// they alone take the whole CPU; whether that is so is not asked: then R passes `limit`, within
/// limit / C steps.
constexpr std::optional<Duration> response_time(std::span<const RealTimeTask> tasks,
                                                std::span<const uint16_t> priorities, size_t i,
                                                Duration limit) {
  uint64_t response = tasks[i].runtime.ticks;
  for (;;) {
    uint64_t next = tasks[i].runtime.ticks;
    for (size_t j = 0; j < tasks.size(); ++j) {
      if (j == i || priorities[j] < priorities[i]) continue;
      const Wide work =
          internal::ceil_div(response, tasks[j].period.ticks) * tasks[j].runtime.ticks;
      next = internal::saturated(Wide{next} + internal::saturated(work));
    }
    if (next > limit.ticks) return std::nullopt;
    if (next == response) return Duration{response};
    response = next;
  }
}

/// Whether every task meets its deadline under these priorities.
constexpr bool meets_deadlines(std::span<const RealTimeTask> tasks,
                               std::span<const uint16_t> priorities) {
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (!response_time(tasks, priorities, i, tasks[i].deadline)) return false;
  }
  return true;
}

// ---- Earliest deadline first ----------------------------------------------------------------

/// Whether runtime / period sums up to at most one, exactly. Undecided where the sum is within a
/// unit of `Bandwidth` a task of one and the periods have no common multiple below 2^64.
template <typename Tasks>
constexpr Verdict utilisation_fits(const Tasks& tasks) {
  Wide floor = 0;
  uint64_t inexact = 0;
  for (const auto& task : tasks) {
    const Bandwidth share = bandwidth(task.runtime, task.period);
    floor += share.units;
    // Less than one unit was rounded off, if anything.
    inexact += Wide{share.units} * task.period.ticks != Wide{task.runtime.ticks} * kWholeCpu.units;
  }
  if (floor > kWholeCpu.units) return Verdict::fails;
  if (floor + inexact <= kWholeCpu.units) return Verdict::holds;
  uint64_t multiple = 1;
  for (const auto& task : tasks) {
    const uint64_t factor =
        task.period.ticks / internal::common_divisor(multiple, task.period.ticks);
    if (factor > UINT64_MAX / multiple) return Verdict::undecided;
    multiple *= factor;
  }
  Wide sum = 0;
  for (const auto& task : tasks) {
    sum += Wide{task.runtime.ticks} * (multiple / task.period.ticks);
  }
  return sum <= multiple ? Verdict::holds : Verdict::fails;
}

/// The work that must be done by `end` if all tasks come at 0, then as often as they may: that of
/// all jobs whose deadlines are not later. The largest number where it does not fit.
template <typename Tasks>
constexpr Duration demand(const Tasks& tasks, Duration end) {
  uint64_t sum = 0;
  for (const auto& task : tasks) {
    if (end < task.deadline) continue;
    const uint64_t jobs = (end.ticks - task.deadline.ticks) / task.period.ticks + 1;
    sum = internal::saturated(Wide{sum} + internal::saturated(Wide{jobs} * task.runtime.ticks));
  }
  return {sum};
}

/// The last deadline before `end` of tasks that all come at 0; none if there is none.
template <typename Tasks>
constexpr std::optional<Duration> deadline_before(const Tasks& tasks, Duration end) {
  std::optional<Duration> last;
  for (const auto& task : tasks) {
    if (end <= task.deadline) continue;
    const uint64_t periods = (end.ticks - task.deadline.ticks - 1) / task.period.ticks;
    const Duration deadline{task.deadline.ticks + periods * task.period.ticks};
    if (!last || deadline > *last) last = deadline;
  }
  return last;
}

/// By when, if any deadline is missed, one has been: no later one need be looked at. The lesser of
/// two bounds; each is right alone, so the second is given up after `steps`.
template <typename Tasks>
constexpr Duration demand_horizon(const Tasks& tasks, int steps) {
  // The sum of (T - D) C / T, divided by what is left of the CPU: beyond that, demand grows slower
  // than time. Rounded up all along.
  Bandwidth used;
  uint64_t slack = 0;
  Duration longest;
  for (const auto& task : tasks) {
    const uint64_t share = bandwidth(task.runtime, task.period).units + 1;
    used = {internal::saturated(Wide{used.units} + share)};
    const Wide part = Wide{task.period.ticks - task.deadline.ticks} * share;
    slack = internal::saturated(Wide{slack} + static_cast<uint64_t>(part >> 62) + 1);
    if (task.deadline > longest) longest = task.deadline;
  }
  uint64_t horizon = UINT64_MAX;
  if (used < kWholeCpu) {
    const uint64_t bound = mul_div(slack, kWholeCpu.units, (kWholeCpu - used).units);
    horizon = bound < UINT64_MAX - 1 ? bound + 1 : UINT64_MAX;
    if (horizon < longest.ticks) horizon = longest.ticks;
  }
  // The first instant at which all that has come is done, if all comes at once.
  uint64_t busy = internal::work_within(tasks, 1);
  for (int step = 0; step < steps && busy < horizon; ++step) {
    const uint64_t next = internal::work_within(tasks, busy);
    if (next == busy) return {busy};
    busy = next;
  }
  return {horizon};
}

/// Whether earliest deadline first meets every deadline of these tasks, whenever they come; exact.
/// Undecided where the utilisation is, or if it takes more than `steps` passes over them.
///
/// From the horizon down, from each instant to what is demanded by it: in between nothing can be
/// missed (Zhang and Burns's QPA).
template <typename Tasks>
constexpr Verdict demand_fits(const Tasks& tasks, int steps = 1'000'000) {
  const Verdict utilisation = utilisation_fits(tasks);
  if (utilisation != Verdict::holds) return utilisation;
  bool constrained = false;
  for (const auto& task : tasks) constrained |= task.deadline < task.period;
  if (!constrained) return Verdict::holds;
  const Duration horizon = demand_horizon(tasks, steps);
  // All that is due at the horizon itself is due before the instant after it.
  Duration end{horizon.ticks == UINT64_MAX ? horizon.ticks : horizon.ticks + 1};
  std::optional<Duration> at = deadline_before(tasks, end);
  for (int step = 0; at; ++step) {
    if (step == steps) return Verdict::undecided;
    const Duration due = demand(tasks, *at);
    if (due > *at) return Verdict::fails;
    if (due == Duration{}) break;  // before every deadline
    at = due < *at ? due : deadline_before(tasks, *at);
  }
  return Verdict::holds;
}

}  // namespace sched

#endif  // BATON_SCHED_POLICY_ANALYSIS_H_
