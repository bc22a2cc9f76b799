// One scheduler after the other takes the stage.

#include "kernel_demo/tour/tour.h"

#include "kernel_demo/kernel.h"
#include "kernel_demo/tour/acts.h"
#include "kernel_demo/tour/report.h"

namespace demo {
namespace {

void begin_thresholds() {
  Kernel<sched::FixedPriorityThreshold>::boot([](void*) {
    tour::play_thresholds();
    tour::finish();
  });
}

void begin_priorities() {
  Kernel<sched::FixedPriority>::boot([](void*) {
    tour::play_fixed_priority();
    leave_stage(begin_thresholds);
  });
}

void begin_round_robin() {
  Kernel<sched::RoundRobin>::boot([](void*) {
    tour::play_round_robin();
    leave_stage(begin_priorities);
  });
}

}  // namespace

void run_tour() {
  Kernel<sched::Fifo>::boot([](void*) {
    tour::begin();
    tour::play_fifo();
    leave_stage(begin_round_robin);
  });
}

}  // namespace demo
