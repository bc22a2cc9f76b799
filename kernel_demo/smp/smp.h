// `run=smp cpus=4`: what several CPUs do together.

#ifndef BATON_KERNEL_DEMO_SMP_SMP_H_
#define BATON_KERNEL_DEMO_SMP_SMP_H_

#include "kernel_demo/arguments.h"

namespace demo {

/// Starts the CPUs, plays acts on them like the tour's, and ends the machine: as a failure if
/// anything was lost.
[[noreturn]] void run_smp(const Arguments& arguments);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_SMP_SMP_H_
