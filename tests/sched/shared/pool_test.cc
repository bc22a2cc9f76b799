// The pool of the shared scheduler: against a model, at every wrap offset, and with its memory
// scribbled over.

#include "sched/shared/pool.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/random.h"

namespace sched::shared {
namespace {

constexpr auto kAnybody = [](const auto&) { return true; };

template <typename P>
Handle first(const P& pool) {
  const auto* const slot = pool.first(kAnybody);
  return slot == nullptr ? Handle() : pool.handle_of(*slot);
}

template <size_t kCapacity>
struct alignas(Pool<kCapacity>::kArena) Aligned {
  Pool<kCapacity> pool;
};

TEST(PoolTest, AllZeroesIsAPoolWithoutTasks) {
  Aligned<8> place;
  std::memset(static_cast<void*>(&place), 0, sizeof place);
  EXPECT_FALSE(first(place.pool));
  EXPECT_EQ(place.pool.size(), 0u);
  EXPECT_TRUE(place.pool.add(0, 0, 1, 0, 1));
}

TEST(PoolTest, FirstInFirstOutWithinAPriority) {
  Aligned<8> place;
  auto& pool = place.pool;
  const Handle low = pool.add(0, 1, 10, 3, 1);
  const Handle high = pool.add(0, 2, 20, 200, 2);
  const Handle low_too = pool.add(0, 1, 11, 3, 3);
  for (const Handle next : {high, low, low_too}) {
    EXPECT_EQ(first(pool), next);
    EXPECT_TRUE(pool.claim(7, next));
    EXPECT_EQ(pool.look(next)->hart, 7);
  }
  EXPECT_FALSE(first(pool));
  EXPECT_EQ(pool.size(), 3u);
}

TEST(PoolTest, TheHeadOfAnEarlierOneIsLarger) {
  EXPECT_GT(precedence(4, 9), precedence(3, 1));
  EXPECT_GT(precedence(4, 1), precedence(4, 2));
  EXPECT_GT(precedence(0, 1u << 30), 0u);
}

TEST(PoolTest, OneOfTwoClaims) {
  Aligned<4> place;
  const Handle task = place.pool.add(0, 0, 1, 0, 1);
  EXPECT_TRUE(place.pool.claim(1, task));
  EXPECT_FALSE(place.pool.claim(2, task));
  EXPECT_EQ(place.pool.look(task)->hart, 1);
}

TEST(PoolTest, AWakeWhileItRunsIsNotLost) {
  Aligned<4> place;
  auto& pool = place.pool;
  const Handle task = pool.add(0, 0, 1, 0, 1);
  const Handle other = pool.add(0, 0, 2, 0, 2);
  ASSERT_TRUE(pool.claim(0, task));
  EXPECT_TRUE(pool.wake(task, 3));
  EXPECT_EQ(first(pool), other) << "it runs, nobody else may have it";
  EXPECT_TRUE(pool.sleep(task, 4));
  ASSERT_TRUE(pool.claim(0, other));
  EXPECT_EQ(first(pool), task);
  // And that wake is used up.
  ASSERT_TRUE(pool.claim(0, task));
  EXPECT_TRUE(pool.sleep(task, 5));
  EXPECT_FALSE(first(pool));
}

TEST(PoolTest, WhoWakesItselfGoesBehindTheOthers) {
  Aligned<4> place;
  auto& pool = place.pool;
  uint64_t stamp = 0;
  const Handle tasks[] = {pool.add(0, 0, 1, 5, ++stamp), pool.add(0, 0, 2, 5, ++stamp),
                          pool.add(0, 0, 3, 5, ++stamp)};
  for (int i = 0; i < 30; ++i) {
    const Handle next = first(pool);
    EXPECT_EQ(next, tasks[i % 3]);
    ASSERT_TRUE(pool.claim(0, next));
    pool.wake(next, ++stamp);
    pool.sleep(next, ++stamp);
  }
}

TEST(PoolTest, AHandleIsOfOneLife) {
  Aligned<1> place;
  auto& pool = place.pool;
  const Handle old = pool.add(0, 0, 1, 0, 1);
  EXPECT_TRUE(pool.remove(old));
  const Handle young = pool.add(0, 0, 2, 0, 2);
  EXPECT_EQ(young.place(), old.place());
  EXPECT_FALSE(pool.claim(0, old));
  EXPECT_FALSE(pool.wake(old, 3));
  EXPECT_FALSE(pool.sleep(old, 3));
  EXPECT_FALSE(pool.remove(old));
  EXPECT_FALSE(pool.remove(Handle()));
  EXPECT_EQ(first(pool), young);
}

// A slot is used for the longest time since: so each number of adds and removals before is another
// offset at which the free ones begin.
TEST(PoolTest, ExactlyAsManyAsItsCapacityAtEveryOffset) {
  constexpr size_t kCapacity = 400;
  const auto place = std::make_unique<Aligned<kCapacity>>();
  auto& pool = place->pool;
  for (size_t offset = 0; offset <= kCapacity; ++offset) {
    std::vector<Handle> all;
    for (size_t i = 0; i < kCapacity; ++i) {
      all.push_back(pool.add(0, 0, i, static_cast<uint8_t>(i), i + 1));
      ASSERT_TRUE(all.back()) << i << " at " << offset;
    }
    ASSERT_FALSE(pool.add(0, 0, 0, 0, 1)) << offset;
    ASSERT_EQ(pool.size(), kCapacity);
    for (const Handle handle : all) ASSERT_TRUE(pool.remove(handle));
    ASSERT_EQ(pool.size(), 0u);
    ASSERT_TRUE(pool.remove(pool.add(0, 0, 0, 0, 1)));
  }
}

// Any calls: every answer is that of lists.
TEST(PoolTest, MatchesListsUnderRandomCalls) {
  constexpr size_t kCapacity = 50;
  Aligned<kCapacity> place;
  auto& pool = place.pool;
  struct Known {
    State state;
    uint8_t priority;
  };
  std::map<uint64_t, Known> known;
  std::map<uint8_t, std::list<uint64_t>, std::greater<>> ready;
  std::vector<uint64_t> handles = {0, 12345};  // dead ones, too
  Random random(7);
  uint64_t stamp = 0;
  const auto leave = [&](uint64_t handle) { ready[known[handle].priority].remove(handle); };
  const auto enter = [&](uint64_t handle) {
    known[handle].state = State::ready;
    ready[known[handle].priority].push_back(handle);
  };
  for (int round = 0; round < 100'000; ++round) {
    const uint64_t any = handles[random.below(handles.size())];
    const auto found = known.find(any);
    const bool lives = found != known.end();
    ++stamp;
    switch (random.below(6)) {
      case 0: {
        const auto priority = static_cast<uint8_t>(random.below(4) * 85);
        const Handle handle = pool.add(1, 2, stamp, priority, stamp);
        ASSERT_EQ(bool{handle}, known.size() < kCapacity);
        if (!handle) break;
        known[handle.word()] = {State::ready, priority};
        enter(handle.word());
        if (handles.size() > 200) handles[random.below(handles.size())] = handle.word();
        handles.push_back(handle.word());
        break;
      }
      case 1:
        if (random.below(2) != 0) break;
        ASSERT_EQ(pool.remove(Handle(any)), lives);
        if (!lives) break;
        leave(any);
        known.erase(any);
        break;
      case 2:
      case 3: {
        const uint64_t next = random.below(2) == 0 ? any : first(pool).word();
        const auto it = known.find(next);
        const bool is_ready = it != known.end() && it->second.state == State::ready;
        ASSERT_EQ(pool.claim(3, Handle(next)), is_ready);
        if (!is_ready) break;
        leave(next);
        it->second.state = State::claimed;
        break;
      }
      case 4:
        ASSERT_EQ(pool.wake(Handle(any), stamp), lives);
        if (!lives) break;
        if (found->second.state == State::claimed) found->second.state = State::woken;
        if (found->second.state == State::sleeping) enter(any);
        break;
      case 5:
        ASSERT_EQ(pool.sleep(Handle(any), stamp), lives);
        if (!lives) break;
        if (found->second.state == State::woken) {
          enter(any);
        } else {
          leave(any);
          found->second.state = State::sleeping;
        }
        break;
    }
    std::erase_if(ready, [](const auto& level) { return level.second.empty(); });
    ASSERT_EQ(first(pool).word(), ready.empty() ? 0 : ready.begin()->second.front());
    ASSERT_EQ(pool.size(), known.size());
  }
}

// From whoever runs and is the first to the next one, and otherwise not at all.
TEST(PoolTest, ExchangesWhoRunsForTheNext) {
  Aligned<4> place;
  auto& pool = place.pool;
  const auto exchange = [&](Handle previous) {
    const auto* const slot = pool.exchange(previous, 9, kAnybody);
    return slot == nullptr ? Handle() : pool.handle_of(*slot);
  };
  EXPECT_FALSE(exchange(Handle())) << "there is nobody";
  const Handle first_task = pool.add(0, 0, 1, 5, 1);
  const Handle second_task = pool.add(0, 0, 2, 5, 2);
  const Handle lower = pool.add(0, 0, 3, 4, 3);
  EXPECT_FALSE(exchange(first_task)) << "it does not run";
  ASSERT_TRUE(pool.claim(0, first_task));
  ASSERT_TRUE(pool.claim(0, lower));
  EXPECT_FALSE(exchange(lower)) << "it is not the first";
  EXPECT_FALSE(exchange(second_task));
  EXPECT_FALSE(exchange(Handle(first_task.generation(), first_task.priority(), 0)));
  EXPECT_FALSE(
      exchange(Handle(first_task.generation() + 1, first_task.priority(), first_task.place())));
  EXPECT_EQ(exchange(first_task), second_task);
  EXPECT_EQ(pool.look(first_task)->state, State::ready);
  EXPECT_EQ(pool.look(first_task)->stamp, 9u);
  EXPECT_EQ(pool.look(second_task)->state, State::claimed);
  ASSERT_TRUE(pool.wake(second_task, 10));
  EXPECT_EQ(exchange(second_task), first_task) << "woken, it is ready all the same";
  ASSERT_TRUE(pool.remove(second_task));
  EXPECT_FALSE(exchange(first_task)) << "it is alone";
}

TEST(PoolTest, GoesPastTheTasksOfOthers) {
  Aligned<40> place;
  auto& pool = place.pool;
  for (uint64_t i = 0; i < 40; ++i) {
    pool.add(0, static_cast<uint16_t>(i), i, static_cast<uint8_t>(100 - i / 5), i + 1);
  }
  const auto of = [&](uint16_t space) {
    return pool.first([space](const auto& slot) { return slot.space() == space; });
  };
  ASSERT_NE(of(12), nullptr);
  EXPECT_EQ(of(12)->task, 12u);
  EXPECT_EQ(of(39)->task, 39u);
  EXPECT_EQ(of(40), nullptr);
}

// Whatever is in it: every call returns, and nothing outside is touched. A sanitizer watches.
TEST(PoolTest, SurvivesAnyBytes) {
  constexpr size_t kCapacity = 100;
  constexpr size_t kPlaces = Pool<kCapacity>::kArena / 32;
  struct Fenced {
    Aligned<1> before;
    Aligned<kCapacity> between;
    Aligned<1> after;
  };
  const auto place = std::make_unique<Fenced>();
  auto& pool = place->between.pool;
  std::memset(static_cast<void*>(&place->before), 0x5a, sizeof place->before);
  std::memset(static_cast<void*>(&place->after), 0x5a, sizeof place->after);
  auto* const bytes = reinterpret_cast<unsigned char*>(&pool);
  Random random(11);
  std::vector<Handle> handles(64);
  for (int round = 0; round < 200'000; ++round) {
    switch (random.below(16)) {
      case 0:
        for (size_t i = 0; i < sizeof pool; ++i) bytes[i] = static_cast<uint8_t>(random.below(256));
        break;
      case 1: std::memset(bytes, static_cast<int>(random.below(256)), sizeof pool); break;
      default:
        for (int i = 0; i < 4; ++i) {
          bytes[random.below(sizeof pool)] = static_cast<uint8_t>(random.below(256));
        }
    }
    const Handle any = random.below(4) == 0
                           ? Handle(random.below(UINT64_MAX))
                           : Handle(static_cast<uint32_t>(random.below(2)),
                                    static_cast<uint8_t>(random.below(256)),
                                    static_cast<uint16_t>(random.below(kPlaces) * 32));
    const Handle handle = random.below(2) == 0 ? handles[random.below(handles.size())] : any;
    switch (random.below(7)) {
      case 0: handles[random.below(handles.size())] = pool.add(0, 0, 1, 9, 9); break;
      case 1: pool.remove(handle); break;
      case 2: pool.claim(0, handle); break;
      case 3: pool.wake(handle, 1); break;
      case 4: pool.sleep(handle, 1); break;
      case 5: handles[random.below(handles.size())] = first(pool); break;
      case 6: pool.exchange(handle, 1, kAnybody); break;
    }
  }
  const auto intact = [](const auto& fence) {
    const auto* const from = reinterpret_cast<const unsigned char*>(&fence);
    return std::all_of(from, from + sizeof fence, [](unsigned char byte) { return byte == 0x5a; });
  };
  EXPECT_TRUE(intact(place->before));
  EXPECT_TRUE(intact(place->after));
}

// The same bytes at another address are the same pool.
TEST(PoolTest, ItMayBeMoved) {
  Aligned<8> here;
  Aligned<8> there;
  const Handle first_task = here.pool.add(0, 1, 10, 3, 1);
  const Handle second_task = here.pool.add(0, 1, 11, 3, 2);
  std::memcpy(static_cast<void*>(&there), static_cast<const void*>(&here), sizeof here);
  EXPECT_TRUE(there.pool.claim(0, first_task));
  EXPECT_EQ(first(there.pool), second_task);
  EXPECT_EQ(first(here.pool), first_task);
}

}  // namespace
}  // namespace sched::shared
