// What the machine alone promises, as far as only hardware can show it.

#ifndef BATON_KERNEL_DEMO_SELFTEST_MACHINE_TESTS_H_
#define BATON_KERNEL_DEMO_SELFTEST_MACHINE_TESTS_H_

#include <span>

#include "kernel_demo/selftest/report.h"

namespace demo::selftest {

/// Run as the only task of a scheduler, with a guard held: interrupts come, switches do not.
std::span<const Case> machine_cases();

/// For the kernel's `at_kick`.
void count_kick();

}  // namespace demo::selftest

#endif  // BATON_KERNEL_DEMO_SELFTEST_MACHINE_TESTS_H_
