// What `run=selftest` prints: a line a test, and at the end how many passed.

#ifndef BATON_KERNEL_DEMO_SELFTEST_REPORT_H_
#define BATON_KERNEL_DEMO_SELFTEST_REPORT_H_

#include <cstdint>
#include <span>

#include "kernel_demo/machine.h"

namespace demo::selftest {

/// One test under way: the first thing that does not hold is why it fails.
class Test {
 public:
  void expect(bool holds, const char* why) {
    if (!holds && why_ == nullptr) why_ = why;
  }
  /// The same, with the number that was found instead of `wanted`.
  void expect_equal(uint64_t found, uint64_t wanted, const char* why) {
    if (found == wanted || why_ != nullptr) return;
    why_ = why;
    found_ = found;
    wanted_ = wanted;
  }

  const char* why() const { return why_; }
  uint64_t found() const { return found_; }
  uint64_t wanted() const { return wanted_; }

 private:
  const char* why_ = nullptr;
  uint64_t found_ = 0;
  uint64_t wanted_ = 0;
};

/// A test and its name, which says what holds.
struct Case {
  const char* name;
  void (*run)(Test& test);
};

/// Runs `cases` and prints `PASS suite: name` or `FAIL suite: name: why` for each.
void run_cases(const char* suite, std::span<const Case> cases);

/// Prints `N passed, M failed` and ends the machine: as a success if M is zero.
[[noreturn]] void finish();

/// Keeps the CPU busy.
void spin_for(Duration length);

/// Keeps the CPU busy until `*flag` is at least `value`; false if that takes longer than a second.
bool spin_until(const volatile uint64_t& flag, uint64_t value);

}  // namespace demo::selftest

#endif  // BATON_KERNEL_DEMO_SELFTEST_REPORT_H_
