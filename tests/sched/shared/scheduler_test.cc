// The shared scheduler: what a space sees of itself, of the others and of the kernel.

#include "sched/shared/scheduler.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/random.h"

namespace sched::shared {
namespace {

constexpr size_t kCapacity = 100;
using Kind = Answer::Kind;

constexpr auto kAlways = [](uint16_t) { return true; };
constexpr auto kNever = [](uint16_t) { return false; };

/// A space, as it sees itself and as the kernel sees it.
struct Space {
  explicit Space(uint16_t number) : board{.self = number} {}

  Handle add(uint64_t task, uint8_t priority = 0) {
    Handle handle;
    result = scheduler.add(0, board.self, task, priority, handle);
    return handle;
  }
  template <typename ShouldSwitch>
  Answer peek(ShouldSwitch should_switch) {
    Answer answer;
    EXPECT_EQ(scheduler.peek(should_switch, answer), Result::done);
    return answer;
  }
  Answer peek() { return peek(kAlways); }
  /// As a kernel does.
  void wake(Handle handle, uint64_t stamp) {
    const uint32_t woken = board.woken;
    Board::Wake& wake = board.wakes[woken % Board::kWakes];
    wake.handle = handle.word();
    wake.stamp = stamp;
    board.woken = woken + 1;
  }

  Partition<kCapacity> partition;
  Board board;
  Scheduler<kCapacity> scheduler{partition, board};
  Result result = Result::busy;
};

TEST(SharedSchedulerTest, AnswersInWords) {
  Space space(1);
  EXPECT_EQ(space.peek().kind, Kind::finished);
  const Handle task = space.add(77);
  Answer answer = space.peek();
  EXPECT_EQ(answer.kind, Kind::task);
  EXPECT_EQ(answer.task, 77u);
  EXPECT_EQ(answer.handle, task.word());
  EXPECT_EQ(space.peek().task, 77u) << "it is still there";
  EXPECT_EQ(space.scheduler.claim(0, task), Result::done);
  EXPECT_EQ(space.scheduler.claim(1, task), Result::refused);
  EXPECT_EQ(space.scheduler.sleep(task), Result::done);
  EXPECT_EQ(space.peek().kind, Kind::no_wake_task);
  EXPECT_EQ(space.scheduler.wake(task), Result::done);
  EXPECT_EQ(space.peek().kind, Kind::task);
  EXPECT_EQ(space.scheduler.remove(task), Result::done);
  EXPECT_EQ(space.scheduler.remove(task), Result::refused);
  EXPECT_EQ(space.peek().kind, Kind::finished);
}

// A space's own tasks, and of those with one representation one.
TEST(SharedSchedulerTest, FindsTasksByWhatTheyAreToTheirSpace) {
  Space space(1);
  Handle foreign;
  EXPECT_EQ(space.scheduler.add(0, 2, 77, 9, foreign), Result::done);
  EXPECT_EQ(space.scheduler.sleep_by(77), Result::refused) << "it is another space's";
  const Handle tasks[] = {space.add(76), space.add(77), space.add(77)};
  EXPECT_EQ(space.scheduler.sleep_by(77), Result::done);
  EXPECT_EQ(space.partition.pool.look(foreign)->state, State::ready);
  EXPECT_EQ(space.partition.pool.look(tasks[0])->state, State::ready);
  EXPECT_EQ(space.partition.pool.look(tasks[1])->state, State::sleeping);
  EXPECT_EQ(space.partition.pool.look(tasks[2])->state, State::ready);
  EXPECT_EQ(space.scheduler.wake_by(77), Result::done);
  EXPECT_EQ(space.partition.pool.look(tasks[1])->state, State::ready);
  EXPECT_EQ(space.scheduler.remove_by(77), Result::done);
  EXPECT_EQ(space.scheduler.remove_by(77), Result::done);
  EXPECT_EQ(space.scheduler.remove_by(77), Result::refused);
  EXPECT_EQ(space.scheduler.wake_by(77), Result::refused);
  EXPECT_NE(space.partition.pool.look(foreign), nullptr);
  EXPECT_EQ(space.peek(kNever).handle, tasks[0].word());
}

// In steps, and also where it was in the partition as it ended.
TEST(SharedSchedulerTest, SweepsWhatASpaceHasLeft) {
  Space kernel(0);
  std::vector<Handle> all;
  for (size_t i = 0; i < kCapacity; ++i) {
    Handle handle;
    EXPECT_EQ(kernel.scheduler.add(0, i % 2 + 1, i, i % 5, handle), Result::done);
    if (i % 3 == 0) EXPECT_EQ(kernel.scheduler.sleep(handle), Result::done);
    if (i % 7 == 0) kernel.scheduler.claim(0, handle);
    all.push_back(handle);
  }
  kernel.partition.lock = 2 + 1;
  EXPECT_EQ(kernel.scheduler.sweep(1, 0, 10), Result::busy) << "somebody else's";
  kernel.partition.lock = 1 + 1;
  EXPECT_EQ(kernel.scheduler.sweep(1, 0, 0), Result::done);
  EXPECT_EQ(kernel.partition.lock, 0u);
  EXPECT_EQ(kernel.partition.pool.size(), kCapacity);
  EXPECT_EQ(kernel.scheduler.sweep(1, 0, 10), Result::done);
  EXPECT_EQ(kernel.partition.pool.size(), kCapacity - 5);
  for (uint32_t begin = 10; begin <= kCapacity; begin += 40) {
    EXPECT_EQ(kernel.scheduler.sweep(1, begin, 40), Result::done);
  }
  for (size_t i = 0; i < kCapacity; ++i) {
    EXPECT_EQ(kernel.partition.pool.look(all[i]) != nullptr, i % 2 == 1) << i;
  }
  // There is room again, and those of the other space are in order.
  for (size_t i = 0; i < kCapacity / 2; ++i) EXPECT_TRUE(kernel.add(i));
}

TEST(SharedSchedulerTest, IsFullAtItsCapacity) {
  Space space(1);
  for (size_t i = 0; i < kCapacity; ++i) EXPECT_TRUE(space.add(i));
  EXPECT_FALSE(space.add(0));
  EXPECT_EQ(space.result, Result::refused);
}

TEST(SharedSchedulerTest, WhoeverIsInItIsNotWaitedFor) {
  Space space(1);
  const Handle task = space.add(1);
  space.partition.lock = 1;
  Answer answer;
  Handle handle;
  EXPECT_EQ(space.scheduler.peek(kAlways, answer), Result::busy);
  EXPECT_EQ(space.scheduler.add(0, 1, 2, 0, handle), Result::busy);
  EXPECT_EQ(space.scheduler.claim(0, task), Result::busy);
  EXPECT_EQ(space.scheduler.wake(task), Result::busy);
  EXPECT_EQ(space.scheduler.sleep(task), Result::busy);
  EXPECT_EQ(space.scheduler.remove(task), Result::busy);
  EXPECT_EQ(space.scheduler.remove_by(1), Result::busy);
  space.partition.lock = 0;
  EXPECT_EQ(space.peek().handle, task.word());
}

/// Two spaces, and a kernel that publishes what the other one has.
TEST(SharedSchedulerTest, YieldsToWhoeverIsFirst) {
  Space one(1);
  Space two(2);
  const auto publish = [](Space& from, Space& to, uint64_t moment) {
    from.peek();
    to.board.heads[from.board.self] = from.partition.head.load();
    to.board.first = from.partition.head.load();
    to.board.clock = moment * kStampsAMoment;
  };
  one.add(10);
  publish(one, two, 1);
  two.add(20);
  two.add(21, 9);
  // A higher priority first, then whoever came first.
  Answer answer = two.peek();
  EXPECT_EQ(answer.task, 21u);
  EXPECT_EQ(two.scheduler.remove(Handle(answer.handle)), Result::done);
  answer = two.peek();
  EXPECT_EQ(answer.kind, Kind::should_yield);
  EXPECT_EQ(answer.space, 1u);
  EXPECT_EQ(two.peek(kNever).task, 20u);
  publish(two, one, 2);
  one.add(11);
  answer = one.peek();
  EXPECT_EQ(answer.task, 10u);
  EXPECT_EQ(one.scheduler.remove(Handle(answer.handle)), Result::done);
  answer = one.peek();
  EXPECT_EQ(answer.kind, Kind::should_yield);
  EXPECT_EQ(answer.space, 2u);
}

TEST(SharedSchedulerTest, YieldsToTheBestOfThoseItWouldSwitchTo) {
  Space one(1);
  one.board.heads[0] = precedence(5, 1);
  one.board.heads[2] = precedence(7, 1);
  one.board.heads[3] = precedence(9, 1);
  one.board.first = precedence(9, 1);
  EXPECT_EQ(one.peek().kind, Kind::finished) << "who has no task needs no turn";
  const Handle task = one.add(1, 6);
  EXPECT_EQ(one.peek().space, 3u);
  EXPECT_EQ(one.peek([](uint16_t space) { return space != 3; }).space, 2u);
  EXPECT_EQ(one.peek(kNever).handle, task.word());
  EXPECT_EQ(one.peek([](uint16_t space) { return space == 0; }).handle, task.word());
}

/// In one partition: the head says whose it is.
TEST(SharedSchedulerTest, MergedIsOneQueue) {
  Space one(1);
  Board board_of_two{.self = 2};
  Scheduler<kCapacity> two(one.partition, board_of_two);
  one.add(10);
  Handle handle;
  EXPECT_EQ(two.add(0, 2, 20, 0, handle), Result::done);
  Answer answer;
  EXPECT_EQ(two.peek(kAlways, answer), Result::done);
  EXPECT_EQ(answer.task, 20u) << "who does not wait sees to its tasks itself";
  board_of_two.waiting = 1 << 1;
  EXPECT_EQ(two.peek(kAlways, answer), Result::done);
  EXPECT_EQ(answer.kind, Kind::should_yield);
  EXPECT_EQ(answer.space, 1u);
  EXPECT_EQ(two.peek(kNever, answer), Result::done);
  EXPECT_EQ(answer.kind, Kind::task);
  EXPECT_EQ(answer.task, 20u);
  EXPECT_EQ(one.peek().task, 10u);
}

// The same story twice: by the calls one by one, and by `next`.
TEST(SharedSchedulerTest, NextIsSleepOrWakeThenPeekThenClaim) {
  Space one(1);
  Space two(1);
  Random random(5);
  Handle running;
  std::vector<Handle> all;
  for (uint64_t round = 1; round < 20'000; ++round) {
    // So that two stamps in the place of one make no difference.
    one.board.clock = two.board.clock = 1'000 * round;
    if (random.below(4) == 0) {
      const auto priority = static_cast<uint8_t>(random.below(3));
      const uint16_t space = random.below(5) == 0 ? 2 : 1;
      Handle in_one, in_two;
      ASSERT_EQ(one.scheduler.add(0, space, 1, priority, in_one),
                two.scheduler.add(0, space, 1, priority, in_two));
      ASSERT_EQ(in_one, in_two);
      all.push_back(in_one);
    }
    if (random.below(8) == 0) {
      const uint64_t other = precedence(1, 1'000 * random.below(round) + 500);
      for (Space* space : {&one, &two}) space->board.heads[3] = space->board.first = other;
    }
    if (random.below(8) == 0) {
      for (Space* space : {&one, &two}) space->board.first = space->board.heads[3] = 0;
    }
    if (running && random.below(3) == 0) {
      ASSERT_EQ(one.scheduler.wake(running), two.scheduler.wake(running));
    }
    const auto wanted = [answer = random.below(3) != 0](uint16_t) { return answer; };
    const bool again = random.below(2) == 0;
    if (running) {
      if (again) one.scheduler.wake(running);
      one.scheduler.sleep(running);
    }
    const Answer expected = one.peek(wanted);
    if (expected.kind == Kind::task) {
      ASSERT_EQ(one.scheduler.claim(3, Handle(expected.handle)), Result::done);
    }
    Answer answer;
    ASSERT_EQ(two.scheduler.next(3, running, again, wanted, answer), Result::done);
    ASSERT_EQ(answer.kind, expected.kind) << round;
    ASSERT_EQ(answer.space, expected.space);
    ASSERT_EQ(answer.handle, expected.handle) << round;
    running = answer.kind == Kind::task ? Handle(answer.handle) : Handle();
    if (running && random.below(8) == 0) {
      ASSERT_EQ(one.scheduler.remove(running), two.scheduler.remove(running));
      running = {};
    }
    // A foreigner's, or one that sleeps, is ended now and then, so that there is always room.
    if (random.below(4) == 0 && !all.empty()) {
      const Handle any = all[random.below(all.size())];
      if (any != running) ASSERT_EQ(one.scheduler.remove(any), two.scheduler.remove(any));
    }
  }
}

TEST(SharedSchedulerTest, TheKernelsWakesAreTakenInTheirOrder) {
  Space space(1);
  const Handle tasks[] = {space.add(0), space.add(1), space.add(2)};
  for (const Handle task : tasks) {
    EXPECT_EQ(space.scheduler.claim(0, task), Result::done);
    EXPECT_EQ(space.scheduler.sleep(task), Result::done);
  }
  space.wake(tasks[2], 5 * kStampsAMoment);
  space.wake(tasks[0], 6 * kStampsAMoment);
  space.wake(Handle(99), 7 * kStampsAMoment);  // of whoever is dead
  space.board.clock = 8 * kStampsAMoment;
  EXPECT_EQ(space.scheduler.wake(tasks[1]), Result::done);
  EXPECT_EQ(space.partition.taken, 3u);
  space.peek();
  EXPECT_EQ(space.partition.head, precedence(0, 5 * kStampsAMoment));
  for (const size_t next : {2u, 0u, 1u}) {
    const Answer answer = space.peek();
    EXPECT_EQ(answer.task, next);
    EXPECT_EQ(space.scheduler.remove(Handle(answer.handle)), Result::done);
  }
}

TEST(SharedSchedulerTest, AWakeOfTheKernelsWhileTheTaskRunsIsNotLost) {
  Space space(1);
  const Handle task = space.add(0);
  EXPECT_EQ(space.scheduler.claim(0, task), Result::done);
  space.wake(task, 5);
  EXPECT_EQ(space.scheduler.sleep(task), Result::done);
  EXPECT_EQ(space.peek().handle, task.word());
}

/// Whatever `taken` says, no more than there can be is looked at.
TEST(SharedSchedulerTest, ALieAboutWakesEnds) {
  Space space(1);
  const Handle task = space.add(0);
  EXPECT_EQ(space.scheduler.sleep(task), Result::done);
  space.wake(task, 5);
  space.partition.taken = 2;
  EXPECT_EQ(space.peek().kind, Kind::task);
  EXPECT_EQ(space.partition.taken, 1u);
}

}  // namespace
}  // namespace sched::shared
