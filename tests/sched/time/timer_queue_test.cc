// The timer queue: its contract line by line.

#include "sched/time/timer_queue.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "hal/time.h"
#include "tests/sched/time/timer_kit.h"

namespace sched::test {
namespace {

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
