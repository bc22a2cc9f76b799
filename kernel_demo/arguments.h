// What the demo kernel can be asked for: `run=threads policy=round_robin tasks=8 seconds=2`.
//
// Words of the form `name=value`, in any order, separated by spaces; of a name given twice the last
// counts, so that a command line can override a default. No state, no allocation; runs in a host
// test.

#ifndef BATON_KERNEL_DEMO_ARGUMENTS_H_
#define BATON_KERNEL_DEMO_ARGUMENTS_H_

#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

namespace demo {

enum class Run : uint8_t { tour, threads, processes, shared, shell, smp, selftest };

enum class PolicyName : uint8_t {
  fifo,
  round_robin,
  fixed_priority,
  mlfq,
  stride,
  lottery,
  vtime,
  eevdf,
  edf,
  sporadic,
  classes,
  groups,
  global,
};

/// What runs where nothing is asked for.
struct Arguments {
  Run run = Run::tour;
  PolicyName policy = PolicyName::round_robin;
  unsigned cpus = 1;
  unsigned tasks = 8;
  unsigned seconds = 2;
  /// Of a task's turn, in microseconds. 0: as long as fits what runs.
  unsigned slice = 0;

  friend bool operator==(const Arguments&, const Arguments&) = default;
};

/// More would not fit into the demo's static memory.
inline constexpr unsigned kMostTasks = 20;

/// For more the kit has no stacks.
inline constexpr unsigned kMostCpus = 8;

/// A word that is not understood, and why, as a sentence's end: "is not ...".
struct ArgumentError {
  std::string_view word;
  const char* problem;
};

/// Reads `text`; the words of an error point into it.
std::expected<Arguments, ArgumentError> parse_arguments(std::string_view text);

/// A name, the values it takes, and what it is for: one line each of the help.
struct ArgumentHelp {
  const char* name;
  const char* values;
  const char* meaning;
};
std::span<const ArgumentHelp> argument_help();

/// What `policy=` takes, in the order of `PolicyName`.
std::span<const std::string_view> policy_names();

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_ARGUMENTS_H_
