// What a kernel defines: CPUs and tasks, constant-initialised, so that nothing has to run before
// they can be used.

#include "hal/native.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"

namespace {

struct Machine : hal::Native {
  [[noreturn]] static void panic(const char*, const char*) { __builtin_trap(); }
};

}  // namespace

template <typename Policy>
struct Kernel {
  using S = sched::Scheduler<Machine, Policy>;
  static constinit typename S::Cpu cpus[4];
  static constinit typename S::Task task;
};

template <typename Policy>
constinit typename Kernel<Policy>::S::Cpu Kernel<Policy>::cpus[4];
template <typename Policy>
constinit typename Kernel<Policy>::S::Task Kernel<Policy>::task{"task"};

template struct Kernel<sched::Fifo>;
template struct Kernel<sched::RoundRobin>;
template struct Kernel<sched::FixedPriority>;
template struct Kernel<sched::FixedPriorityThreshold>;
