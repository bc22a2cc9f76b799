// Waiting for the first of several things: exactly one serves, and the others keep what they have.

#include "sched/sync/wait_any.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/sync/message_queue.h"
#include "sched/sync/semaphore.h"
#include "tests/sched/kernel.h"
#include "tests/sched/sync/wait_any_kit.h"

namespace sched::test {
namespace {

TEST(WaitAny, TakesTheFirstNamedOfThoseThatNeedNoWaiting) {
  K kernel;
  Semaphore<S> a;
  Semaphore<S> b(2);
  MessageQueue<S, int, 2> queue;
  auto& task = kernel.make("task", [&] {
    int got = 0;
    EXPECT_TRUE(queue.try_send(7));
    EXPECT_EQ(wait_any<S>(never, taking(a), taking(b), receiving(queue, got)), Index(1));
    EXPECT_EQ(b.permits(), 1);
    EXPECT_EQ(queue.size(), 1u);
    EXPECT_EQ(wait_any<S>(at(0), taking(a), receiving(queue, got), taking(b)), Index(1));
    EXPECT_EQ(got, 7);
    EXPECT_EQ(b.permits(), 1);
    // Nothing there, and no time left.
    EXPECT_EQ(wait_any<S>(at(0), taking(a), receiving(queue, got)), ended(Waited::timed_out));
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(WaitAny, IsServedByOneAndLeavesTheOthers) {
  K kernel;
  Semaphore<S> a;
  Semaphore<S> b;
  MessageQueue<S, int, 1> queue;
  PriorityMessageQueue<S, int, 1, 2> urgent;
  const auto once = [&](size_t index) {
    int got = 0;
    int got_urgent = 0;
    EXPECT_EQ(wait_any<S>(never, taking(a), receiving(queue, got), taking(b),
                          receiving(urgent, got_urgent)),
              Index(index));
    EXPECT_EQ(got, index == 1 ? 11 : 0);
    EXPECT_EQ(got_urgent, index == 3 ? 33 : 0);
  };
  auto& waits = kernel.make("waits",
                            [&] {
                              for (size_t index : {2, 1, 0, 3}) once(index);
                              kernel.log("end");
                            },
                            {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              EXPECT_TRUE(b.give());
                              EXPECT_TRUE(queue.try_send(11));
                              EXPECT_TRUE(a.give());
                              EXPECT_TRUE(urgent.try_send(33, 1));
                              EXPECT_EQ(kernel.lines, (Lines{"end"}));
                              // Nobody is left in any line: all is as before.
                              EXPECT_TRUE(b.give());
                              EXPECT_TRUE(a.give());
                              EXPECT_EQ(a.permits() + b.permits(), 2);
                              EXPECT_TRUE(queue.try_send(1));
                              EXPECT_FALSE(queue.try_send(1));
                              EXPECT_TRUE(urgent.try_send(1, 1));
                            },
                            {.priority = 1});
  kernel.boot_with(waits, other);
  EXPECT_EQ(kernel.run(), End::quiet);
}

// All come before the task runs again: the first to come serves, the others keep theirs.
TEST(WaitAny, TakesExactlyOneOfSeveralThatComeAtOnce) {
  K kernel;
  Semaphore<S> a;
  Semaphore<S> b;
  MessageQueue<S, int, 1> queue;
  auto& waits = kernel.make(
      "waits",
      [&] {
        int got = 0;
        EXPECT_EQ(wait_any<S>(never, taking(a), receiving(queue, got), taking(b)), Index(2));
        EXPECT_EQ(got, 0);
        EXPECT_EQ(a.permits(), 1);
        EXPECT_EQ(b.permits(), 0);
        EXPECT_EQ(queue.size(), 1u);
      },
      {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              S::NoPreempt guard;
                              EXPECT_TRUE(b.give());
                              EXPECT_TRUE(queue.try_send(5));
                              EXPECT_TRUE(a.give());
                            },
                            {.priority = 1});
  kernel.boot_with(waits, other);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(WaitAny, MakesRoomForWhoWaitsToSend) {
  K kernel;
  Semaphore<S> a;
  MessageQueue<S, int, 1> queue;
  auto& sends = kernel.make("sends",
                            [&] {
                              EXPECT_EQ(queue.send(1), Waited::done);
                              EXPECT_EQ(queue.send(2), Waited::done);
                              kernel.log("sent");
                            },
                            {.priority = 2});
  auto& waits =
      kernel.make("waits",
                  [&] {
                    for (int message : {1, 2}) {
                      int got = 0;
                      EXPECT_EQ(wait_any<S>(never, taking(a), receiving(queue, got)), Index(1));
                      EXPECT_EQ(got, message);
                    }
                    EXPECT_EQ(kernel.lines, (Lines{"sent"}));
                  },
                  {.priority = 1});
  kernel.boot_with(sends, waits);
  EXPECT_EQ(kernel.run(), End::quiet);
}

// The task finds nothing, and just then something comes of which it must not wait for the next.
TEST(WaitAny, LooksOnceMoreInTheLine) {
  K kernel;
  Semaphore<S> begin;
  Semaphore<S> a;
  MessageQueue<S, int, 1> queue;
  auto& sends = kernel.make("sends",
                            [&] {
                              EXPECT_EQ(begin.take(), Waited::done);
                              EXPECT_EQ(queue.send(1), Waited::done);
                              EXPECT_EQ(queue.send(2), Waited::done);
                              kernel.log("sent");
                            },
                            {.priority = 2});
  auto& waits = kernel.make(
      "waits",
      [&] {
        int got = 0;
        const Nothing starts{.looks = [&] { begin.give(); }, .enters = {}};
        EXPECT_EQ(wait_any<S>(never, receiving(queue, got), starts, taking(a)), Index(0));
        EXPECT_EQ(got, 1);
        EXPECT_EQ(queue.size(), 1u);
        EXPECT_EQ(kernel.lines, (Lines{"sent"}));
        const Nothing gives{.looks = [&] { a.give(); }, .enters = {}};
        EXPECT_EQ(wait_any<S>(never, taking(a), gives), Index(0));
        EXPECT_EQ(a.permits(), 0);
      },
      {.priority = 1});
  kernel.boot_with(sends, waits);
  EXPECT_EQ(kernel.run(), End::quiet);
}

// One serves while the task is on its way to the next, which has something by then, too.
TEST(WaitAny, TakesNothingOnceItHasBeenServed) {
  K kernel;
  Semaphore<S> a;
  Semaphore<S> b;
  Semaphore<S> c;
  MessageQueue<S, int, 1> queue;
  auto& task = kernel.make("task", [&] {
    int got = 0;
    const Nothing both{.looks = {}, .enters = [&] {
                         EXPECT_TRUE(b.give());
                         EXPECT_TRUE(a.give());
                         EXPECT_TRUE(a.give());
                         EXPECT_TRUE(queue.try_send(3));
                       }};
    EXPECT_EQ(wait_any<S>(never, taking(c), taking(a), both, taking(b), receiving(queue, got)),
              Index(1));
    EXPECT_EQ(a.permits(), 1);
    EXPECT_EQ(b.permits(), 1);
    EXPECT_EQ(queue.size(), 1u);
    EXPECT_EQ(got, 0);
    // What is over takes nothing, whoever asks.
    S::Masked masked;
    Waiting<S> waiting(masked);
    auto taking_b = taking(b);
    auto receiving_3 = receiving(queue, got);
    auto one = taking_b.waiter(waiting);
    auto other = receiving_3.waiter(waiting);
    EXPECT_TRUE(waiting.close(&S::relax));
    EXPECT_FALSE(taking_b.enter(one));
    EXPECT_FALSE(receiving_3.enter(other));
    EXPECT_FALSE(one.is_in());
    EXPECT_FALSE(other.is_in());
    EXPECT_EQ(b.permits(), 1);
    EXPECT_EQ(queue.size(), 1u);
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
}

// Retuned between one line and the next.
TEST(WaitAny, EntersEachLineWithWhatItClaimsByThen) {
  K kernel;
  Semaphore<S> a;
  Semaphore<S> b;
  auto& other = kernel.make("other",
                            [&] {
                              EXPECT_EQ(b.take(), Waited::done);
                              kernel.log("other");
                            },
                            {.priority = 5});
  auto& any = kernel.make(
      "any",
      [&] {
        const Nothing retunes{
            .looks = {}, .enters = [] { EXPECT_TRUE(S::retune(S::current(), {.priority = 9})); }};
        EXPECT_EQ(wait_any<S>(never, taking(a), retunes, taking(b)), Index(2));
        kernel.log("any");
      },
      {.priority = 1});
  auto& gives = kernel.make("gives",
                            [&] {
                              b.give();
                              b.give();
                            },
                            {.priority = 0});
  kernel.boot_with(other, any, gives);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"any", "other"}));
}

TEST(WaitAny, WaitsInEachLineAtItsPlace) {
  K kernel;
  Semaphore<S> a;
  Semaphore<S> b;
  auto& any = kernel.make("any",
                          [&] {
                            EXPECT_EQ(wait_any<S>(never, taking(a), taking(b)), Index(1));
                            kernel.log("any");
                          },
                          {.priority = 5});
  const auto taker = [&](std::string name) {
    return [&kernel, &a, name] {
      EXPECT_EQ(a.take(), Waited::done);
      kernel.log(name);
    };
  };
  auto& more = kernel.make("more", taker("more"), {.priority = 7});
  auto& less = kernel.make("less", taker("less"), {.priority = 3});
  auto& other = kernel.make("other",
                            [&] {
                              a.give();
                              // Now before `any`, in both lines.
                              EXPECT_TRUE(S::retune(less, {.priority = 6}));
                              EXPECT_TRUE(S::retune(any, {.priority = 4}));
                              a.give();
                              b.give();
                            },
                            {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&any, &more, &less, &other}) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"more", "less", "any"}));
}

TEST(WaitAny, EndsOtherwiseAndKeepsAll) {
  K kernel;
  Semaphore<S> a;
  MessageQueue<S, int, 1> queue;
  auto& waits = kernel.make("waits",
                            [&] {
                              int got = 0;
                              const auto wait = [&](Instant until) {
                                return wait_any<S>(until, taking(a), receiving(queue, got));
                              };
                              EXPECT_EQ(wait(at(500)), ended(Waited::timed_out));
                              EXPECT_EQ(S::now(), at(500));
                              EXPECT_EQ(wait(never), ended(Waited::cancelled));
                              EXPECT_EQ(wait(at(900)), ended(Waited::killed));
                              EXPECT_EQ(wait(never), ended(Waited::killed));
                              EXPECT_EQ(got, 0);
                            },
                            {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              S::sleep_until(at(600));
                              S::cancel_wait(waits);
                              S::kill(waits);
                              EXPECT_TRUE(a.give());
                              EXPECT_EQ(a.permits(), 1);
                              EXPECT_TRUE(queue.try_send(1));
                              EXPECT_EQ(queue.size(), 1u);
                            },
                            {.priority = 1});
  kernel.boot_with(waits, other);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(WaitAny, IsServedByAnInterrupt) {
  K kernel;
  Semaphore<S> a;
  MessageQueue<S, int, 1> queue;
  auto& task = kernel.make("task", [&] {
    int got = 0;
    EXPECT_EQ(wait_any<S>(at(900), taking(a), receiving(queue, got)), Index(1));
    EXPECT_EQ(S::now(), at(700));
    EXPECT_EQ(got, 70);
    EXPECT_EQ(wait_any<S>(at(900), taking(a), receiving(queue, got)), Index(0));
    EXPECT_EQ(S::now(), at(800));
  });
  kernel.on_device = [&](uint32_t line, S::Interrupt&) {
    EXPECT_TRUE(line == 1 ? queue.try_send(70) : a.give());
  };
  kernel.boot_with(task);
  kernel.world.raise_at(0, 1, at(700));
  kernel.world.raise_at(0, 2, at(800));
  EXPECT_EQ(kernel.run(), End::quiet);
}

// Conservation, with waiters for one and for all, and those who give up.
TEST(WaitAny, OfManyCpusLosesNothingAndTakesNothingTwice) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Semaphore<S> a;
    Semaphore<S> b;
    MessageQueue<S, int, 2> queue;
    int sent = 0;
    int taken[3] = {};
    int64_t sum_sent = 0;
    int64_t sum_taken = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 3; ++i) {
      tasks.push_back(&kernel.make("any",
                                   [&] {
                                     for (int n = 0; n < 6; ++n) {
                                       int got = 0;
                                       const Index index =
                                           wait_any<S>(S::now() + ticks(150), taking(a),
                                                       receiving(queue, got), taking(b));
                                       if (index.has_value()) ++taken[*index];
                                       EXPECT_EQ(got != 0, index == Index(1));
                                       sum_taken += got;
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
      tasks.push_back(&kernel.make("one",
                                   [&, i] {
                                     for (int n = 0; n < 3; ++n) {
                                       int got = 0;
                                       if (i == 0) {
                                         taken[0] += a.take_for(ticks(90)) == Waited::done;
                                       } else if (i == 1) {
                                         taken[1] +=
                                             queue.receive_for(got, ticks(90)) == Waited::done;
                                         sum_taken += got;
                                       } else {
                                         taken[2] += b.try_take();
                                       }
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
      tasks.push_back(&kernel.make("source",
                                   [&, i] {
                                     for (int n = 1; n <= 5; ++n) {
                                       EXPECT_TRUE(a.give());
                                       const int message = 100 * i + n;
                                       if (queue.send_for(message, ticks(70)) == Waited::done) {
                                         ++sent;
                                         sum_sent += message;
                                       }
                                       EXPECT_TRUE(b.give());
                                       hal::sim::Machine::spend(ticks(50));
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>((i + i / 3) % 3), *tasks[i]);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(taken[0] + a.permits(), 15);
    EXPECT_EQ(taken[2] + b.permits(), 15);
    EXPECT_EQ(taken[1] + static_cast<int>(queue.size()), sent);
    K after;
    after.boot([&] {
      for (int got = 0; queue.try_receive(got);) sum_taken += got;
    });
    EXPECT_EQ(after.run(), End::quiet);
    EXPECT_EQ(sum_taken, sum_sent);
  }
}

}  // namespace
}  // namespace sched::test
