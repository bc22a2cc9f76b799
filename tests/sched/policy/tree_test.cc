// The tree: order, arrival among equals, the least of each subtree, and broken links.

#include "sched/policy/tree.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

struct Tag {};

// Keys that wrap, as virtual times do, and another that does not.
struct Wrapping {
  uint32_t units;
};
struct Order {
  using Key = Wrapping;
  using Least = uint64_t;
  template <typename E>
  static Key key(const E& e) {
    return {e.key};
  }
  template <typename E>
  static Least least(const E& e) {
    return e.other;
  }
  static bool before(Key a, Key b) { return static_cast<int32_t>(a.units - b.units) < 0; }
  static bool before(Least a, Least b) { return a < b; }
};
struct PlainOrder {
  using Key = uint64_t;
  template <typename E>
  static Key key(const E& e) {
    return e.key;
  }
  static bool before(Key a, Key b) { return a < b; }
};

struct Item : TreeLink<Tag, uint64_t> {
  uint32_t key = 0;
  uint64_t other = 0;
  bool in = false;
};
struct PlainItem : TreeLink<Tag> {
  uint64_t key = 0;
};
using Items = Tree<Item, Tag, Order>;
using PlainItems = Tree<PlainItem, Tag, PlainOrder>;

static_assert(AugmentedTreeOrder<Order, Item>);
static_assert(TreeOrder<PlainOrder, PlainItem> && !AugmentedTreeOrder<PlainOrder, PlainItem>);

template <typename Tree>
auto in_order(const Tree& tree) {
  std::vector<decltype(tree.first())> order;
  for (auto* e = tree.first(); e != nullptr; e = tree.next(*e)) order.push_back(e);
  return order;
}

TEST(Tree, BeginsEmpty) {
  const Items tree;
  EXPECT_TRUE(tree.empty());
  EXPECT_EQ(tree.first(), nullptr);
  EXPECT_EQ(tree.first_where([](uint64_t) { return true; }), nullptr);
}

TEST(Tree, KeepsTheOrderOfArrivalAmongEquals) {
  PlainItems tree;
  std::vector<PlainItem> items(100);
  std::vector<PlainItem*> expected;
  for (size_t i = 0; i < items.size(); ++i) {
    items[i].key = i % 2;
    ASSERT_EQ(tree.insert(items[i]), Links::intact);
  }
  for (size_t i = 0; i < items.size(); i += 2) expected.push_back(&items[i]);
  for (size_t i = 1; i < items.size(); i += 2) expected.push_back(&items[i]);
  EXPECT_EQ(in_order(tree), expected);
}

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

// The definition: a sorted map that keeps equals in order of arrival, searched from its beginning.
void check_against_map(uint64_t seed, size_t size, uint32_t spread, int actions) {
  SCOPED_TRACE("seed " + std::to_string(seed) + ", size " + std::to_string(size));
  auto gen = generator(seed);
  std::vector<Item> items(size);
  Items tree;
  // Keys from a window that moves round the whole range; its base makes them comparable.
  const uint32_t base = absl::Uniform<uint32_t>(gen);
  absl::btree_multimap<uint32_t, Item*> model;
  for (int action = 0; action < actions; ++action) {
    const uint32_t window = static_cast<uint32_t>(action) * 1000;
    Item& item = absl::Bernoulli(gen, 0.3) && tree.first() != nullptr
                     ? *tree.first()
                     : items[absl::Uniform<size_t>(gen, 0, size)];
    if (item.in) {
      const auto [begin, end] = model.equal_range(item.key - base);
      model.erase(std::find_if(begin, end, [&](auto& entry) { return entry.second == &item; }));
      ASSERT_EQ(tree.remove(item), Links::intact);
    } else {
      // One window's keys are all removed before the keys of another could be too far away.
      item.key = base + window % 1'000'000'000 / 4 + absl::Uniform<uint32_t>(gen, 0, spread);
      item.other = absl::Uniform<uint64_t>(gen, 0, 1000);
      model.emplace(item.key - base, &item);
      ASSERT_EQ(tree.insert(item), Links::intact);
    }
    item.in = !item.in;

    ASSERT_EQ(tree.empty(), model.empty());
    ASSERT_EQ(tree.first(), model.empty() ? nullptr : model.begin()->second);
    uint64_t least = UINT64_MAX;
    for (const auto& [key, e] : model) least = std::min(least, e->other);
    if (!model.empty()) {
      ASSERT_EQ(tree.least(), least);
    }
    const uint64_t limit = absl::Uniform<uint64_t>(gen, 0, 1000) / (action % 20 + 1);
    const auto found = std::find_if(model.begin(), model.end(),
                                    [&](auto& entry) { return entry.second->other <= limit; });
    ASSERT_EQ(tree.first_where([&](uint64_t other) { return other <= limit; }),
              found == model.end() ? nullptr : found->second);
    if (item.in) {
      uint64_t before = limit;
      for (Item* e = tree.first(); e != &item; e = tree.next(*e))
        before = std::min(before, e->other);
      ASSERT_EQ(tree.least_before(item, limit), before);
    }
    if (action % 16 == 0) {
      std::vector<Item*> expected;
      for (const auto& [key, e] : model) expected.push_back(e);
      ASSERT_EQ(in_order(tree), expected);
    }
  }
}

TEST(Tree, IsAMapWithTheLeastOfEachSubtree) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    check_against_map(seed, 2 + seed * seed % 300, seed % 2 == 0 ? 8 : 1'000'000'000, 2000);
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

// A stray write into a hook's first word, the link upwards: found by whoever leaves or comes by,
// and nothing is changed then.
TEST(Tree, FindsBrokenLinks) {
  for (size_t broken = 0; broken < 20; ++broken) {
    Items tree;
    std::vector<Item> items(20);
    for (size_t i = 0; i < items.size(); ++i) {
      items[i].key = static_cast<uint32_t>(i * 7 % 20);
      items[i].other = i;
      ASSERT_EQ(tree.insert(items[i]), Links::intact);
    }
    const std::vector<Item*> before = in_order(tree);
    Item stranger;
    TreeLink<Tag, uint64_t>& link = items[broken];
    void* const stray = static_cast<TreeLink<Tag, uint64_t>*>(&stranger);
    void* intact;
    std::memcpy(&intact, static_cast<void*>(&link), sizeof(intact));
    std::memcpy(static_cast<void*>(&link), &stray, sizeof(stray));
    EXPECT_EQ(tree.remove(items[broken]), Links::corrupt);
    Item newcomer;
    newcomer.key = items[broken].key;
    newcomer.other = 99;
    EXPECT_EQ(tree.insert(newcomer), Links::corrupt);
    std::memcpy(static_cast<void*>(&link), &intact, sizeof(intact));
    EXPECT_EQ(in_order(tree), before);
    for (Item& item : items) ASSERT_EQ(tree.remove(item), Links::intact);
    EXPECT_TRUE(tree.empty());
  }
}

}  // namespace
}  // namespace sched::test
