// `run=shared`: tasks of two programs and of the kernel, as one pool.

#ifndef BATON_KERNEL_DEMO_SHARED_H_
#define BATON_KERNEL_DEMO_SHARED_H_

#include "kernel_demo/arguments.h"

namespace demo {

/// Runs them, prints who runs when, and ends the machine: as a failure if it is not as it should.
[[noreturn]] void run_shared(const Arguments& arguments);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_SHARED_H_
