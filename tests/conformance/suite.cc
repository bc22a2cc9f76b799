// The test program around the policies that were put through the kit: a test for each policy and
// each check, many trials in each.
//
// BATON_SEED and BATON_TRIALS in the environment choose the first seed and how many there are, for
// a long run or to repeat one.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "tests/conformance/conformance.h"

namespace sched::conformance {
namespace {

constexpr uint64_t kTrials = 100;
constexpr size_t kShown = 40;  // calls before the fault

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

const char* to_string(Pace pace) {
  switch (pace) {
    case Pace::even: return "even";
    case Pace::still: return "still";
    case Pace::jumping: return "jumping";
  }
  return "";
}

std::string describe(const Call& call) {
  std::ostringstream line;
  line << (call.is_second ? "  | " : "  ") << call.now.ticks << " " << call.name;
  if (call.entity >= 0) line << " " << call.entity;
  if (call.why != nullptr) line << " " << call.why;
  if (call.until == never) {
    if (std::string_view(call.name) == "pick")
      line << (call.entity < 0 ? " nobody" : "") << ", never";
  } else {
    line << (call.entity < 0 ? " nobody" : "") << ", until " << call.until.ticks;
  }
  return line.str();
}

// The same again, with the last calls written down.
std::string last_calls(const Candidate& candidate, Plan plan) {
  std::deque<std::string> lines;
  plan.told = &lines;
  plan.tell = [](void* told, const Call& call) {
    auto& lines = *static_cast<std::deque<std::string>*>(told);
    lines.push_back(describe(call));
    if (lines.size() > kShown) lines.pop_front();
  };
  candidate.run(plan);
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

class Conformance : public testing::Test {
 public:
  Conformance(const Candidate& candidate, Check check) : candidate_(candidate), check_(check) {}

  void TestBody() override {
    const uint64_t first = from_environment("BATON_SEED", 1);
    const uint64_t trials = from_environment("BATON_TRIALS", kTrials);
    std::cout << "seeds " << first << " to " << first + trials - 1 << "\n";
    for (uint64_t seed = first; seed - first < trials; ++seed) {
      for (const Pace pace : kPaces) {
        const Plan plan = {.check = check_, .pace = pace, .seed = seed};
        if (const Fault fault = candidate_.run(plan)) {
          FAIL() << candidate_.name << " breaks a rule:\n  " << conformance::to_string(fault.rule)
                 << "\nseed " << seed << ", pace " << to_string(pace) << ", action " << fault.action
                 << "; again: BATON_SEED=" << seed
                 << " BATON_TRIALS=1\nThe last calls (of the run that it is compared with: behind "
                    "a |):\n"
                 << last_calls(candidate_, plan);
        }
      }
    }
  }

 private:
  const Candidate candidate_;
  const Check check_;
};

void register_tests() {
  for (const Candidate& candidate : candidates()) {
    for (const Check check : kChecks) {
      if (check == Check::wrap && !candidate.has_wrap) continue;
      testing::RegisterTest(
          candidate.name, to_string(check), nullptr, nullptr, __FILE__, __LINE__,
          [candidate, check]() -> testing::Test* { return new Conformance(candidate, check); });
    }
  }
}

}  // namespace
}  // namespace sched::conformance

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (sched::conformance::candidates().empty()) {
    std::cerr << "no policy was put through the kit: call sched::conformance::put_through\n";
    return 1;
  }
  sched::conformance::register_tests();
  return RUN_ALL_TESTS();
}
