// The timer queue: its contract line by line, and against an ordered map.

#include "sched/time/timer_queue.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "hal/time.h"

namespace sched::test {
namespace {

constexpr Instant at(uint64_t ticks) { return Instant{ticks}; }
constexpr Duration ticks(uint64_t count) { return Duration{count}; }
constexpr Instant kLast = at(never.ticks - 1);  // that comes

// A timer with a number.
struct Numbered : Timer {
  constexpr explicit Numbered(
      int number = 0, Fire fire = +[](Timer&) {})
      : Timer(fire), number(number) {}
  int number;
};

// Timers that do not move, numbered from zero.
std::deque<Numbered> some(int count) {
  std::deque<Numbered> timers;
  for (int i = 0; i < count; ++i) timers.emplace_back(i);
  return timers;
}

int number(const Timer* timer) { return static_cast<const Numbered*>(timer)->number; }

// What `expire` gave until it said that there was no more, and how often it was called.
struct Drained {
  std::vector<int> due;
  size_t calls = 0;
};

Drained drain(TimerQueue& queue, Instant now) {
  Drained drained;
  for (;;) {
    const TimerQueue::Step step = queue.expire(now);
    ++drained.calls;
    if (!step.more) {
      EXPECT_EQ(step.due, nullptr);
      return drained;
    }
    if (step.due != nullptr) {
      EXPECT_FALSE(step.due->armed());
      drained.due.push_back(number(step.due));
    }
  }
}

std::vector<int> due(TimerQueue& queue, Instant now) { return drain(queue, now).due; }

using Numbers = std::vector<int>;

TEST(Timer, IsNotArmedAtFirst) {
  const Timer::Fire fire = +[](Timer&) {};
  const Timer timer(fire);
  EXPECT_FALSE(timer.armed());
  EXPECT_EQ(timer.when(), at(0));
  EXPECT_EQ(timer.fire(), fire);
}

TEST(Timer, KnowsWhatItIsArmedFor) {
  TimerQueue queue;
  Numbered timer;
  queue.arm(timer, at(77));
  EXPECT_TRUE(timer.armed());
  EXPECT_EQ(timer.when(), at(77));
}

TEST(Timer, IsFortyBytesThatStay) {
  static_assert(sizeof(Timer) == 48);
  static_assert(!std::is_copy_constructible_v<Timer> && !std::is_copy_assignable_v<Timer>);
  static_assert(std::is_trivially_destructible_v<Timer>);
}

TEST(TimerQueue, IsFourKilobytesThatStay) {
  static_assert(sizeof(TimerQueue) == 4152);
  static_assert(!std::is_copy_constructible_v<TimerQueue>);
  static_assert(!std::is_copy_assignable_v<TimerQueue>);
  static_assert(std::is_trivially_destructible_v<TimerQueue>);
}

TEST(TimerQueue, NeedsNoInitialization) {
  static constinit TimerQueue queue;
  static constinit Numbered timer{3};
  queue.arm(timer, at(5));
  EXPECT_EQ(due(queue, at(5)), Numbers{3});
}

TEST(TimerQueue, HasNothingToDoWhileEmpty) {
  TimerQueue queue;
  EXPECT_EQ(queue.next(), never);
  const TimerQueue::Step step = queue.expire(kLast);
  EXPECT_EQ(step.due, nullptr);
  EXPECT_FALSE(step.more);
  EXPECT_EQ(queue.next(), never);
}

TEST(TimerQueue, GivesATimerAtItsInstantAndNotBefore) {
  // One of each level, and those at the borders of the digits.
  for (int bit = 0; bit < 64; ++bit) {
    for (const uint64_t more : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
      const uint64_t instant = (uint64_t{1} << bit) + more;
      if (instant == 0 || instant > kLast.ticks) continue;
      TimerQueue queue;
      Numbered timer{1};
      queue.arm(timer, at(instant));
      ASSERT_EQ(queue.next(), at(instant));
      ASSERT_EQ(due(queue, at(instant - 1)), Numbers{}) << instant;
      ASSERT_TRUE(timer.armed());
      ASSERT_EQ(queue.next(), at(instant));
      ASSERT_EQ(due(queue, at(instant)), Numbers{1}) << instant;
      ASSERT_FALSE(timer.armed());
      ASSERT_EQ(queue.next(), never);
      ASSERT_EQ(queue.reached(), at(instant));
    }
  }
}

TEST(TimerQueue, GivesTimersInTheOrderOfTheirInstants) {
  for (int low = 0; low < 63; ++low) {
    for (int high = low + 1; high < 64; ++high) {
      TimerQueue queue;
      Numbered late{2}, early{1}, between{3};
      queue.arm(late, at(uint64_t{1} << high));
      queue.arm(early, at(uint64_t{1} << low));
      queue.arm(between, at((uint64_t{1} << high) - 1));
      ASSERT_EQ(queue.next(), at(uint64_t{1} << low));
      ASSERT_EQ(due(queue, at(uint64_t{1} << high)), (Numbers{1, 3, 2})) << low << " " << high;
    }
  }
}

TEST(TimerQueue, GivesEqualInstantsInTheOrderOfArming) {
  for (const uint64_t instant : {uint64_t{0}, uint64_t{5}, uint64_t{0x123456}, kLast.ticks}) {
    TimerQueue queue;
    std::deque<Numbered> timers = some(5);
    for (const int i : {3, 0, 4, 1, 2}) queue.arm(timers[static_cast<size_t>(i)], at(instant));
    EXPECT_EQ(due(queue, at(instant)), (Numbers{3, 0, 4, 1, 2})) << instant;
  }
}

TEST(TimerQueue, KeepsTheOrderOfArmingWhileItOpensASlot) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(9);
  for (size_t i = 0; i < 6; ++i) queue.arm(timers[i], at(0x10025));
  queue.arm(timers[6], at(0x10013));
  queue.arm(timers[7], at(0x10025));
  // Some of the first six have been moved, some have not.
  const TimerQueue::Step step = queue.expire(at(0x10013));
  EXPECT_EQ(step.due, nullptr);
  EXPECT_TRUE(step.more);
  queue.arm(timers[8], at(0x10025));
  EXPECT_EQ(due(queue, at(0x10013)), Numbers{6});
  EXPECT_EQ(queue.next(), at(0x10025));
  EXPECT_EQ(due(queue, at(0x10025)), (Numbers{0, 1, 2, 3, 4, 5, 7, 8}));
}

TEST(TimerQueue, MovesATimerThatIsArmedAgain) {
  TimerQueue queue;
  Numbered timer{1}, other{2};
  queue.arm(timer, at(100));
  queue.arm(other, at(200));
  queue.arm(timer, at(300));
  EXPECT_EQ(timer.when(), at(300));
  EXPECT_EQ(queue.next(), at(200));
  EXPECT_EQ(due(queue, at(299)), Numbers{2});
  EXPECT_EQ(due(queue, at(300)), Numbers{1});
}

TEST(TimerQueue, MovesATimerThatIsArmedAgainForTheSameInstantBehindItsEquals) {
  TimerQueue queue;
  Numbered timer{1}, other{2};
  queue.arm(timer, at(100));
  queue.arm(other, at(100));
  queue.arm(timer, at(100));
  EXPECT_EQ(due(queue, at(100)), (Numbers{2, 1}));
}

TEST(TimerQueue, SaysWhetherACancelWasInTime) {
  TimerQueue queue;
  Numbered timer{1};
  EXPECT_FALSE(queue.cancel(timer));
  queue.arm(timer, at(10));
  EXPECT_TRUE(queue.cancel(timer));
  EXPECT_FALSE(timer.armed());
  EXPECT_FALSE(queue.cancel(timer));
  EXPECT_EQ(queue.next(), never);
  EXPECT_EQ(due(queue, at(10)), Numbers{});
  queue.arm(timer, at(10));
  EXPECT_EQ(due(queue, at(10)), Numbers{1});
  EXPECT_FALSE(queue.cancel(timer));
}

TEST(TimerQueue, CancelsAnyOfASlot) {
  for (size_t which = 0; which < 3; ++which) {
    TimerQueue queue;
    std::deque<Numbered> timers = some(3);
    for (Numbered& timer : timers) {
      queue.arm(timer, at(0x70000 + 5 * static_cast<uint64_t>(timer.number)));
    }
    EXPECT_TRUE(queue.cancel(timers[which]));
    Numbers rest;
    for (size_t i = 0; i < 3; ++i) {
      if (i != which) rest.push_back(static_cast<int>(i));
    }
    EXPECT_EQ(due(queue, at(0x80000)), rest);
  }
}

TEST(TimerQueue, KnowsTheNextAfterTheEarliestOfASlotIsCancelled) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(TimerQueue::kLooks + 1);
  for (Numbered& timer : timers) {
    queue.arm(timer, at(0x1000'0100 - static_cast<uint64_t>(timer.number)));
  }
  for (size_t i = timers.size() - 1; i > 0; --i) {
    ASSERT_EQ(queue.next(), timers[i].when());
    queue.cancel(timers[i]);
    ASSERT_EQ(queue.next(), timers[i - 1].when());
  }
}

TEST(TimerQueue, IsAtMostOnceEarlyAfterTheEarliestOfAFullSlotIsCancelled) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(TimerQueue::kLooks + 2);
  for (Numbered& timer : timers) {
    queue.arm(timer, at(0x1000'0000 + 0x1000 * static_cast<uint64_t>(timer.number)));
  }
  queue.cancel(timers[0]);
  EXPECT_EQ(queue.next(), at(0x1000'0000));
  EXPECT_EQ(due(queue, at(0x1000'0000)), Numbers{});
  EXPECT_EQ(queue.next(), at(0x1000'1000));
}

TEST(TimerQueue, GivesWhatIsPastAtOnceBehindWhatIsDueAtTheInstantThatItHasReached) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(5);
  queue.arm(timers[0], at(1000));
  queue.arm(timers[1], at(1000));
  queue.arm(timers[2], at(1001));
  EXPECT_EQ(number(queue.expire(at(2000)).due), 0);
  EXPECT_EQ(queue.reached(), at(1000));
  queue.arm(timers[3], at(999));
  queue.arm(timers[4], at(0));
  EXPECT_EQ(timers[4].when(), at(0));
  EXPECT_EQ(queue.next(), at(1000));
  EXPECT_EQ(due(queue, at(2000)), (Numbers{1, 3, 4, 2}));
}

TEST(TimerQueue, CancelsWhatIsPastLikeAnythingElse) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(4);
  queue.arm(timers[0], at(1000));
  EXPECT_EQ(due(queue, at(1000)), Numbers{0});
  queue.arm(timers[1], at(1000));
  queue.arm(timers[2], at(500));
  queue.arm(timers[3], at(1001));
  EXPECT_TRUE(queue.cancel(timers[2]));
  EXPECT_EQ(queue.next(), at(1000));
  EXPECT_TRUE(queue.cancel(timers[1]));
  EXPECT_EQ(queue.next(), at(1001));
}

TEST(TimerQueue, NeverGivesWhatIsArmedForNever) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(3);
  queue.arm(timers[0], never);
  queue.arm(timers[1], at(UINT64_MAX));
  EXPECT_EQ(queue.next(), never);
  EXPECT_TRUE(queue.cancel(timers[0]));
  EXPECT_EQ(queue.next(), never);  // also for what is later than `never`
  queue.arm(timers[0], never);
  queue.arm(timers[2], kLast);
  EXPECT_EQ(queue.next(), kLast);
  EXPECT_EQ(due(queue, kLast), Numbers{2});
  EXPECT_EQ(queue.next(), never);
  EXPECT_TRUE(queue.cancel(timers[0]));
  EXPECT_TRUE(queue.cancel(timers[1]));
}

TEST(TimerQueue, TimersCanArmThemselvesFromTheirCallback) {
  static constinit TimerQueue queue;
  static constinit int fired = 0;
  Numbered timer{1, +[](Timer& self) {
                   EXPECT_FALSE(self.armed());
                   ++fired;
                   queue.arm(self, self.when() + ticks(10));
                 }};
  queue.arm(timer, at(1000));
  for (uint64_t now = 0; now < 2000; ++now) {
    for (TimerQueue::Step step; (step = queue.expire(at(now))).more;) {
      if (step.due != nullptr) step.due->fire()(*step.due);
    }
  }
  EXPECT_EQ(fired, 100);
  EXPECT_EQ(queue.next(), at(2000));
  EXPECT_TRUE(queue.cancel(timer));
}

TEST(TimerQueue, CatchesUpWithAClockThatLeaps) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(64);
  Numbers all;
  for (Numbered& timer : timers) {
    queue.arm(timer, at(uint64_t{3} << std::min(timer.number, 62)));
    all.push_back(timer.number);
  }
  EXPECT_EQ(due(queue, at(0)), Numbers{});
  EXPECT_EQ(due(queue, kLast), all);
}

TEST(TimerQueue, DoesNothingBeforeTheInstantByWhateverClock) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(7);
  for (Numbered& timer : timers) {
    queue.arm(timer, at(0x10100 - 0x10 * static_cast<uint64_t>(timer.number)));
  }
  const Instant first = timers[6].when();
  EXPECT_TRUE(queue.expire(at(0x20000)).more);  // begins to open the slot
  for (const uint64_t now : {uint64_t{0}, uint64_t{0x1000}, first.ticks - 1}) {
    EXPECT_FALSE(queue.expire(at(now)).more);
    EXPECT_EQ(queue.next(), first);
  }
  EXPECT_EQ(due(queue, first), Numbers{6});
  EXPECT_FALSE(queue.expire(at(0)).more);
  EXPECT_EQ(due(queue, at(0x20000)), (Numbers{5, 4, 3, 2, 1, 0}));
}

TEST(TimerQueue, DoesNotMindThatAllIsCancelledWhileItOpensASlot) {
  for (const bool again : {false, true}) {
    TimerQueue queue;
    std::deque<Numbered> timers = some(12);
    for (Numbered& timer : timers) {
      queue.arm(timer, at(0x50300 - 0x10 * static_cast<uint64_t>(timer.number)));
    }
    const Instant first = timers.back().when();
    EXPECT_EQ(queue.expire(first).due, nullptr);
    for (Numbered& timer : timers) EXPECT_TRUE(queue.cancel(timer));
    Numbers expected;
    if (again) {  // of that slot, before it, and behind it
      queue.arm(timers[0], at(0x50299));
      queue.arm(timers[1], at(0x10));
      queue.arm(timers[2], at(0x60000));
      queue.arm(timers[3], first);
      EXPECT_LE(queue.next(), first);
      EXPECT_EQ(due(queue, at(0x50299)), (Numbers{1, 3, 0}));
      EXPECT_EQ(queue.next(), at(0x60000));
      EXPECT_EQ(due(queue, at(0x60000)), Numbers{2});
    }
    EXPECT_EQ(due(queue, at(0x70000)), Numbers{});
    EXPECT_EQ(queue.next(), never);
  }
}

TEST(TimerQueue, CancelsTheLastOfASlotThatItOpens) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(3);
  queue.arm(timers[0], at(0x900));
  queue.arm(timers[1], at(0x910));
  queue.arm(timers[2], at(0xa00));
  EXPECT_EQ(number(queue.expire(at(0x905)).due), 0);
  EXPECT_TRUE(queue.cancel(timers[1]));
  EXPECT_EQ(due(queue, at(0x905)), Numbers{});
  EXPECT_EQ(queue.next(), at(0xa00));
}

TEST(TimerQueue, MovesAFewTimersACall) {
  // In one slot, the earliest last.
  constexpr int kOthers = 1000 * TimerQueue::kMoves;
  TimerQueue queue;
  std::deque<Numbered> timers = some(kOthers + 1);
  for (int i = 0; i < kOthers; ++i) {
    queue.arm(timers[static_cast<size_t>(i)], at(0x11'0000 + static_cast<uint64_t>(i % 5)));
  }
  queue.arm(timers.back(), at(0x10'0000));
  for (int i = 0; i < kOthers / TimerQueue::kMoves; ++i) {
    const TimerQueue::Step step = queue.expire(at(0x10'0000));
    ASSERT_EQ(step.due, nullptr);
    ASSERT_TRUE(step.more);
  }
  EXPECT_EQ(queue.expire(at(0x10'0000)).due, &timers.back());
  EXPECT_FALSE(queue.expire(at(0x10'0000)).more);
}

TEST(TimerQueue, NeedsNoCallToFindThatASlotIsEmpty) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(2);
  queue.arm(timers[0], at(0x900));
  queue.arm(timers[1], at(0x910));
  const Drained drained = drain(queue, at(0x905));
  EXPECT_EQ(drained.due, Numbers{0});
  EXPECT_EQ(drained.calls, 3u);  // one gives, one moves, one finds no more
}

TEST(TimerQueue, DoesNotMoveTimersOfOneInstant) {
  TimerQueue queue;
  std::deque<Numbered> timers = some(1000);
  Numbers all;
  for (Numbered& timer : timers) {
    queue.arm(timer, at(0x1234'5678'9abc));
    all.push_back(timer.number);
  }
  const Drained drained = drain(queue, at(0x1234'5678'9abc));
  EXPECT_EQ(drained.due, all);
  EXPECT_EQ(drained.calls, 1001u);
}

TEST(TimerQueue, MovesATimerFifteenTimesAtMost) {
  // The timers of interest, and one a level that makes them be moved to the next.
  constexpr size_t kLevels = 16;
  constexpr size_t kCount = 400;
  TimerQueue queue;
  std::deque<Numbered> timers = some(kCount);
  for (Numbered& timer : timers) queue.arm(timer, at(0xffff'ffff'ffff'fff0));
  std::deque<Numbered> early = some(kLevels);
  for (size_t level = 1; level < kLevels; ++level) {
    queue.arm(early[level], at(0xffff'ffff'ffff'fff0 << (4 * level)));
  }
  const size_t calls = drain(queue, at(0xffff'ffff'ffff'fff0)).calls;
  EXPECT_GT(calls, kCount + 14 * kCount / TimerQueue::kMoves);
  EXPECT_LE(calls, 1 + 3 * (kCount + kLevels) + 15 * kCount / TimerQueue::kMoves);
}

TEST(TimerQueue, BoundsTheNumberOfCalls) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 gen(seed);
    const size_t count = absl::Uniform<size_t>(gen, 1, 2000);
    const int bits = absl::Uniform(absl::IntervalClosed, gen, 1, 63);
    TimerQueue queue;
    std::deque<Numbered> timers = some(static_cast<int>(count));
    for (Numbered& timer : timers) {
      queue.arm(timer, at(absl::Uniform(gen, uint64_t{0}, uint64_t{1} << bits)));
    }
    const Drained drained = drain(queue, kLast);
    ASSERT_EQ(drained.due.size(), count);
    ASSERT_TRUE(std::ranges::is_sorted(drained.due, {}, [&timers](int i) {
      return std::pair(timers[static_cast<size_t>(i)].when(), i);
    }));
    ASSERT_LE(drained.calls, 1 + 3 * count + 15 * count / TimerQueue::kMoves);
  }
}

// A queue beside a map that is in its order.
class Model {
 public:
  Model(uint64_t seed, int count, Instant start)
      : gen_(seed), timers_(some(count)), keys_(static_cast<size_t>(count)), now_(start) {}

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      switch (absl::Uniform(gen_, 0, 8)) {
        case 0:
        case 1:
        case 2: arm(); break;
        case 3: cancel(); break;
        case 4: advance(); break;
        case 5:
          for (int left = absl::Uniform(gen_, 0, 9); left > 0; --left) expire();
          break;
        case 6:
          while (expire()) {
          }
          break;
        case 7:
          // Sometimes everything, in some order.
          if (absl::Bernoulli(gen_, 0.02)) {
            for (size_t j = 0; j < timers_.size(); ++j) cancel(timers_[j]);
          }
          break;
      }
      check();
    }
  }

 private:
  // The instant that counts, and how many had been armed before.
  using Key = std::pair<Instant, uint64_t>;

  size_t index(const Timer& timer) { return static_cast<size_t>(number(&timer)); }
  Numbered& any() { return timers_[absl::Uniform<size_t>(gen_, 0, timers_.size())]; }
  uint64_t any_length() { return gen_() >> absl::Uniform(gen_, 1, 64); }

  Instant any_instant() {
    switch (absl::Uniform(gen_, 0, 12)) {
      case 0: return at(absl::Uniform(absl::IntervalClosed, gen_, uint64_t{0}, now_.ticks));
      case 1: return queue_.reached();
      case 2: return now_;
      case 3: return any().when();
      case 4: return at(UINT64_MAX - absl::Uniform<uint64_t>(gen_, 0, 4));
      case 5:
      case 6: return now_ + ticks(absl::Uniform<uint64_t>(gen_, 0, 40));
      case 7:
      case 8: return coalesced(now_, ticks(any_length()));
      default: return now_ + ticks(any_length());
    }
  }

  void arm() {
    Numbered& timer = any();
    forget(timer);
    const Instant when = any_instant();
    const Key key{std::max(when, queue_.reached()), armed_++};
    keys_[index(timer)] = key;
    order_.emplace(key, timer.number);
    queue_.arm(timer, when);
    ASSERT_EQ(timer.when(), when);
  }

  bool forget(const Timer& timer) { return order_.erase(keys_[index(timer)]) != 0; }

  void cancel() { cancel(any()); }
  void cancel(Numbered& timer) {
    const bool in_time = forget(timer);
    keys_[index(timer)] = Key{};
    ASSERT_EQ(queue_.cancel(timer), in_time);
  }

  void advance() {
    switch (absl::Uniform(gen_, 0, 6)) {
      case 0: now_ = at(now_.ticks - std::min(now_.ticks, any_length())); break;
      case 1: now_ = now_ + ticks(any_length()); break;
      default: now_ = std::max(now_, queue_.next());
    }
    now_ = std::min(now_, kLast);
    latest_ = std::max(latest_, now_);
  }

  // Whether there is more.
  bool expire() {
    const TimerQueue::Step step = queue_.expire(now_);
    // A clock that goes back interrupts the work.
    is_open_ = step.more || (is_open_ && queue_.reached() > now_);
    if (!step.more) {
      EXPECT_EQ(step.due, nullptr);
      EXPECT_GT(queue_.next(), now_);
    }
    if (step.due != nullptr) check_due(*step.due);
    return step.more && !testing::Test::HasFatalFailure();
  }

  void check_due(Timer& timer) {
    ASSERT_FALSE(order_.empty());
    const auto [key, first] = *order_.begin();
    ASSERT_EQ(number(&timer), first);
    ASSERT_LE(key.first, now_);
    ASSERT_EQ(queue_.reached(), key.first);
    forget(timer);
    keys_[index(timer)] = Key{};
  }

  void check() {
    for (Numbered& timer : timers_) {
      ASSERT_EQ(timer.armed(), keys_[index(timer)] != Key{}) << timer.number;
    }
    const Instant earliest = order_.empty() ? never : std::min(order_.begin()->first.first, never);
    const Instant next = queue_.next();
    ASSERT_LE(queue_.reached(), latest_);
    if (!order_.empty()) {
      ASSERT_LE(queue_.reached(), earliest);
    }
    ASSERT_LE(next, earliest);
    if (next == queue_.reached() && is_open_) return;  // some of a slot are still to be moved
    // With so few, all of a slot are looked at whenever its earliest is cancelled.
    if (timers_.size() <= TimerQueue::kLooks + 1) {
      ASSERT_EQ(next, earliest);
    }
  }

  std::mt19937_64 gen_;
  TimerQueue queue_;
  std::deque<Numbered> timers_;
  std::vector<Key> keys_;
  absl::btree_map<Key, int> order_;
  uint64_t armed_ = 1;
  Instant now_;
  Instant latest_ = now_;
  bool is_open_ = false;  // perhaps: `expire` has more to do
};

TEST(TimerQueue, MatchesAnOrderedMap) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    for (const int count : {3, TimerQueue::kLooks + 1, 100}) {
      SCOPED_TRACE(std::to_string(count) + " timers");
      for (const Instant start : {at(0), at(1'000'000'000), at(never.ticks - 0x100000)}) {
        SCOPED_TRACE("from " + std::to_string(start.ticks));
        Model(seed, count, start).run(1000);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Coalesced, IsTheRoundestOfItsWindow) {
  const auto zeros = [](uint64_t instant) { return std::countr_zero(instant); };
  for (uint64_t when = 0; when < 300; ++when) {
    for (uint64_t slack = 0; slack < 300; ++slack) {
      uint64_t roundest = when;
      for (uint64_t i = when; i <= when + slack; ++i) {
        if (zeros(i) > zeros(roundest)) roundest = i;
      }
      ASSERT_EQ(coalesced(at(when), ticks(slack)), at(roundest)) << when << " + " << slack;
    }
  }
}

TEST(Coalesced, StaysInAWindowOfAnySize) {
  std::mt19937_64 gen(1);
  for (int i = 0; i < 10000; ++i) {
    const Instant when = at(std::min(gen() >> absl::Uniform(gen, 0, 64), never.ticks));
    const Duration slack = ticks(gen() >> absl::Uniform(gen, 0, 64));
    const Instant chosen = coalesced(when, slack);
    ASSERT_GE(chosen, when);
    ASSERT_LE(chosen, when + slack);
    // No rounder one: the next and the last that are, are outside.
    if (chosen.ticks == 0) continue;
    const uint64_t rounder = uint64_t{2} << std::countr_zero(chosen.ticks);
    if (rounder == 0) continue;
    ASSERT_LT(chosen.ticks & ~(rounder - 1), when.ticks);
    const uint64_t after = (chosen.ticks | (rounder - 1)) + 1;
    if (after != 0) {
      ASSERT_GT(at(after), when + slack);
    }
  }
}

TEST(Coalesced, IsTheInstantItselfWithoutSlack) {
  for (const Instant when : {at(0), at(1), at(12345), kLast, never}) {
    EXPECT_EQ(coalesced(when, ticks(0)), when);
  }
}

TEST(Coalesced, IsSharedByWindowsThatBothHaveTheRoundestOfThem) {
  std::mt19937_64 gen(1);
  int shared = 0;
  for (int i = 0; i < 10000; ++i) {
    const Instant one = at(absl::Uniform<uint64_t>(gen, 1'000'000, 1'001'000));
    const Instant other = at(absl::Uniform<uint64_t>(gen, 1'000'000, 1'001'000));
    const Duration slack = ticks(1000);
    const Instant first = std::min(one, other);
    const Instant roundest = coalesced(first, std::max(one, other) + slack - first);
    if (roundest < std::max(one, other) || roundest > first + slack) continue;
    ++shared;
    ASSERT_EQ(coalesced(one, slack), roundest);
    ASSERT_EQ(coalesced(other, slack), roundest);
  }
  EXPECT_GT(shared, 4000);
}

TEST(Coalesced, EndsAtNever) {
  EXPECT_EQ(coalesced(never, ticks(UINT64_MAX)), never);
  EXPECT_EQ(coalesced(at(UINT64_MAX), ticks(5)), never);
  EXPECT_EQ(coalesced(at(1), ticks(UINT64_MAX)), at(uint64_t{1} << 63));
}

TEST(Coalesced, ClearsAllLowerBits) {
  for (int bit = 1; bit < 63; ++bit) {
    const uint64_t round = uint64_t{1} << bit;
    EXPECT_EQ(coalesced(at(2), ticks(round - 1)), at(round)) << bit;
  }
}

static_assert([] {
  TimerQueue queue;
  Timer a(+[](Timer&) {});
  Timer b(+[](Timer&) {});
  queue.arm(a, Instant{1000});
  queue.arm(b, Instant{900});
  return queue.cancel(a) && queue.next() == Instant{900} && queue.expire(Instant{900}).due == &b;
}());

}  // namespace
}  // namespace sched::test
