// Message queues: the order of messages, who is served by whom, and every way in which a wait ends.

#include "sched/sync/message_queue.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

// Where the try forms may be called.
void in_boot(std::function<void()> code) {
  K kernel;
  kernel.boot(std::move(code));
  EXPECT_EQ(kernel.run(), End::quiet);
}

template <uint32_t kCapacity>
using Ints = MessageQueue<S, int, kCapacity>;

TEST(MessageQueue, GivesInTheOrderInWhichWasSent) {
  in_boot([] {
    Ints<3> queue;
    int got = 0;
    EXPECT_FALSE(queue.try_receive(got));
    // Round the end of the storage at each offset.
    for (int round = 0; round < 7; ++round) {
      EXPECT_TRUE(queue.try_send(round));
      EXPECT_TRUE(queue.try_send(round + 100));
      EXPECT_EQ(queue.size(), 2u);
      EXPECT_TRUE(queue.try_send(round + 200));
      EXPECT_FALSE(queue.try_send(-1));
      for (int hundreds : {0, 100, 200}) {
        EXPECT_TRUE(queue.try_receive(got));
        EXPECT_EQ(got, round + hundreds);
      }
      EXPECT_FALSE(queue.try_receive(got));
      EXPECT_TRUE(queue.try_send(0));
      EXPECT_TRUE(queue.try_receive(got));
    }
  });
}

TEST(MessageQueue, MovesWhatCannotBeCopiedAndOnlyIfItIsSent) {
  in_boot([] {
    auto shared = std::make_shared<int>(7);
    {
      MessageQueue<S, std::unique_ptr<int>, 1> queue;
      auto a = std::make_unique<int>(1);
      auto b = std::make_unique<int>(2);
      EXPECT_TRUE(queue.try_send(std::move(a)));
      EXPECT_FALSE(queue.try_send(std::move(b)));
      EXPECT_NE(b, nullptr);
      std::unique_ptr<int> got;
      EXPECT_TRUE(queue.try_receive(got));
      EXPECT_EQ(*got, 1);

      MessageQueue<S, std::shared_ptr<int>, 2> kept;
      PriorityMessageQueue<S, std::shared_ptr<int>, 2, 2> also_kept;
      EXPECT_TRUE(kept.try_send(std::shared_ptr(shared)));
      EXPECT_TRUE(also_kept.try_send(std::shared_ptr(shared), 1));
      EXPECT_EQ(shared.use_count(), 3);
    }
    EXPECT_EQ(shared.use_count(), 1);  // the messages went with the queue
  });
}

TEST(MessageQueue, HandsStraightToTheMostUrgentReceiverAndEqualsAsTheyCame) {
  K kernel;
  Ints<1> queue;
  const auto receiver = [&](std::string name) {
    return [&kernel, &queue, name] {
      int got = 0;
      EXPECT_EQ(queue.receive(got), Waited::done);
      kernel.log(name + std::to_string(got));
    };
  };
  auto& low = kernel.make("low", receiver("low"), {.priority = 3});
  auto& first = kernel.make("first", receiver("first"), {.priority = 5});
  auto& second = kernel.make("second", receiver("second"), {.priority = 5});
  auto& sender = kernel.make("sender",
                             [&] {
                               S::NoPreempt guard;  // one slot is enough: none of them is used
                               for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.try_send(i));
                               EXPECT_EQ(queue.size(), 0u);
                             },
                             {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&low, &first, &second, &sender}) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"first0", "second1", "low2"}));
}

// A fault that other kernels have had, see tests/sched/elsewhere_test.cc. Several tasks wait to
// send, others come to receive and to send: each takes of the right side.
TEST(Elsewhere, AMessageQueueWakesTheWrongSide) {
  K kernel;
  Ints<2> queue;
  const auto sender = [&](int message) {
    return [&kernel, &queue, message] {
      EXPECT_EQ(queue.send(message), Waited::done);
      kernel.log("sent " + std::to_string(message));
    };
  };
  auto& third = kernel.make("third", sender(3), {.priority = 5});
  auto& fourth = kernel.make("fourth", sender(4), {.priority = 6});
  auto& fifth = kernel.make("fifth", sender(5), {.priority = 5});
  auto& receiver = kernel.make("receiver",
                               [&] {
                                 for (int i = 0; i < 5; ++i) {
                                   int got = 0;
                                   EXPECT_EQ(queue.receive(got), Waited::done);
                                   kernel.log("got " + std::to_string(got));
                                   // Still full, or nobody waits: a newcomer overtakes nobody.
                                   EXPECT_EQ(queue.size(), i < 3 ? 2u : 4u - i);
                                 }
                                 int got = 0;
                                 EXPECT_EQ(queue.receive(got), Waited::done);
                                 kernel.log("got " + std::to_string(got));
                               },
                               {.priority = 2});
  auto& last = kernel.make("last", sender(6), {.priority = 1});
  kernel.boot([&] {
    EXPECT_TRUE(queue.try_send(1));
    EXPECT_TRUE(queue.try_send(2));
    for (auto* task : {&third, &fourth, &fifth, &receiver, &last}) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"sent 4", "got 1", "sent 3", "got 2", "sent 5", "got 4", "got 3",
                                 "got 5", "got 6", "sent 6"}));
}

TEST(MessageQueue, ChangesTheOrderWithTheAttributesOfWhoWaits) {
  K kernel;
  Ints<1> queue;
  const auto receiver = [&](std::string name) {
    return [&kernel, &queue, name] {
      int got = 0;
      EXPECT_EQ(queue.receive(got), Waited::done);
      kernel.log(name);
    };
  };
  auto& a = kernel.make("a", receiver("a"), {.priority = 3});
  auto& b = kernel.make("b", receiver("b"), {.priority = 5});
  auto& sender = kernel.make("sender",
                             [&] {
                               EXPECT_TRUE(S::retune(a, {.priority = 9}));
                               EXPECT_EQ(queue.send(1), Waited::done);
                               EXPECT_EQ(queue.send(2), Waited::done);
                             },
                             {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&a, &b, &sender}) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"a", "b"}));
}

TEST(MessageQueue, WaitsNoLongerThanItIsTold) {
  K kernel;
  Ints<1> queue;
  auto& task = kernel.make("task", [&] {
    int got = -1;
    EXPECT_EQ(queue.receive_until(got, at(500)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(500));
    EXPECT_EQ(queue.receive_until(got, at(500)), Waited::timed_out);
    EXPECT_EQ(got, -1);
    EXPECT_EQ(queue.send_until(1, at(500)), Waited::done);
    EXPECT_EQ(queue.send_for(2, ticks(100)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(600));
    EXPECT_EQ(queue.send_until(3, at(600)), Waited::timed_out);
    // What was not sent is not there, and who waited is not served.
    EXPECT_EQ(queue.receive_for(got, ticks(10)), Waited::done);
    EXPECT_EQ(got, 1);
    EXPECT_EQ(queue.receive_for(got, ticks(10)), Waited::timed_out);
    EXPECT_TRUE(queue.try_send(4));
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(MessageQueue, CanBeCancelledAndKilledButKeepsTheMessages) {
  K kernel;
  MessageQueue<S, std::unique_ptr<int>, 1> queue;
  auto& waits =
      kernel.make("waits",
                  [&] {
                    std::unique_ptr<int> got;
                    EXPECT_EQ(queue.receive(got), Waited::cancelled);
                    EXPECT_EQ(queue.send(std::make_unique<int>(1)), Waited::done);
                    auto second = std::make_unique<int>(2);
                    EXPECT_EQ(queue.send(std::move(second)), Waited::cancelled);
                    EXPECT_NE(second, nullptr);
                    EXPECT_EQ(queue.send(std::move(second)), Waited::killed);
                    EXPECT_EQ(queue.send_for(std::move(second), ticks(9)), Waited::killed);
                    EXPECT_NE(second, nullptr);
                    EXPECT_EQ(queue.receive(got), Waited::done);
                    EXPECT_EQ(*got, 1);
                    EXPECT_EQ(queue.receive_for(got, ticks(9)), Waited::killed);
                  },
                  {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              S::cancel_wait(waits);
                              S::cancel_wait(waits);
                              S::kill(waits);
                              EXPECT_EQ(queue.size(), 0u);
                              EXPECT_TRUE(queue.try_send(std::make_unique<int>(3)));
                              EXPECT_EQ(queue.size(), 1u);
                            },
                            {.priority = 1});
  kernel.boot_with(waits, other);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(MessageQueue, IsUsedByInterrupts) {
  K kernel;
  Ints<1> queue;
  auto& receives = kernel.make("receives", [&] {
    int got = 0;
    EXPECT_EQ(queue.receive(got), Waited::done);
    EXPECT_EQ(got, 700);
    EXPECT_EQ(S::now(), at(700));
    EXPECT_EQ(queue.send(1), Waited::done);
    EXPECT_EQ(queue.send(2), Waited::done);
    EXPECT_EQ(S::now(), at(800));
  });
  kernel.on_device = [&](uint32_t line, S::Interrupt&) {
    if (line == 1) {
      EXPECT_TRUE(queue.try_send(700));
    } else {
      int got = 0;
      EXPECT_TRUE(queue.try_receive(got));
      EXPECT_EQ(got, 1);
      EXPECT_EQ(queue.size(), 1u);  // the second has come in
    }
  };
  kernel.boot_with(receives);
  kernel.world.raise_at(0, 1, at(700));
  kernel.world.raise_at(0, 2, at(800));
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(PriorityMessageQueue, GivesTheMostUrgentFirstAndEqualsAsTheyWereSent) {
  in_boot([] {
    PriorityMessageQueue<S, int, 5, 64> queue;
    int got = 0;
    for (int round = 0; round < 3; ++round) {
      EXPECT_TRUE(queue.try_send(1, 0));
      EXPECT_TRUE(queue.try_send(2, 63));
      EXPECT_TRUE(queue.try_send(3, 0));
      EXPECT_TRUE(queue.try_send(4, 1000));  // the highest
      EXPECT_TRUE(queue.try_receive(got));
      EXPECT_EQ(got, 2);
      EXPECT_TRUE(queue.try_send(5, 7));
      EXPECT_TRUE(queue.try_send(6, 0));
      EXPECT_FALSE(queue.try_send(7, 63));
      EXPECT_EQ(queue.size(), 5u);
      for (int message : {4, 5, 1, 3, 6}) {
        EXPECT_TRUE(queue.try_receive(got));
        EXPECT_EQ(got, message);
      }
      EXPECT_FALSE(queue.try_receive(got));
    }
  });
}

TEST(PriorityMessageQueue, TakesInWhoWaitsAtItsLevel) {
  K kernel;
  PriorityMessageQueue<S, int, 2, 4> queue;
  const auto sender = [&](int message, uint32_t level) {
    return [&queue, message, level] { EXPECT_EQ(queue.send(message, level), Waited::done); };
  };
  auto& low = kernel.make("low", sender(3, 3), {.priority = 4});
  auto& high = kernel.make("high", sender(4, 1), {.priority = 5});
  auto& receiver = kernel.make("receiver",
                               [&] {
                                 for (int message : {2, 4, 3, 1}) {
                                   int got = 0;
                                   EXPECT_EQ(queue.receive(got), Waited::done);
                                   EXPECT_EQ(got, message);
                                 }
                                 int got = 0;
                                 EXPECT_EQ(queue.receive_for(got, ticks(5)), Waited::timed_out);
                                 EXPECT_EQ(queue.send_for(5, 1, ticks(5)), Waited::done);
                                 EXPECT_EQ(queue.send_for(6, 1, ticks(5)), Waited::done);
                                 EXPECT_EQ(queue.send_for(7, 1, ticks(5)), Waited::timed_out);
                               },
                               {.priority = 2});
  kernel.boot([&] {
    EXPECT_TRUE(queue.try_send(1, 0));
    EXPECT_TRUE(queue.try_send(2, 2));
    for (auto* task : {&low, &high, &receiver}) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
}

// On three CPUs, with senders and receivers that give up and an interrupt that does both: what was
// sent is received once, or still there, and each sender's messages come in their order.
template <typename Queue, typename Send, typename TrySend>
void conserve(Send send, TrySend try_send) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Queue queue;
    std::map<int, int> sent;        // how many of each sender
    std::vector<int> received[10];  // sender * 100 + number, by who received it
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 3; ++i) {
      tasks.push_back(&kernel.make("sender",
                                   [&, i] {
                                     for (int n = 0; n < 6; ++n) {
                                       const int message = i * 100 + sent[i];
                                       if (send(queue, message, ticks(120)) == Waited::done) {
                                         ++sent[i];
                                       }
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
      tasks.push_back(&kernel.make("receiver",
                                   [&, i] {
                                     for (int n = 0; n < 5; ++n) {
                                       int got = 0;
                                       if (queue.receive_for(got, ticks(150)) == Waited::done) {
                                         received[i].push_back(got);
                                       }
                                       hal::sim::Machine::spend(ticks(30));
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    std::vector<int> by_interrupt;
    kernel.on_device = [&](uint32_t line, S::Interrupt&) {
      int got = 0;
      const int message = 1000 + 100 * static_cast<int>(line);
      if (line % 2 == 1) {
        if (try_send(queue, message)) by_interrupt.push_back(message);
      } else if (queue.try_receive(got)) {
        received[2 + line].push_back(got);
      }
    };
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
    });
    for (uint64_t i = 0; i < 6; ++i)
      kernel.world.raise_at(static_cast<CpuNumber>(i % 3), 1 + static_cast<uint32_t>(i),
                            at(1100 + 90 * i));
    EXPECT_EQ(kernel.run(), End::quiet);
    in_boot([&] {
      int got = 0;
      while (queue.try_receive(got)) received[9].push_back(got);
    });
    std::map<int, int> times;  // each message was received
    for (const auto& messages : received) {
      std::map<int, int> last;  // of each sender
      for (const int message : messages) {
        ++times[message];
        const auto [before, is_first] = last.try_emplace(message / 100, message);
        EXPECT_TRUE(is_first || before->second < message) << message;
        before->second = message;
      }
    }
    size_t all = 0;
    for (const auto& [sender, count] : sent) {
      all += count;
      for (int n = 0; n < count; ++n) EXPECT_EQ(times[sender * 100 + n], 1) << sender << ' ' << n;
    }
    for (const int message : by_interrupt) EXPECT_EQ(times[message], 1) << message;
    EXPECT_EQ(times.size(), all + by_interrupt.size());
  }
}

TEST(MessageQueue, OfManyCpusLosesNoMessageAndDoublesNone) {
  using Queue = Ints<2>;
  conserve<Queue>(
      [](Queue& queue, int message, Duration length) { return queue.send_for(message, length); },
      [](Queue& queue, int message) { return queue.try_send(message); });
}

TEST(PriorityMessageQueue, OfManyCpusLosesNoMessageAndDoublesNone) {
  using Queue = PriorityMessageQueue<S, int, 2, 4>;
  // A sender's messages are all of its level.
  conserve<Queue>(
      [](Queue& queue, int message, Duration length) {
        return queue.send_for(message, static_cast<uint32_t>(message / 100), length);
      },
      [](Queue& queue, int message) { return queue.try_send(message, 3); });
}

struct Sixteen {
  uint64_t words[2];
};
static_assert(sizeof(MessageQueue<S, Sixteen, 10>) == 40 + 160);
static_assert(sizeof(PriorityMessageQueue<S, Sixteen, 10, 4>) == 44 + 4 * 4 + 10 * 2 + 160);
[[maybe_unused]] constinit MessageQueue<S, Sixteen, 10> constant;
[[maybe_unused]] constinit PriorityMessageQueue<S, Sixteen, 10, 4> constant_too;

}  // namespace
}  // namespace sched::test
