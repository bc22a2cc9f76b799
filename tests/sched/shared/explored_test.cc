// The shared scheduler's atomics, on two and three harts in every interleaving: its lock, and what
// the kernel writes on a board while a space reads it.

#include <cstdint>
#include <memory>

#include "gtest/gtest.h"
#include "sched/shared/scheduler.h"
#include "tests/explore/explore.h"

namespace sched::test {
namespace {

using shared::Answer;
using shared::Board;
using shared::Handle;
using shared::Partition;
using shared::Result;
using shared::Scheduler;

constexpr size_t kCapacity = 2;

struct Shared {
  Partition<kCapacity> partition;
  Board board;
  Scheduler<kCapacity> scheduler{partition, board};
};

constexpr auto kNever = [](uint16_t) { return false; };

// Two harts see the same task, and one of them gets it.
EXPLORE(OneOfTwoHartsClaims) {
  const auto shared = std::make_unique<Shared>();
  Handle task;
  ASSERT_EQ(shared->scheduler.add(0, 0, 7, 0, task), Result::done);
  int claims = 0;
  int busy = 0;
  const auto claim = [&](uint16_t hart) {
    Answer answer;
    if (shared->scheduler.peek(kNever, answer) == Result::busy) return void(++busy);
    if (answer.kind != Answer::Kind::task) return;
    EXPECT_EQ(answer.task, 7u);
    switch (shared->scheduler.claim(hart, Handle(answer.handle))) {
      case Result::busy: ++busy; break;
      case Result::refused: break;
      case Result::done: ++claims; break;
    }
  };
  if (!on_each_cpu(explorer, {[&] { claim(0); }, [&] { claim(1); }})) return;
  EXPECT_LE(claims, 1);
  if (busy == 0) EXPECT_EQ(claims, 1);
}

// A task that runs is put to sleep while the kernel wakes it: it is ready afterwards.
EXPLORE(AWakeOfTheKernelsIsNotLost) {
  const auto shared = std::make_unique<Shared>();
  Handle task;
  ASSERT_EQ(shared->scheduler.add(0, 0, 7, 0, task), Result::done);
  ASSERT_EQ(shared->scheduler.claim(0, task), Result::done);
  if (!on_each_cpu(explorer, {[&] { EXPECT_EQ(shared->scheduler.sleep(task), Result::done); },
                              [&] {
                                Board& board = shared->board;
                                board.wakes[0].handle.store(task.word(), std::memory_order_relaxed);
                                board.wakes[0].stamp.store(5, std::memory_order_relaxed);
                                board.woken.store(1, std::memory_order_release);
                              }})) {
    return;
  }
  Answer answer;
  ASSERT_EQ(shared->scheduler.peek(kNever, answer), Result::done);
  EXPECT_EQ(answer.kind, Answer::Kind::task);
}

}  // namespace
}  // namespace sched::test
