// The kit finds each mistake of broken.h, and calls it by its name; and finds none where there is
// none.

#include "tests/conformance/broken.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "sched/policy/edf.h"
#include "sched/policy/testing/conformance.h"
#include "sched/policy/testing/edf_subjects.h"

namespace sched::conformance {
namespace {

constexpr uint64_t kSeeds = 40;

template <Flaw kFlaw>
Fault trial(Check check, Pace pace, uint64_t seed) {
  static Trial<TurnsSubject<kFlaw>> trial;
  return trial.run({.check = check, .pace = pace, .seed = seed});
}

// By the check and the pace that are there for it, before long.
template <Flaw kFlaw>
void expect_caught(Rule rule, Check check, Pace pace = Pace::even) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    if (const Fault fault = trial<kFlaw>(check, pace, seed)) {
      EXPECT_STREQ(to_string(fault.rule), to_string(rule)) << "seed " << seed;
      return;
    }
  }
  ADD_FAILURE() << "not caught in " << kSeeds << " trials";
}

TEST(Broken, NothingIsFoundWhereNothingIsWrong) {
  for (const Check check : kChecks) {
    for (const Pace pace : kPaces) {
      for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
        EXPECT_STREQ(to_string(trial<Flaw::none>(check, pace, seed).rule), to_string(Rule::none))
            << to_string(check) << ", seed " << seed;
      }
    }
  }
}

TEST(Broken, LinksThatAreIntactAreNotReported) {
  expect_caught<Flaw::reports_corrupt_links>(Rule::links, Check::rules);
}
TEST(Broken, WhoHasBlockedIsNotPicked) {
  expect_caught<Flaw::runs_the_blocked>(Rule::stranger, Check::rules);
}
TEST(Broken, NobodyWaitsWhileTheCpuIdles) {
  expect_caught<Flaw::leaves_one_waiting>(Rule::idle, Check::rules);
}
TEST(Broken, NobodyIsHeldBackForEver) {
  expect_caught<Flaw::waits_for_ever>(Rule::forgotten, Check::rules);
}
TEST(Broken, NobodyIsHeldBackAgainAndAgain) {
  expect_caught<Flaw::waits_in_vain>(Rule::lost, Check::rules);
}
TEST(Broken, ExtremeAttributesFit) { expect_caught<Flaw::overflows>(Rule::until, Check::rules); }
TEST(Broken, AClockMayJump) {
  expect_caught<Flaw::keeps_to_a_grid>(Rule::until, Check::rules, Pace::jumping);
}
TEST(Broken, NothingChangesBeforeUntil) {
  expect_caught<Flaw::demotes_the_preempted>(Rule::honest, Check::rules);
}
TEST(Broken, PickOfNobodyIsIdempotent) {
  expect_caught<Flaw::tires_when_asked>(Rule::idempotent, Check::rules);
}
TEST(Broken, HasPeerTellsTheTruth) {
  expect_caught<Flaw::always_has_a_peer>(Rule::peers, Check::rules);
}
TEST(Broken, AttributesStay) {
  expect_caught<Flaw::ages_attributes>(Rule::attributes, Check::rules);
}
TEST(Broken, OnlyThoseAllowedAreGivenAway) {
  expect_caught<Flaw::gives_away_the_held>(Rule::surplus, Check::rules);
}
TEST(Broken, WhatIsGivenOutComesBack) {
  expect_caught<Flaw::keeps_shares>(Rule::returned, Check::rules);
}
TEST(Broken, OrderIsNotByAddress) {
  expect_caught<Flaw::ties_by_address>(Rule::addresses, Check::addresses, Pace::still);
}
TEST(Broken, ARefusalChangesNothing) {
  expect_caught<Flaw::counts_the_refused>(Rule::refused, Check::refusals);
}
TEST(Broken, AQuestionChangesNothing) {
  expect_caught<Flaw::turns_when_questioned>(Rule::questions, Check::questions);
}
TEST(Broken, ALaterLifeBeginsAnew) {
  expect_caught<Flaw::remembers_the_finished>(Rule::reuse, Check::reuse);
}
TEST(Broken, NumbersMayWrap) { expect_caught<Flaw::compares_plainly>(Rule::wrap, Check::wrap); }
TEST(Broken, ClocksMayBeOld) { expect_caught<Flaw::keeps_32_bits>(Rule::clock, Check::clock); }
TEST(Broken, AttributesMayChangeWhileItRuns) {
  expect_caught<Flaw::skips_the_retuned>(Rule::idle, Check::rules);
}
TEST(Broken, ATaskMayMove) { expect_caught<Flaw::skips_the_moved>(Rule::idle, Check::rules); }
TEST(Broken, TheClockMayStandStill) {
  expect_caught<Flaw::skips_a_quick_wake>(Rule::idle, Check::rules, Pace::still);
}
TEST(Broken, WhoYieldsToSomebodyStaysRunnable) {
  expect_caught<Flaw::loses_the_yielder>(Rule::idle, Check::rules);
}
TEST(Broken, WhatWasInheritedGoesBack) {
  expect_caught<Flaw::keeps_the_inherited>(Rule::claims, Check::rules);
}
TEST(Broken, OtherAttributesLeaveWhatIsInherited) {
  expect_caught<Flaw::loses_the_inherited>(Rule::claims, Check::rules);
}
TEST(Broken, AttributesAreOnesOwn) {
  expect_caught<Flaw::inherits_attributes>(Rule::attributes, Check::rules);
}
TEST(Broken, ALaterLifeInheritsNothing) {
  expect_caught<Flaw::bequeaths>(Rule::claims, Check::rules);
}
TEST(Broken, ClaimsJoinInAnyOrder) {
  expect_caught<Flaw::joins_in_order>(Rule::algebra, Check::rules);
}

// What holds back cannot promise that nobody runnable precedes the one it picks.
struct Eager : EdfSubject<EdfOptions{}> {
  static constexpr bool kPicksFirst = true;
};
TEST(Broken, WhoPrecedesIsPickedFirst) {
  static Trial<Eager> trial;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    if (const Fault fault = trial.run({.seed = seed})) {
      EXPECT_STREQ(to_string(fault.rule), to_string(Rule::urgent)) << "seed " << seed;
      return;
    }
  }
  ADD_FAILURE() << "not caught in " << kSeeds << " trials";
}
TEST(Broken, APartIsGivenTheCpuBack) { expect_caught<Flaw::stays_away>(Rule::idle, Check::rules); }

}  // namespace
}  // namespace sched::conformance
