// A policy without `put_back`.

#include "hal/sim/sim.h"
#include "sched/scheduler.h"

struct Incomplete {
  struct Entity {};
  struct Attributes {};
  bool attach(sched::Detached<Entity>, const Attributes&) { return true; }
  Attributes attributes(const Entity&) const { return {}; }
  sched::Links enqueue(Entity&, sched::Enter, sched::Instant) { return sched::Links::intact; }
  sched::Links dequeue(Entity&, sched::Leave, sched::Instant) { return sched::Links::intact; }
#ifndef MISUSE
  sched::Links put_back(Entity&, sched::Pause, sched::Instant) { return sched::Links::intact; }
#endif
  sched::Choice<Entity> pick(sched::Instant) { return {}; }
};

using S = sched::Scheduler<hal::sim::Machine, Incomplete>;

bool misuse(S::Task& task) { return S::retune(task, {}); }
