// The table of arguments that parser and help share.

#include "kernel_demo/arguments.h"

#include <array>
#include <cstddef>
#include <iterator>
#include <optional>

#include "kernel_demo/words.h"

namespace demo {
namespace {

constexpr unsigned kLongestSeconds = 60;
constexpr unsigned kShortestSlice = 100;
constexpr unsigned kLongestSlice = 1'000'000;

template <typename Value>
struct Choice {
  std::string_view name;
  Value value;
};

constexpr Choice<Run> kRuns[] = {
    {"tour", Run::tour},         {"threads", Run::threads}, {"processes", Run::processes},
    {"shared", Run::shared},     {"shell", Run::shell},     {"smp", Run::smp},
    {"selftest", Run::selftest},
};

constexpr Choice<PolicyName> kPolicies[] = {
    {"fifo", PolicyName::fifo},
    {"round_robin", PolicyName::round_robin},
    {"fixed_priority", PolicyName::fixed_priority},
    {"mlfq", PolicyName::mlfq},
    {"stride", PolicyName::stride},
    {"lottery", PolicyName::lottery},
    {"vtime", PolicyName::vtime},
    {"eevdf", PolicyName::eevdf},
    {"edf", PolicyName::edf},
    {"sporadic", PolicyName::sporadic},
    {"classes", PolicyName::classes},
    {"groups", PolicyName::groups},
    {"global", PolicyName::global},
};

template <typename Value>
bool choose(std::span<const Choice<Value>> choices, std::string_view name, Value& value) {
  for (const Choice<Value>& choice : choices) {
    if (choice.name == name) {
      value = choice.value;
      return true;
    }
  }
  return false;
}

bool set_number(std::string_view text, unsigned least, unsigned most, unsigned& value) {
  const std::optional<unsigned> number = read_number(text, most);
  if (!number || *number < least) return false;
  value = *number;
  return true;
}

struct Parameter {
  ArgumentHelp help;
  const char* problem;
  bool (*set)(std::string_view value, Arguments& arguments);
};

constexpr Parameter kParameters[] = {
    {{"run", "tour | threads | processes | shared | shell | smp | selftest",
      "what to do; tour if not given"},
     "asks for a run that there is not",
     [](std::string_view value, Arguments& a) {
       return choose(std::span<const Choice<Run>>(kRuns), value, a.run);
     }},
    {{"policy", "see below", "of threads and shell; round_robin"},
     "asks for a policy that there is not",
     [](std::string_view value, Arguments& a) {
       return choose(std::span<const Choice<PolicyName>>(kPolicies), value, a.policy);
     }},
    {{"cpus", "1 to 8", "how many CPUs start; 1"},
     "is not a number from 1 to 8",
     [](std::string_view value, Arguments& a) { return set_number(value, 1, kMostCpus, a.cpus); }},
    {{"tasks", "1 to 20", "how many threads; 8"},
     "is not a number from 1 to 20",
     [](std::string_view value, Arguments& a) {
       return set_number(value, 1, kMostTasks, a.tasks);
     }},
    {{"seconds", "1 to 60", "how long threads run together; 2"},
     "is not a number from 1 to 60",
     [](std::string_view value, Arguments& a) {
       return set_number(value, 1, kLongestSeconds, a.seconds);
     }},
    {{"slice", "100 to 1000000", "microseconds of a turn; as fits"},
     "is not a number from 100 to 1000000",
     [](std::string_view value, Arguments& a) {
       return set_number(value, kShortestSlice, kLongestSlice, a.slice);
     }},
};
constexpr size_t kCount = sizeof kParameters / sizeof kParameters[0];

constexpr auto kHelp = [] {
  std::array<ArgumentHelp, kCount> help{};
  for (size_t i = 0; i < kCount; ++i) help[i] = kParameters[i].help;
  return help;
}();

std::optional<ArgumentError> parse_word(std::string_view word, Arguments& arguments) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return ArgumentError{word, "is not of the form name=value"};
  for (const Parameter& parameter : kParameters) {
    if (parameter.help.name != word.substr(0, equals)) continue;
    if (parameter.set(word.substr(equals + 1), arguments)) return {};
    return ArgumentError{word, parameter.problem};
  }
  return ArgumentError{word, "is not an argument that there is"};
}

}  // namespace

std::expected<Arguments, ArgumentError> parse_arguments(std::string_view text) {
  Arguments arguments;
  for (;;) {
    const std::string_view word = take_word(text);
    if (word.empty()) break;
    if (const auto error = parse_word(word, arguments)) return std::unexpected(*error);
  }
  const bool is_for_one =
      arguments.run == Run::tour || arguments.run == Run::threads || arguments.run == Run::selftest;
  if (arguments.cpus > 1 && is_for_one) {
    return std::unexpected(
        ArgumentError{"cpus=", "is for run=smp, run=shell, run=processes and run=shared"});
  }
  return arguments;
}

std::span<const ArgumentHelp> argument_help() { return kHelp; }

std::span<const std::string_view> policy_names() {
  static constexpr auto kNames = [] {
    std::array<std::string_view, std::size(kPolicies)> names;
    for (size_t i = 0; i < names.size(); ++i) names[i] = kPolicies[i].name;
    return names;
  }();
  return kNames;
}

}  // namespace demo
