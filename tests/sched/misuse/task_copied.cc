// A copy of a task, which would be in its queues only by half.

#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/scheduler.h"

using S = sched::Scheduler<hal::sim::Machine, sched::Fifo>;

const char* misuse(const S::Task& task) {
#ifdef MISUSE
  const S::Task copy = task;
  return copy.name();
#else
  return task.name();
#endif
}
