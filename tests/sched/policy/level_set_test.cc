// The set of levels, against an ordered set.

#include "sched/policy/level_set.h"

#include <cstdint>
#include <string>

#include "absl/container/btree_set.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

TEST(LevelSet, HoldsEachNumberAlone) {
  for (int number = 0; number < 256; ++number) {
    LevelSet set;
    EXPECT_TRUE(set.empty());
    set.insert(static_cast<uint8_t>(number));
    ASSERT_FALSE(set.empty());
    ASSERT_EQ(set.highest(), number);
    set.erase(static_cast<uint8_t>(number));
    ASSERT_TRUE(set.empty());
  }
}

TEST(LevelSet, FindsTheHigherOfEachTwo) {
  for (int low = 0; low < 256; ++low) {
    for (int high = low; high < 256; ++high) {
      LevelSet set;
      set.insert(static_cast<uint8_t>(low));
      set.insert(static_cast<uint8_t>(high));
      ASSERT_EQ(set.highest(), high) << low;
      if (low == high) continue;
      set.erase(static_cast<uint8_t>(high));
      ASSERT_EQ(set.highest(), low) << high;
      ASSERT_EQ(set.highest(static_cast<uint8_t>(high)), low) << high;
    }
  }
}

TEST(LevelSet, InsertsANumberOnce) {
  LevelSet set;
  set.insert(77);
  set.insert(77);
  set.erase(77);
  EXPECT_TRUE(set.empty());
}

TEST(LevelSet, MatchesAnOrderedSet) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 gen = generator(seed);
    // Few numbers, so that groups fill and empty; other ones in each run.
    const int base = absl::Uniform(gen, 0, 256);
    const int spread = absl::Uniform(absl::IntervalClosed, gen, 1, 256);
    LevelSet set;
    absl::btree_set<uint8_t> model;
    for (int step = 0; step < 1000; ++step) {
      const uint8_t number = static_cast<uint8_t>(base + absl::Uniform(gen, 0, spread));
      if (model.contains(number)) {
        set.erase(number);
        model.erase(number);
      } else {
        set.insert(number);
        model.insert(number);
      }
      ASSERT_EQ(set.empty(), model.empty());
      if (!model.empty()) {
        ASSERT_EQ(set.highest(), *model.rbegin()) << "step " << step;
      }
    }
  }
}

static_assert([] {
  LevelSet set;
  set.insert(200);
  set.insert(3);
  return set.highest() == 200;
}());

}  // namespace
}  // namespace sched::test
