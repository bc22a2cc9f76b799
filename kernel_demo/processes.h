// `run=processes`: two user programs at the same addresses, each of which has every register to
// itself.

#ifndef BATON_KERNEL_DEMO_PROCESSES_H_
#define BATON_KERNEL_DEMO_PROCESSES_H_

#include "kernel_demo/arguments.h"

namespace demo {

/// Runs them, prints what became of them, and ends the machine: as a failure if anything of one was
/// seen in the other.
[[noreturn]] void run_processes(const Arguments& arguments);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_PROCESSES_H_
