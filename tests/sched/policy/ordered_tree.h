// What holds of every tree that keeps entities in order: arrival among equals, the least of each
// subtree, and broken links. A suite of tests over a `Kind` of tree:
//
//     struct Kind {
//       using Key = uint32_t;                                  // what its keys wrap round in
//       template <typename... L> using Link = TreeLink<L...>;  // the hook
//       template <typename... T> using Tree = sched::Tree<T...>;
//     };
//     INSTANTIATE_TYPED_TEST_SUITE_P(Mine, OrderedTree, Kind);

#ifndef BATON_TESTS_SCHED_POLICY_ORDERED_TREE_H_
#define BATON_TESTS_SCHED_POLICY_ORDERED_TREE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/policy.h"
#include "sched/policy/tree.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {

/// The trees of a kind, and what they hold.
template <typename Kind>
struct Trees {
  struct Tag {};

  // Keys that wrap, as virtual times do, and another that does not.
  struct Wrapping {
    Kind::Key units;
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
    static bool before(Key a, Key b) {
      const auto distance = static_cast<Kind::Key>(a.units - b.units);
      return static_cast<std::make_signed_t<typename Kind::Key>>(distance) < 0;
    }
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

  using Link = typename Kind::template Link<Tag, uint64_t>;
  struct Item : Link {
    Kind::Key key = 0;
    uint64_t other = 0;
    bool in = false;
  };
  struct PlainItem : Kind::template Link<Tag> {
    uint64_t key = 0;
  };
  using Items = typename Kind::template Tree<Item, Tag, Order>;
  using PlainItems = typename Kind::template Tree<PlainItem, Tag, PlainOrder>;

  static_assert(AugmentedTreeOrder<Order, Item>);
  static_assert(TreeOrder<PlainOrder, PlainItem> && !AugmentedTreeOrder<PlainOrder, PlainItem>);
};

template <typename Tree>
auto in_order(const Tree& tree) {
  std::vector<decltype(tree.first())> order;
  for (auto* e = tree.first(); e != nullptr; e = tree.next(*e)) order.push_back(e);
  return order;
}

// The definition: a sorted map that keeps equals in order of arrival, searched from its beginning.
template <typename Kind>
void check_against_map(uint64_t seed, size_t size, uint32_t spread, int actions) {
  SCOPED_TRACE("seed " + std::to_string(seed) + ", size " + std::to_string(size));
  auto gen = generator(seed);
  using Key = typename Kind::Key;
  using Item = typename Trees<Kind>::Item;
  std::vector<Item> items(size);
  typename Trees<Kind>::Items tree;
  // Keys from a window that moves round the whole range; its base makes them comparable.
  constexpr Key kMax = std::numeric_limits<Key>::max();
  const Key base = (seed % 3 == 0 ? 0 : seed % 3 == 1 ? kMax : kMax / 2) - 100'000'000;
  absl::btree_multimap<Key, Item*> model;
  for (int action = 0; action < actions; ++action) {
    const uint32_t window = static_cast<uint32_t>(action) * 1000;
    Item& item = absl::Bernoulli(gen, 0.3) && tree.first() != nullptr
                     ? *tree.first()
                     : items[absl::Uniform<size_t>(gen, 0, size)];
    if (item.in) {
      const auto [begin, end] = model.equal_range(static_cast<Key>(item.key - base));
      model.erase(std::find_if(begin, end, [&](auto& entry) { return entry.second == &item; }));
      ASSERT_EQ(tree.remove(item), Links::intact);
    } else {
      // One window's keys are all removed before the keys of another could be too far away.
      item.key = static_cast<Key>(base + window % 1'000'000'000 / 4 +
                                  absl::Uniform<uint32_t>(gen, 0, spread));
      item.other = absl::Uniform<uint64_t>(gen, 0, 1000);
      model.emplace(static_cast<Key>(item.key - base), &item);
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

template <typename Kind>
class OrderedTree : public testing::Test, public Trees<Kind> {};
TYPED_TEST_SUITE_P(OrderedTree);

TYPED_TEST_P(OrderedTree, BeginsEmpty) {
  const typename TestFixture::Items tree;
  EXPECT_TRUE(tree.empty());
  EXPECT_EQ(tree.first(), nullptr);
  EXPECT_EQ(tree.first_where([](uint64_t) { return true; }), nullptr);
}

TYPED_TEST_P(OrderedTree, KeepsTheOrderOfArrivalAmongEquals) {
  using PlainItem = typename TestFixture::PlainItem;
  typename TestFixture::PlainItems tree;
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

TYPED_TEST_P(OrderedTree, IsAMapWithTheLeastOfEachSubtree) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    check_against_map<TypeParam>(seed, 2 + seed * seed % 300, seed % 2 == 0 ? 8 : 1'000'000'000,
                                 2000);
  }
}

// A stray write into a hook's first word, the link upwards: found by whoever leaves or comes by,
// and nothing is changed then.
TYPED_TEST_P(OrderedTree, FindsBrokenLinks) {
  for (size_t broken = 0; broken < 20; ++broken) {
    using Item = typename TestFixture::Item;
    using Link = typename TestFixture::Link;
    typename TestFixture::Items tree;
    std::vector<Item> items(20);
    for (size_t i = 0; i < items.size(); ++i) {
      items[i].key = static_cast<TypeParam::Key>(i * 7 % 20);
      items[i].other = i;
      ASSERT_EQ(tree.insert(items[i]), Links::intact);
    }
    const std::vector<Item*> before = in_order(tree);
    Item stranger;
    Link& link = items[broken];
    void* const stray = static_cast<Link*>(&stranger);
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

REGISTER_TYPED_TEST_SUITE_P(OrderedTree, BeginsEmpty, KeepsTheOrderOfArrivalAmongEquals,
                            IsAMapWithTheLeastOfEachSubtree, FindsBrokenLinks);

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_POLICY_ORDERED_TREE_H_
