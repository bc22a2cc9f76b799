// The executor: turns, wakes, frames, and what it does about a pool that somebody has written to.

#include "sched/shared/executor.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sched::shared {
namespace {

constexpr size_t kCapacity = 16;
using Shared = Scheduler<kCapacity>;

struct Environment {
  uint16_t number = 1;
  std::function<bool(uint16_t space)> on_yield = [](uint16_t) { return true; };
  std::function<void()> on_busy = [] {};

  uint16_t space() const { return number; }
  uint16_t hart() const { return 0; }
  bool yield_to(uint16_t space) { return on_yield(space); }
  void busy() { on_busy(); }
};
using TestExecutor = Executor<Shared, Environment, 4>;

class ExecutorTest : public testing::Test {
 protected:
  Environment environment_;
  Partition<kCapacity> partition_;
  Board board_{.self = environment_.number};
  FramePool<4, 512> frames_;
  TestExecutor executor_{Shared(partition_, board_), environment_};
  std::string story_;
};

Coroutine count(Frames&, TestExecutor& executor, std::string& story, char name, int turns) {
  for (int i = 0; i < turns; ++i) {
    story += name;
    co_await executor.yield();
  }
}

Coroutine sleep_once(Frames&, TestExecutor& executor, std::string& story) {
  story += '(';
  co_await executor.pending();
  story += ')';
}

Coroutine wake_another(Frames&, TestExecutor& executor, std::string& story, Handle& other) {
  story += 'w';
  executor.wake(other);
  co_return;
}

TEST_F(ExecutorTest, TakesTurnsWithinAPriority) {
  executor_.spawn(count(frames_, executor_, story_, 'a', 3), 1);
  executor_.spawn(count(frames_, executor_, story_, 'b', 2), 1);
  executor_.spawn(count(frames_, executor_, story_, 'H', 2), 9);
  executor_.run();
  EXPECT_EQ(story_, "HHababa");
}

TEST_F(ExecutorTest, SleepsUntilItIsWoken) {
  Handle sleeper = executor_.spawn(sleep_once(frames_, executor_, story_), 0);
  executor_.spawn(count(frames_, executor_, story_, 'a', 2), 0);
  executor_.spawn(wake_another(frames_, executor_, story_, sleeper), 0);
  executor_.run();
  EXPECT_EQ(story_, "(awa)");
}

TEST_F(ExecutorTest, YieldsToNobodyWhenAllSleep) {
  const Handle sleeper = executor_.spawn(sleep_once(frames_, executor_, story_), 0);
  environment_.on_yield = [&](uint16_t space) {
    EXPECT_EQ(space, kNobody);
    story_ += 'y';
    executor_.wake(sleeper);
    return true;
  };
  executor_.run();
  EXPECT_EQ(story_, "(y)");
}

TEST_F(ExecutorTest, YieldsToWhoComesFirstAndGoesOnIfThatOneIsGone) {
  board_.heads[3] = board_.first = precedence(5, 1);
  environment_.on_yield = [&](uint16_t space) {
    EXPECT_EQ(space, 3);
    story_ += 'y';
    return false;
  };
  executor_.spawn(count(frames_, executor_, story_, 'a', 1), 0);
  executor_.run();
  EXPECT_EQ(story_, "yay");
}

TEST_F(ExecutorTest, HasAsManyTasksAsFramesAndGivesThemBack) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 4; ++i) {
      EXPECT_TRUE(executor_.spawn(count(frames_, executor_, story_, 'a', 1), 0));
    }
    EXPECT_FALSE(executor_.spawn(count(frames_, executor_, story_, 'b', 1), 0));
    executor_.run();
  }
  EXPECT_EQ(story_, "aaaaaaaaaaaa");
}

TEST_F(ExecutorTest, ACoroutineThatIsRefusedIsDestroyed) {
  FramePool<1, 512> frames;
  Shared scheduler(partition_, board_);
  Handle handle;
  for (size_t i = 0; i < kCapacity; ++i) scheduler.add(0, 2, 0, 0, handle);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(executor_.spawn(count(frames, executor_, story_, 'a', 1), 0));
  }
  EXPECT_NE(frames.take(512), nullptr) << "its frame has come back each time";
}

TEST_F(ExecutorTest, ALargerFrameThanThereAreIsNone) {
  FramePool<1, 16> frames;
  EXPECT_FALSE(executor_.spawn(count(frames, executor_, story_, 'a', 1), 0));
}

TEST_F(ExecutorTest, TriesAgainWhileSomebodyElseIsInThePool) {
  partition_.lock = 1;
  environment_.on_busy = [&] {
    story_ += '.';
    partition_.lock = 0;
  };
  executor_.spawn(count(frames_, executor_, story_, 'a', 1), 0);
  executor_.run();
  EXPECT_EQ(story_, ".a");
}

// A pool of which somebody has made one without tasks.
TEST_F(ExecutorTest, SaysThatItsTasksAreLost) {
  Handle handles[2];
  for (Handle& handle : handles) {
    handle = executor_.spawn(sleep_once(frames_, executor_, story_), 0);
  }
  environment_.on_yield = [&](uint16_t) {
    Shared scheduler(partition_, board_);
    for (const Handle handle : handles) scheduler.remove(handle);
    return true;
  };
  EXPECT_FALSE(executor_.run());
  EXPECT_EQ(executor_.live(), 2u);
  EXPECT_FALSE(executor_.run()) << "it stays so";
  executor_.abandon();
  EXPECT_EQ(executor_.live(), 0u);
  EXPECT_TRUE(executor_.run()) << "there is nothing left to run";
  // All frames have come back.
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(executor_.spawn(count(frames_, executor_, story_, 'a', 1), 0));
  }
  EXPECT_TRUE(executor_.run());
  EXPECT_EQ(story_, "((aaaa");
}

/// A scheduler that says of a place without a task that it is to run, by no handle at all.
struct Liar {
  template <typename ShouldSwitch>
  Result next(uint16_t, Handle, bool, ShouldSwitch, Answer& answer) {
    answer = {.kind = ++*calls < 3 ? Answer::Kind::task : Answer::Kind::finished, .task = 1};
    return Result::done;
  }
  Result add(uint16_t, uint16_t, uint64_t, uint8_t, Handle& handle) {
    handle = Handle(1, 0, 0);
    return Result::done;
  }
  Result wake(Handle) { return Result::refused; }
  Result remove(Handle) { return Result::refused; }

  int* calls;
};

TEST_F(ExecutorTest, PollsNothingForNoHandle) {
  int calls = 0;
  Executor<Liar, Environment, 4> executor(Liar{&calls}, environment_);
  executor.spawn(count(frames_, executor_, story_, 'a', 1), 0);
  EXPECT_FALSE(executor.run());
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(story_, "");
  executor.abandon();
}

// Whatever tasks the pool says there are, only this executor's own run.
TEST_F(ExecutorTest, FollowsNothingThatThePoolSays) {
  Shared scheduler(partition_, board_);
  Handle handle;
  for (const uint64_t task : {uint64_t{0}, uint64_t{3}, uint64_t{77}, UINT64_MAX}) {
    EXPECT_EQ(scheduler.add(0, environment_.number, task, 5, handle), Result::done);
  }
  executor_.spawn(count(frames_, executor_, story_, 'a', 2), 0);
  executor_.run();
  EXPECT_EQ(story_, "aa");
}

}  // namespace
}  // namespace sched::shared
