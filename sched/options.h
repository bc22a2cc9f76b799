// What a kernel may choose about its scheduler beyond machine and policy.

#ifndef BATON_SCHED_OPTIONS_H_
#define BATON_SCHED_OPTIONS_H_

#include <cstddef>

namespace sched {

/// Choices of a kernel, beyond machine and policy.
struct Options {
  /// Checks that cost something: on where `assert` is.
#ifdef NDEBUG
  bool debug_checks = false;
#else
  bool debug_checks = true;
#endif
  /// Keep a histogram of the time from ready to running in each task and CPU (328 bytes each).
  bool latency = false;
  /// How often an idle CPU looks for mail before it sleeps. While it looks nobody has to kick it,
  /// and interrupts are let in between two looks; a machine's `relax` says how long one takes.
  unsigned polls = 0;
  /// The most CPUs there may be: how wide a `CpuSet` is. Of 1 nothing is left of what is for many:
  /// a task is smaller by its affinity, and what tasks wait for has no locks and, but for what is
  /// done unmasked, no atomic read-modify-writes. `start` stops where there are more.
  size_t cpus = 64;
};

}  // namespace sched

#endif  // BATON_SCHED_OPTIONS_H_
