// All of `hal` and `sched` that a kernel compiles, for every policy, and not one object of the
// kernel's own: whatever this file has in .data, .bss or .init_array would be the library's.

#include "sched/scheduler.h"
#include "hal/native.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"

namespace {

struct Machine : hal::Native {
  [[noreturn]] static void panic(const char*, const char*) { __builtin_trap(); }
};

constexpr sched::Options kEverything{.debug_checks = true, .latency = true};

}  // namespace

template class sched::Scheduler<Machine, sched::Fifo>;
template class sched::Scheduler<Machine, sched::RoundRobin>;
template class sched::Scheduler<Machine, sched::FixedPriority>;
template class sched::Scheduler<Machine, sched::FixedPriorityThreshold>;
template class sched::Scheduler<Machine, sched::FixedPriority, kEverything>;
