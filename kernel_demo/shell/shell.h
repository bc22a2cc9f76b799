// `run=shell`: a prompt on the serial console.

#ifndef BATON_KERNEL_DEMO_SHELL_SHELL_H_
#define BATON_KERNEL_DEMO_SHELL_SHELL_H_

#include "kernel_demo/arguments.h"

namespace demo {

/// Reads commands and obeys them, until `exit`.
[[noreturn]] void run_shell(const Arguments& arguments);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_SHELL_SHELL_H_
