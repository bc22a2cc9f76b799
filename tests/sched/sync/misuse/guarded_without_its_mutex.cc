// What a mutex guards, without the mutex.

#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "sched/sync/mutex.h"

using S = sched::Scheduler<hal::sim::Machine, sched::FixedPriority>;

struct Account {
  sched::Mutex<S> mutex;
  int balance __attribute__((guarded_by(mutex))) = 0;
};

int misuse(Account& account) {
#ifndef MISUSE
  account.mutex.assert_held();
#endif
  return account.balance;
}
