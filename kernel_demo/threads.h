// `run=threads`: tasks that compute and never yield, under the policy that was asked for.

#ifndef BATON_KERNEL_DEMO_THREADS_H_
#define BATON_KERNEL_DEMO_THREADS_H_

#include "kernel_demo/arguments.h"

namespace demo {

/// Runs them, prints what each got, checks what the policy promises, and ends the machine: as a
/// failure if a promise was broken.
[[noreturn]] void run_threads(const Arguments& arguments);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_THREADS_H_
