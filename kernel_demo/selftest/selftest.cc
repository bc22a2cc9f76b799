// One scheduler after the other takes the stage, and its first task runs the tests.

#include "kernel_demo/selftest/selftest.h"

#include "kernel_demo/kernel.h"
#include "kernel_demo/selftest/common_tests.h"
#include "kernel_demo/selftest/machine_tests.h"
#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"

namespace demo {
namespace {

using selftest::CommonTests;

void begin_thresholds() {
  Kernel<sched::FixedPriorityThreshold>::boot([](void*) {
    selftest::run_threshold_tests();
    selftest::finish();
  });
}

void begin_priorities() {
  Kernel<sched::FixedPriority>::boot([](void*) {
    CommonTests<sched::FixedPriority>::run();
    selftest::run_priority_tests();
    selftest::run_time_tests();
    selftest::run_sync_tests();
    selftest::run_lock_tests();
    selftest::run_life_tests();
    leave_stage(begin_thresholds);
  });
}

void begin_slices() {
  Kernel<sched::RoundRobin>::boot([](void*) {
    CommonTests<sched::RoundRobin>::run();
    selftest::run_slice_tests();
    selftest::run_mailbox_tests();
    leave_stage(begin_priorities);
  });
}

}  // namespace

void run_selftest() {
  using First = Kernel<sched::Fifo>;
  First::boot([](void*) {
    First::at_kick(selftest::count_kick);
    {
      const First::S::NoPreempt guard;
      selftest::run_cases("machine", selftest::machine_cases());
    }
    CommonTests<sched::Fifo>::run();
    selftest::run_conformance_tests();
    leave_stage(begin_slices);
  });
}

}  // namespace demo
