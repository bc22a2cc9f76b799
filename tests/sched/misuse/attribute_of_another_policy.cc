// A priority for a task under round robin, which has none.

#include "hal/sim/sim.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"

using S = sched::Scheduler<hal::sim::Machine, sched::RoundRobin>;

bool misuse(S::Task& task) {
#ifdef MISUSE
  return S::retune(task, {.priority = 3});
#else
  return S::retune(task, {.slice = sched::Duration{3}});
#endif
}
