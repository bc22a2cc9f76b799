// Counts over all suites; one test runs at a time.

#include "kernel_demo/selftest/report.h"

#include "kernel_demo/kit.h"

namespace demo::selftest {
namespace {

constinit unsigned passed = 0;
constinit unsigned failed = 0;

}  // namespace

void run_cases(const char* suite, std::span<const Case> cases) {
  for (const Case& each : cases) {
    Test test;
    each.run(test);
    if (test.why() == nullptr) {
      ++passed;
      kit::print("PASS {}: {}\n", suite, each.name);
      continue;
    }
    ++failed;
    kit::print("FAIL {}: {}: {}", suite, each.name, test.why());
    if (test.found() != test.wanted()) kit::print(" ({}, not {})", test.found(), test.wanted());
    kit::print("\n");
  }
}

void finish() {
  kit::print("{} passed, {} failed\n", passed, failed);
  kit::finish(failed == 0 && passed != 0);
}

void spin_for(Duration length) {
  const Instant end = Machine::now() + length;
  while (Machine::now() < end) {
  }
}

bool spin_until(const volatile uint64_t& flag, uint64_t value) {
  const Instant end = Machine::now() + milliseconds(1'000);
  while (flag < value) {
    if (Machine::now() >= end) return false;
  }
  return true;
}

}  // namespace demo::selftest
