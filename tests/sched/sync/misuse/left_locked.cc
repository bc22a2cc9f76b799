// A lock that is taken and, on one way out, not given back.

#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "sched/sync/spin_lock.h"

using S = sched::Scheduler<hal::sim::Machine, sched::FixedPriority>;

int misuse(sched::SpinLock<S>& lock, int value) {
  lock.lock();
#ifdef MISUSE
  if (value < 0) return -value;
#endif
  lock.unlock();
  return value;
}
