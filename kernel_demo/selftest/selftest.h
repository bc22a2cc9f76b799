// `run=selftest`: what only hardware shows, tested where it is.

#ifndef BATON_KERNEL_DEMO_SELFTEST_SELFTEST_H_
#define BATON_KERNEL_DEMO_SELFTEST_SELFTEST_H_

namespace demo {

/// Runs every test under every policy, a line each, and ends the machine: as a failure if one
/// failed.
[[noreturn]] void run_selftest();

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_SELFTEST_SELFTEST_H_
