// What the program `tester` can be asked for, by its argument.

#ifndef BATON_TESTS_KERNEL_DEMO_USER_ACTS_H_
#define BATON_TESTS_KERNEL_DEMO_USER_ACTS_H_

#include <cstdint>

namespace user_test {

enum class Act : uint64_t {
  // Those that end with 0 if all is well, or else with the number of the line that found something.
  first_entry,
  calls,
  bad_pointers,
  fuzz,
  family,
  words,
  orphan,
  long_calls,
  fresh_fpu,
  attributes,
  reserve,
  // Those that do not end.
  spin,
  sleep_long,
  wait_for_ever,
  // Those that end by a fault.
  read_null,
  read_kernel,
  write_kernel,
  run_kernel,
  write_text,
  write_rodata,
  run_data,
  run_stack,
  read_other,
  overflow,
  above_stack,
  illegal,
  privileged,
  divide,
  misaligned_jump,
  device,
  // For their parents: one ends with its own id, one with the time, one with what a wait of 3 ms
  // answers.
  tell_id,
  tell_time,
  wait_a_while,
};

/// The end of `divide` where the machine divides by zero without a trap.
inline constexpr int64_t kNoTrap = 77;

/// What it ends by says this, among other things.
struct Fault {
  Act act;
  const char* name;
  const char* reason;
};
inline constexpr Fault kFaults[] = {
    {Act::read_null, "read_null", "on a read"},
    {Act::read_kernel, "read_kernel", "on a read"},
    {Act::write_kernel, "write_kernel", "on a write"},
    {Act::run_kernel, "run_kernel", "on execution"},
    {Act::write_text, "write_text", "on a write"},
    {Act::write_rodata, "write_rodata", "on a write"},
    {Act::run_data, "run_data", "on execution"},
    {Act::run_stack, "run_stack", "on execution"},
    {Act::read_other, "read_other", "on a read"},
    {Act::overflow, "overflow", "on a write"},
    {Act::above_stack, "above_stack", "on a read"},
    {Act::illegal, "illegal", "illegal"},
    {Act::privileged, "privileged", ""},
    {Act::divide, "divide", "division"},
    {Act::misaligned_jump, "misaligned_jump", ""},
    {Act::device, "device", "on a write"},
};

}  // namespace user_test

#endif  // BATON_TESTS_KERNEL_DEMO_USER_ACTS_H_
