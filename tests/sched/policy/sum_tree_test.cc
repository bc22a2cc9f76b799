// The sum tree against a heap in a vector: whose each number is, and that a broken link is found
// before anything is changed.

#include "sched/policy/sum_tree.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

struct Tag {};
struct Item : SumLink<Tag> {
  int number = 0;
};
using Items = SumTree<Item, Tag>;

// The definition: a complete tree, row by row in a vector; the numbers go from left to right.
struct Rows {
  void insert(int item, uint64_t value) { rows.push_back({item, value}); }
  void remove(int item) {
    *find(item) = rows.back();
    rows.pop_back();
  }
  std::vector<std::pair<int, uint64_t>>::iterator find(int item) {
    return std::find_if(rows.begin(), rows.end(), [&](auto& row) { return row.first == item; });
  }
  // Item and value, from left to right.
  std::vector<std::pair<int, uint64_t>> line() const {
    std::vector<std::pair<int, uint64_t>> line;
    const std::function<void(size_t)> visit = [&](size_t node) {
      if (node > rows.size()) return;
      visit(2 * node);
      line.push_back(rows[node - 1]);
      visit(2 * node + 1);
    };
    visit(1);
    return line;
  }

  std::vector<std::pair<int, uint64_t>> rows;
};

TEST(SumTree, MatchesRowsUnderRandomOperations) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto gen = generator(seed);
    constexpr int kItems = 40;
    std::array<Item, kItems> items{};
    for (int i = 0; i < kItems; ++i) items[static_cast<size_t>(i)].number = i;
    Items tree;
    Rows rows;
    for (int step = 0; step < 1500; ++step) {
      const int i = absl::Uniform(gen, 0, kItems);
      Item& item = items[static_cast<size_t>(i)];
      const uint64_t value = absl::LogUniform<uint64_t>(gen, 1, uint64_t{1} << 56);
      const auto found = rows.find(i);
      if (found == rows.rows.end()) {
        ASSERT_EQ(tree.insert(item, value), Links::intact);
        rows.insert(i, value);
      } else if (absl::Bernoulli(gen, 0.3)) {
        ASSERT_EQ(tree.set(item, value), Links::intact);
        found->second = value;
      } else {
        ASSERT_EQ(tree.remove(item), Links::intact);
        rows.remove(i);
      }
      ASSERT_EQ(tree.count(), rows.rows.size());
      uint64_t first = 0;
      for (const auto& [number, width] : rows.line()) {
        const Item& here = items[static_cast<size_t>(number)];
        ASSERT_EQ(tree.owner(first), &here);
        ASSERT_EQ(tree.owner(first + width / 2), &here);
        ASSERT_EQ(tree.owner(first + width - 1), &here);
        first += width;
      }
      ASSERT_EQ(tree.total(), first);
    }
  }
}

TEST(SumTree, HoldsManyAndTheLargestSum) {
  constexpr size_t kMany = 1 << 16;
  std::vector<Item> items(kMany);
  Items tree;
  for (Item& item : items) {
    ASSERT_EQ(tree.insert(item, (uint64_t{1} << 48) - 1), Links::intact);
  }
  EXPECT_EQ(tree.total(), UINT64_MAX - kMany + 1);
  EXPECT_EQ(tree.owner(tree.total() - 1), tree.owner(tree.total() - 2));
  for (size_t i = 0; i < kMany; i += 2) ASSERT_EQ(tree.remove(items[i]), Links::intact);
  EXPECT_EQ(tree.total(), (UINT64_MAX - kMany + 1) / 2);
  for (size_t i = 1; i < kMany; i += 2) ASSERT_EQ(tree.remove(items[i]), Links::intact);
  EXPECT_EQ(tree.count(), 0u);
  EXPECT_EQ(tree.total(), 0u);
}

// What a stray write might do. The hook's first word is the way to its parent.
void set_parent(Item& item, Item& parent) {
  SumLink<Tag>* const link = &parent;
  std::memcpy(static_cast<void*>(static_cast<SumLink<Tag>*>(&item)), &link, sizeof(link));
}

TEST(SumTree, ReportsABrokenLinkAndChangesNothing) {
  using Operation = Links (*)(Items&, std::array<Item, 8>&);
  struct Case {
    const char* what;
    Operation operation;
    std::vector<size_t> follows;  // items whose links to their parents it follows
  };
  const std::vector<Case> cases = {
      {"insert", [](Items& tree, auto& items) { return tree.insert(items[6], 5); }, {2}},
      {"remove the last", [](Items& tree, auto& items) { return tree.remove(items[5]); }, {2, 5}},
      {"remove a leaf", [](Items& tree, auto& items) { return tree.remove(items[3]); }, {1, 3, 5}},
      {"remove the root",
       [](Items& tree, auto& items) { return tree.remove(items[0]); },
       {1, 2, 5}},
      {"remove an inner one",
       [](Items& tree, auto& items) { return tree.remove(items[1]); },
       {1, 2, 3, 4, 5}},
      {"set", [](Items& tree, auto& items) { return tree.set(items[4], 9); }, {1, 4}},
  };
  for (const Case& test : cases) {
    for (const size_t broken : test.follows) {
      SCOPED_TRACE(std::string(test.what) + ", item " + std::to_string(broken));
      std::array<Item, 8> items{};
      Items tree;
      for (size_t i = 0; i < 6; ++i) ASSERT_EQ(tree.insert(items[i], i + 1), Links::intact);
      set_parent(items[broken], items[7]);
      std::vector<std::byte> before(sizeof(items));
      std::memcpy(before.data(), static_cast<const void*>(items.data()), sizeof(items));
      EXPECT_EQ(test.operation(tree, items), Links::corrupt);
      EXPECT_EQ(std::memcmp(before.data(), static_cast<const void*>(items.data()), sizeof(items)),
                0);
      EXPECT_EQ(tree.count(), 6u);
    }
  }
}

TEST(SumTree, ReportsWhatIsNotWhereItSays) {
  std::array<Item, 8> items{};
  Items tree;
  for (size_t i = 0; i < 6; ++i) ASSERT_EQ(tree.insert(items[i], i + 1), Links::intact);
  // One that is in no tree looks like a root.
  EXPECT_EQ(tree.set(items[6], 9), Links::corrupt);
  EXPECT_EQ(tree.remove(items[6]), Links::corrupt);
  // 3 is a child of 1.
  set_parent(items[3], items[0]);
  EXPECT_EQ(tree.set(items[3], 9), Links::corrupt);
  EXPECT_EQ(tree.remove(items[3]), Links::corrupt);
  set_parent(items[3], items[1]);
  // The place of the seventh, below 2, is not free: the hook's third word.
  SumLink<Tag>* const stray = &items[7];
  std::memcpy(
      reinterpret_cast<std::byte*>(static_cast<SumLink<Tag>*>(&items[2])) + 2 * sizeof(stray),
      &stray, sizeof(stray));
  EXPECT_EQ(tree.insert(items[6], 7), Links::corrupt);
  EXPECT_EQ(tree.total(), 21u);
  EXPECT_EQ(tree.count(), 6u);
}

TEST(SumTree, FollowsNoCircleForEver) {
  std::array<Item, 3> items{};
  Items tree;
  for (Item& item : items) ASSERT_EQ(tree.insert(item, 1), Links::intact);
  set_parent(items[0], items[1]);
  EXPECT_EQ(tree.remove(items[2]), Links::corrupt);
  EXPECT_EQ(tree.set(items[1], 5), Links::corrupt);
  EXPECT_EQ(tree.insert(items[2], 5), Links::corrupt);
}

}  // namespace
}  // namespace sched::test
