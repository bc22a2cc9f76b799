// A slice for a task under first in, first out, which has no attributes at all.

#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/scheduler.h"

using S = sched::Scheduler<hal::sim::Machine, sched::Fifo>;

bool misuse(S::Task& task) {
#ifdef MISUSE
  return S::retune(task, {.slice = sched::Duration{3}});
#else
  return S::retune(task, {});
#endif
}
