// Written by who may only read: the lock is shared with the other readers.

#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "sched/sync/rw_lock.h"

using S = sched::Scheduler<hal::sim::Machine, sched::FixedPriority>;

struct Table {
  sched::RwLock<S> lock;
  int entries __attribute__((guarded_by(lock))) = 0;
};

int misuse(Table& table) {
  table.lock.lock_shared();
  const int before = table.entries;
#ifdef MISUSE
  table.entries = before + 1;
#endif
  table.lock.unlock_shared();
  return before;
}
