// The demo kernel's arguments: what is accepted, what is refused, and with which words.

#include "kernel_demo/arguments.h"

#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernel_demo/words.h"

namespace demo {
namespace {

TEST(ArgumentsTest, NothingIsTheTour) {
  const auto arguments = parse_arguments("");
  ASSERT_TRUE(arguments);
  EXPECT_EQ(*arguments, Arguments{});
  EXPECT_EQ(arguments->run, Run::tour);
  EXPECT_EQ(arguments->policy, PolicyName::round_robin);
}

TEST(ArgumentsTest, EveryArgumentIsRead) {
  const auto arguments =
      parse_arguments("run=threads policy=fixed_priority tasks=3 seconds=7 slice=1500");
  ASSERT_TRUE(arguments);
  EXPECT_EQ(*arguments, (Arguments{.run = Run::threads,
                                   .policy = PolicyName::fixed_priority,
                                   .tasks = 3,
                                   .seconds = 7,
                                   .slice = 1500}));
}

TEST(ArgumentsTest, EveryNameIsKnown) {
  EXPECT_EQ(parse_arguments("run=tour")->run, Run::tour);
  EXPECT_EQ(parse_arguments("run=threads")->run, Run::threads);
  EXPECT_EQ(parse_arguments("run=processes")->run, Run::processes);
  EXPECT_EQ(parse_arguments("run=shell")->run, Run::shell);
  EXPECT_EQ(parse_arguments("run=smp")->run, Run::smp);
  EXPECT_EQ(parse_arguments("run=selftest")->run, Run::selftest);
}

TEST(ArgumentsTest, EveryPolicyIsKnownInTheOrderOfTheNames) {
  size_t index = 0;
  for (const std::string_view name : policy_names()) {
    const auto arguments = parse_arguments("policy=" + std::string(name));
    ASSERT_TRUE(arguments) << name;
    EXPECT_EQ(static_cast<size_t>(arguments->policy), index++) << name;
  }
  EXPECT_EQ(policy_names()[static_cast<size_t>(PolicyName::fixed_priority)], "fixed_priority");
  EXPECT_EQ(policy_names()[static_cast<size_t>(PolicyName::edf)], "edf");
  EXPECT_EQ(policy_names().back(), "global");
}

TEST(ArgumentsTest, BlanksDoNotMatterAndTheLastOneCounts) {
  const auto arguments = parse_arguments("  tasks=3\ttasks=4 \r\n");
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->tasks, 4u);
}

TEST(ArgumentsTest, BoundsAreIncluded) {
  EXPECT_EQ(parse_arguments("tasks=1")->tasks, 1u);
  EXPECT_EQ(parse_arguments("tasks=20")->tasks, kMostTasks);
  EXPECT_EQ(parse_arguments("run=smp cpus=8")->cpus, kMostCpus);
  EXPECT_EQ(parse_arguments("cpus=1")->cpus, 1u);
  for (const char* const run : {"run=shell cpus=4", "run=processes cpus=4", "run=shared cpus=4"}) {
    EXPECT_EQ(parse_arguments(run)->cpus, 4u) << run;
  }
  EXPECT_EQ(parse_arguments("seconds=60")->seconds, 60u);
  EXPECT_EQ(parse_arguments("slice=100")->slice, 100u);
  EXPECT_EQ(parse_arguments("slice=1000000")->slice, 1'000'000u);
}

struct Refusal {
  std::string text;
  std::string word;
  std::string problem;
};

class RefusalTest : public testing::TestWithParam<Refusal> {};

TEST_P(RefusalTest, SaysWhichWordAndWhy) {
  const auto arguments = parse_arguments(GetParam().text);
  ASSERT_FALSE(arguments);
  EXPECT_EQ(arguments.error().word, GetParam().word);
  EXPECT_THAT(arguments.error().problem, testing::HasSubstr(GetParam().problem));
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusalTest,
    testing::Values(Refusal{"run=walk", "run=walk", "run that there is not"},
                    Refusal{"run=", "run=", "run that there is not"},
                    Refusal{"policy=chance", "policy=chance", "policy that there is not"},
                    Refusal{"tasks=0", "tasks=0", "not a number from 1 to 20"},
                    Refusal{"tasks=21", "tasks=21", "not a number from 1 to 20"},
                    Refusal{"tasks=", "tasks=", "not a number"},
                    Refusal{"tasks=-1", "tasks=-1", "not a number"},
                    Refusal{"tasks=1x", "tasks=1x", "not a number"},
                    Refusal{"cpus=0", "cpus=0", "not a number from 1 to 8"},
                    Refusal{"cpus=9", "cpus=9", "not a number from 1 to 8"},
                    Refusal{"cpus=2",
                            "cpus=", "is for run=smp, run=shell, run=processes and run=shared"},
                    Refusal{"run=threads cpus=4",
                            "cpus=", "is for run=smp, run=shell, run=processes and run=shared"},
                    Refusal{"seconds=61", "seconds=61", "not a number from 1 to 60"},
                    Refusal{"seconds=4294967297", "seconds=4294967297", "not a number"},
                    Refusal{"slice=99", "slice=99", "not a number from 100"},
                    Refusal{"run=tour speed=9", "speed=9", "not an argument"},
                    Refusal{"=tour", "=tour", "not an argument"},
                    Refusal{"tour", "tour", "not of the form name=value"},
                    Refusal{"run =tour", "run", "not of the form name=value"}));

// Each name of the help is accepted as one: with no value it is the value that is wrong.
TEST(ArgumentsTest, HelpNamesWhatIsRead) {
  EXPECT_EQ(argument_help().size(), 6u);
  for (const ArgumentHelp& help : argument_help()) {
    const auto arguments = parse_arguments(std::string(help.name) + "=");
    ASSERT_FALSE(arguments);
    EXPECT_THAT(arguments.error().problem, testing::Not(testing::HasSubstr("not an argument")));
  }
}

TEST(WordsTest, WordsAreTakenOneByOne) {
  std::string_view text = "  nice  worker 7 ";
  EXPECT_EQ(take_word(text), "nice");
  EXPECT_EQ(take_word(text), "worker");
  EXPECT_EQ(take_word(text), "7");
  EXPECT_EQ(take_word(text), "");
  EXPECT_EQ(take_word(text), "");
}

TEST(WordsTest, NumbersAreWholeWordsWithinBounds) {
  EXPECT_EQ(read_number("0", 10), 0u);
  EXPECT_EQ(read_number("007", 10), 7u);
  EXPECT_EQ(read_number("10", 10), 10u);
  EXPECT_EQ(read_number("11", 10), std::nullopt);
  EXPECT_EQ(read_number("4294967295", 4294967295), 4294967295);
  EXPECT_EQ(read_number("4294967296", 4294967295), std::nullopt);
  EXPECT_EQ(read_number("99999999999999999999", 4294967295), std::nullopt);
  EXPECT_EQ(read_number("9", 5), std::nullopt);
  EXPECT_EQ(read_number("", 10), std::nullopt);
  EXPECT_EQ(read_number("+1", 10), std::nullopt);
  EXPECT_EQ(read_number("1 ", 10), std::nullopt);
}

}  // namespace
}  // namespace demo
