// The trie: what holds of every ordered tree, times that wrap, and depth.

#include "sched/policy/bit_trie.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sched/policy/ordered_tree.h"

namespace sched::test {
namespace {

struct Kind {
  using Key = uint64_t;
  template <typename... T>
  using Link = BitTrieLink<T...>;
  template <typename... T>
  using Tree = BitTrie<T...>;
};
using Items = Trees<Kind>::Items;
using Item = Trees<Kind>::Item;

INSTANTIATE_TYPED_TEST_SUITE_P(BitTrie, OrderedTree, Kind);

// Where every bit of the key has a node of its own, and then, among equals, many of the number's.
TEST(BitTrie, IsNoDeeperThanItsKeysAreLong) {
  Items tree;
  std::vector<Item> items(63 + 14);
  for (size_t i = 0; i < 63; ++i) {
    items[i].key = uint64_t{1} << (62 - i);
    items[i].other = 1;
    ASSERT_EQ(tree.insert(items[i]), Links::intact);
  }
  // Equal ones, the insertions of which have the numbers 64, 65, 67, 71, 79 and so on.
  Item counted;
  for (size_t i = 0; i < 14; ++i) {
    Item& item = items[63 + i];
    item.other = i == 0 ? 0 : 1;
    ASSERT_EQ(tree.insert(item), Links::intact);
    for (size_t skip = 1; skip < size_t{1} << i; ++skip) {
      ASSERT_EQ(tree.insert(counted), Links::intact);
      ASSERT_EQ(tree.remove(counted), Links::intact);
    }
  }
  int asked = 0;
  EXPECT_EQ(tree.first_where([&](uint64_t other) {
    ++asked;
    return other == 0;
  }),
            &items[63]);
  EXPECT_GE(asked, 63 + 8);
  EXPECT_LE(asked, 128);
}

TEST(BitTrie, OrdersTimesThatWrapByTheirOrder) {
  Items tree;
  std::array<Item, 6> items;
  const std::array<uint64_t, 6> keys = {UINT64_MAX - 5, UINT64_MAX, 0, 1, 700, uint64_t{1} << 62};
  for (const size_t i : {3u, 0u, 5u, 2u, 4u, 1u}) {
    items[i].key = keys[i];
    items[i].other = i;
    ASSERT_EQ(tree.insert(items[i]), Links::intact);
  }
  std::vector<Item*> expected;
  for (Item& item : items) expected.push_back(&item);
  EXPECT_EQ(in_order(tree), expected);
  EXPECT_EQ(tree.least_before(items[4], uint64_t{9}), 0u);
  EXPECT_EQ(tree.least_before(items[0], uint64_t{9}), 9u);
  EXPECT_EQ(tree.first_where([](uint64_t) { return true; }), &items[0]);
  for (size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(tree.first(), &items[i]);
    ASSERT_EQ(tree.remove(items[i]), Links::intact);
  }
  EXPECT_TRUE(tree.empty());
}

}  // namespace
}  // namespace sched::test
