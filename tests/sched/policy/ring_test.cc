// The ring: order, and that a broken link is found before anything is changed.

#include "sched/policy/ring.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

struct Tag {};
struct Item : RingLink<Tag> {
  int number = 0;
};
using Items = Ring<Item, Tag>;

class RingTest : public testing::Test {
 protected:
  static constexpr int kItems = 6;

  RingTest() {
    for (int i = 0; i < kItems; ++i) item(i).number = i;
  }

  Item& item(int i) { return items_[static_cast<size_t>(i)]; }

  // From front to back, forwards and backwards.
  std::vector<int> order() {
    std::vector<int> order;
    if (ring_.empty()) return order;
    const RingLink<Tag>* const front = &ring_.front();
    const RingLink<Tag>* link = front;
    do {
      order.push_back(static_cast<const Item&>(*link).number);
      EXPECT_EQ(link->next->prev, link);
      EXPECT_EQ(link->prev->next, link);
      link = link->next;
    } while (link != front && order.size() <= kItems);
    return order;
  }

  // Every link as it is, to see that nothing has changed.
  std::vector<const void*> links() {
    std::vector<const void*> links;
    for (const Item& item : items_) {
      links.push_back(item.next);
      links.push_back(item.prev);
    }
    return links;
  }

  std::array<Item, kItems> items_;
  Items ring_;
};

TEST_F(RingTest, BeginsEmpty) { EXPECT_TRUE(ring_.empty()); }

TEST_F(RingTest, KeepsTheOrderOfArrival) {
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ring_.push_back(item(i)), Links::intact);
  EXPECT_EQ(order(), (std::vector<int>{0, 1, 2}));
  EXPECT_FALSE(ring_.front_is_alone());
}

TEST_F(RingTest, PushesToTheFrontOfAnEmptyRingAndOfOthers) {
  ASSERT_EQ(ring_.push_front(item(0)), Links::intact);
  EXPECT_TRUE(ring_.front_is_alone());
  ASSERT_EQ(ring_.push_front(item(1)), Links::intact);
  EXPECT_EQ(order(), (std::vector<int>{1, 0}));
}

TEST_F(RingTest, RotatesTheFrontToTheBack) {
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ring_.push_back(item(i)), Links::intact);
  ASSERT_EQ(ring_.rotate(item(0)), Links::intact);
  EXPECT_EQ(order(), (std::vector<int>{1, 2, 0}));
}

TEST_F(RingTest, SwapsTheFirstTwoHoweverManyThereAre) {
  for (int items = 1; items <= kItems; ++items) {
    Items ring;
    std::swap(ring_, ring);
    std::vector<int> expected;
    for (int i = 0; i < items; ++i) {
      ASSERT_EQ(ring_.push_back(item(i)), Links::intact);
      expected.push_back(i);
    }
    if (items > 1) std::swap(expected[0], expected[1]);
    ASSERT_EQ(ring_.swap_first_two(), Links::intact);
    EXPECT_EQ(order(), expected);
    while (!ring_.empty()) ASSERT_EQ(ring_.remove(ring_.front()), Links::intact);
  }
}

TEST_F(RingTest, RotatesAnItemThatIsAlone) {
  ASSERT_EQ(ring_.push_back(item(0)), Links::intact);
  ASSERT_EQ(ring_.rotate(item(0)), Links::intact);
  EXPECT_EQ(order(), (std::vector<int>{0}));
}

TEST_F(RingTest, RemovesFrontMiddleBackAndTheLastOne) {
  for (int i = 0; i < 4; ++i) ASSERT_EQ(ring_.push_back(item(i)), Links::intact);
  ASSERT_EQ(ring_.remove(item(0)), Links::intact);
  EXPECT_EQ(order(), (std::vector<int>{1, 2, 3}));
  ASSERT_EQ(ring_.remove(item(2)), Links::intact);
  EXPECT_EQ(order(), (std::vector<int>{1, 3}));
  ASSERT_EQ(ring_.remove(item(3)), Links::intact);
  EXPECT_EQ(order(), (std::vector<int>{1}));
  ASSERT_EQ(ring_.remove(item(1)), Links::intact);
  EXPECT_TRUE(ring_.empty());
}

TEST_F(RingTest, AppendsAnotherRingWhicheverIsEmpty) {
  for (int mine = 0; mine <= 3; ++mine) {
    for (int theirs = 0; theirs <= 3; ++theirs) {
      SCOPED_TRACE(std::to_string(mine) + " and " + std::to_string(theirs));
      ring_ = {};
      Items other;
      std::vector<int> expected;
      for (int i = 0; i < mine; ++i) {
        ASSERT_EQ(ring_.push_back(item(i)), Links::intact);
        expected.push_back(i);
      }
      for (int i = 3; i < 3 + theirs; ++i) {
        ASSERT_EQ(other.push_back(item(i)), Links::intact);
        expected.push_back(i);
      }
      ASSERT_TRUE(ring_.is_closed() && other.is_closed());
      ring_.append(other);
      EXPECT_EQ(order(), expected);
      EXPECT_TRUE(ring_.is_closed() && other.is_closed());
      EXPECT_TRUE(other.empty());
    }
  }
}

TEST_F(RingTest, IsNotClosedWhenFrontAndBackDisagree) {
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ring_.push_back(item(i)), Links::intact);
  item(2).next = &item(1);
  EXPECT_FALSE(ring_.is_closed());
  item(2).next = &item(0);
  EXPECT_TRUE(ring_.is_closed());
  item(0).prev = &item(1);
  EXPECT_FALSE(ring_.is_closed());
}

TEST_F(RingTest, AnItemThatWasRemovedSaysSo) {
  ASSERT_EQ(ring_.push_back(item(0)), Links::intact);
  ASSERT_EQ(ring_.push_back(item(1)), Links::intact);
  ASSERT_EQ(ring_.remove(item(0)), Links::intact);
  EXPECT_EQ(item(0).next, nullptr);
}

TEST_F(RingTest, MatchesAListUnderRandomOperations) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 gen = generator(seed);
    items_ = {};
    for (int i = 0; i < kItems; ++i) item(i).number = i;
    ring_ = {};
    std::deque<int> model;
    for (int step = 0; step < 1000; ++step) {
      const int i = absl::Uniform(gen, 0, kItems);
      const auto found = std::find(model.begin(), model.end(), i);
      if (found == model.end()) {
        const bool front = absl::Bernoulli(gen, 0.3);
        ASSERT_EQ(front ? ring_.push_front(item(i)) : ring_.push_back(item(i)), Links::intact);
        front ? model.push_front(i) : model.push_back(i);
      } else if (found == model.begin() && absl::Bernoulli(gen, 0.7)) {
        ASSERT_EQ(ring_.rotate(item(i)), Links::intact);
        model.pop_front();
        model.push_back(i);
      } else {
        const auto next = std::next(found) == model.end() ? model.begin() : std::next(found);
        ASSERT_EQ(ring_.next(item(i)), &item(*next));
        ASSERT_EQ(ring_.remove(item(i)), Links::intact);
        model.erase(found);
      }
      ASSERT_EQ(order(), std::vector<int>(model.begin(), model.end())) << "step " << step;
      ASSERT_EQ(ring_.empty(), model.empty());
      if (!model.empty()) {
        ASSERT_EQ(ring_.front_is_alone(), model.size() == 1);
      }
    }
  }
}

// Of four items in a ring, each link in turn is made to point at an item that is in none.
TEST_F(RingTest, ReportsEachBrokenLinkThatAnOperationFollowsAndChangesNothing) {
  using Operation = Links (*)(Items&, std::array<Item, kItems>&);
  struct Case {
    const char* what;
    Operation operation;
    // Which links it follows: (item, next or prev).
    std::vector<std::pair<int, bool>> follows;
  };
  constexpr bool kNext = true;
  constexpr bool kPrev = false;
  const std::vector<Case> cases = {
      {"push_back",
       [](Items& ring, auto& items) { return ring.push_back(items[4]); },
       {{3, kNext}, {0, kPrev}}},
      {"push_front",
       [](Items& ring, auto& items) { return ring.push_front(items[4]); },
       {{3, kNext}, {0, kPrev}}},
      {"remove",
       [](Items& ring, auto& items) { return ring.remove(items[1]); },
       {{1, kNext}, {1, kPrev}, {0, kNext}, {2, kPrev}}},
      {"rotate",
       [](Items& ring, auto& items) { return ring.rotate(items[0]); },
       {{0, kNext}, {1, kPrev}}},
      {"next",
       [](Items& ring, auto& items) {
         return ring.next(items[0]) == nullptr ? Links::corrupt : Links::intact;
       },
       {{0, kNext}, {1, kPrev}}},
      {"swap_first_two",
       [](Items& ring, auto&) { return ring.swap_first_two(); },
       {{0, kNext}, {0, kPrev}, {1, kNext}, {1, kPrev}, {2, kPrev}, {3, kNext}}},
  };
  for (const Case& test : cases) {
    for (const auto& [broken, next] : test.follows) {
      SCOPED_TRACE(std::string(test.what) + ", item " + std::to_string(broken) +
                   (next ? ".next" : ".prev"));
      items_ = {};
      ring_ = {};
      for (int i = 0; i < 4; ++i) ASSERT_EQ(ring_.push_back(item(i)), Links::intact);
      item(5).next = item(5).prev = &item(5);
      (next ? item(broken).next : item(broken).prev) = &item(5);
      const std::vector<const void*> before = links();
      const Item* const front = &ring_.front();
      EXPECT_EQ(test.operation(ring_, items_), Links::corrupt);
      EXPECT_EQ(links(), before);
      EXPECT_EQ(&ring_.front(), front);
    }
  }
}

}  // namespace
}  // namespace sched::test
