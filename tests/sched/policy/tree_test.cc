// The tree: what holds of every ordered tree, depth, and taking out the only one.

#include "sched/policy/tree.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sched/policy/ordered_tree.h"

namespace sched::test {
namespace {

struct Kind {
  using Key = uint32_t;
  template <typename... T>
  using Link = TreeLink<T...>;
  template <typename... T>
  using Tree = sched::Tree<T...>;
};
using Items = Trees<Kind>::Items;
using Item = Trees<Kind>::Item;
using PlainItems = Trees<Kind>::PlainItems;
using PlainItem = Trees<Kind>::PlainItem;

INSTANTIATE_TYPED_TEST_SUITE_P(Tree, OrderedTree, Kind);

TEST(Tree, TakesOutTheOnlyOneAndNoOther) {
  PlainItems tree;
  PlainItem a;
  PlainItem b;
  EXPECT_FALSE(tree.remove_only(a));
  for (int round = 0; round < 2; ++round) {
    b.key = static_cast<uint64_t>(round);
    a.key = 1 - b.key;
    ASSERT_EQ(tree.insert(a), Links::intact);
    ASSERT_EQ(tree.insert(b), Links::intact);
    EXPECT_FALSE(tree.remove_only(a));
    EXPECT_FALSE(tree.remove_only(b));
    EXPECT_EQ(in_order(tree).size(), 2u);
    ASSERT_EQ(tree.remove(a), Links::intact);
    EXPECT_FALSE(tree.remove_only(a));
    EXPECT_TRUE(tree.remove_only(b));
    EXPECT_TRUE(tree.empty());
    EXPECT_EQ(tree.first(), nullptr);
  }
}

// `first_where` asks once or twice a step.
TEST(Tree, IsNoDeeperThanItsLogarithm) {
  for (const size_t n : {10u, 1000u, 100'000u}) {
    for (const bool ascends : {true, false}) {
      Items tree;
      std::vector<Item> items(n);
      for (size_t i = 0; i < n; ++i) {
        items[i].key = static_cast<uint32_t>(ascends ? i : n - i);
        items[i].other = i == n - 1 ? 0 : 1;
        ASSERT_EQ(tree.insert(items[i]), Links::intact);
      }
      int asked = 0;
      EXPECT_EQ(tree.first_where([&](uint64_t other) {
        ++asked;
        return other == 0;
      }),
                &items[n - 1]);
      EXPECT_LE(asked, 2 * 1.45 * std::log2(static_cast<double>(n + 2)) + 2);
    }
  }
}

}  // namespace
}  // namespace sched::test
