// One scheduler after the other takes the stage.

#include "kernel_demo/tour/tour.h"

#include "kernel_demo/kernel.h"
#include "kernel_demo/tour/acts.h"
#include "kernel_demo/tour/report.h"

namespace demo {
namespace {

void begin_swap() {
  Kernel<Exchangeable>::boot([](void*) {
    tour::play_swap();
    tour::finish();
  });
}

void begin_deadlines() {
  Kernel<DeadlinesAndShares>::boot([](void*) {
    tour::play_deadlines();
    leave_stage(begin_swap);
  });
}

void begin_eevdf() {
  Kernel<sched::Eevdf>::boot([](void*) {
    tour::play_eevdf();
    leave_stage(begin_deadlines);
  });
}

void begin_thresholds() {
  Kernel<sched::FixedPriorityThreshold>::boot([](void*) {
    tour::play_thresholds();
    leave_stage(begin_eevdf);
  });
}

void begin_priorities() {
  Kernel<sched::FixedPriority>::boot([](void*) {
    tour::play_fixed_priority();
    tour::play_waiting();
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
