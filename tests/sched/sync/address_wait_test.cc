// Waiting for a word: who is woken, in which order, and every way in which a wait ends.

#include "sched/sync/address_wait.h"

#include <atomic>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;
// One bucket: all addresses are in each other's way.
using Waits = AddressWait<S, 1>;

TEST(AddressWait, WaitsOnlyWhileTheWordHoldsWhatIsExpected) {
  K kernel;
  AddressWait<S, 8> waits;
  std::atomic<uint32_t> word = 1;
  std::atomic<uint8_t> small = 1;
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_EQ(waits.wait(word, 2u), Waited::done);
                             EXPECT_EQ(waits.wait(small, uint8_t{2}), Waited::done);
                             kernel.log("no wait");
                             EXPECT_EQ(waits.wait(word, 1u), Waited::done);
                             kernel.log("woken");
                           },
                           {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              word = 2;
                              EXPECT_EQ(waits.wake(small), 0u);
                              EXPECT_EQ(waits.wake(word, 0), 0u);
                              kernel.log("wakes");
                              EXPECT_EQ(waits.wake(word), 1u);
                              EXPECT_EQ(waits.wake(word), 0u);
                            },
                            {.priority = 1});
  kernel.boot_with(task, other);
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"no wait", "wakes", "woken"}));
}

TEST(AddressWait, WakesSoManyOfAnAddressInOrderAndNobodyElse) {
  K kernel;
  Waits waits;
  std::atomic<int> words[2] = {};
  const auto waiter = [&](std::string name, int word) {
    return [&kernel, &waits, &words, name, word] {
      EXPECT_EQ(waits.wait(words[word], 0), Waited::done);
      kernel.log(name);
    };
  };
  std::vector<K::Thread*> tasks{
      &kernel.make("low", waiter("low", 0), {.priority = 3}),
      &kernel.make("other low", waiter("other low", 1), {.priority = 4}),
      &kernel.make("first", waiter("first", 0), {.priority = 5}),
      &kernel.make("other high", waiter("other high", 1), {.priority = 9}),
      &kernel.make("second", waiter("second", 0), {.priority = 5}),
      &kernel.make("third", waiter("third", 0), {.priority = 5}),
      &kernel.make("waker",
                   [&] {
                     EXPECT_EQ(waits.wake(words[0], 2), 2u);
                     kernel.log("two");
                     EXPECT_EQ(waits.wake_all(words[0]), 2u);
                     kernel.log("all");
                     EXPECT_EQ(waits.wake(words[1], 5), 2u);
                   },
                   {.priority = 1}),
  };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines,
            (Lines{"first", "second", "two", "third", "low", "all", "other high", "other low"}));
}

TEST(AddressWait, ChangesTheOrderWithTheAttributesOfWhoWaits) {
  K kernel;
  Waits waits;
  std::atomic<int> word = 0;
  const auto waiter = [&](std::string name) {
    return [&kernel, &waits, &word, name] {
      EXPECT_EQ(waits.wait(word, 0), Waited::done);
      kernel.log(name);
    };
  };
  auto& a = kernel.make("a", waiter("a"), {.priority = 3});
  auto& b = kernel.make("b", waiter("b"), {.priority = 5});
  auto& waker = kernel.make("waker",
                            [&] {
                              EXPECT_TRUE(S::retune(a, {.priority = 9}));
                              EXPECT_EQ(waits.wake(word), 1u);
                              EXPECT_EQ(waits.wake(word), 1u);
                            },
                            {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&a, &b, &waker}) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"a", "b"}));
}

TEST(AddressWait, WaitsNoLongerThanItIsTold) {
  K kernel;
  Waits waits;
  std::atomic<int> word = 0;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(waits.wait_until(word, 0, at(500)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(500));
    EXPECT_EQ(waits.wait_until(word, 0, at(500)), Waited::timed_out);
    EXPECT_EQ(waits.wait_until(word, 1, at(500)), Waited::done);
    EXPECT_EQ(waits.wait_for(word, 0, ticks(100)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(600));
    EXPECT_EQ(waits.wake(word), 0u);
  });
  kernel.boot_with(task);
  kernel.finish();
}

TEST(AddressWait, LetsGoWhoIsCancelledOrKilled) {
  K kernel;
  Waits waits;
  std::atomic<int> word = 0;
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_EQ(waits.wait(word, 0), Waited::cancelled);
                             EXPECT_EQ(waits.wait(word, 0), Waited::killed);
                             EXPECT_EQ(waits.wait_for(word, 0, ticks(100)), Waited::killed);
                           },
                           {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              S::cancel_wait(task);
                              S::kill(task);
                              EXPECT_EQ(waits.wake_all(word), 0u);
                            },
                            {.priority = 1});
  kernel.boot_with(task, other);
  kernel.finish();
}

TEST(AddressWait, IsWokenByAnInterrupt) {
  K kernel;
  Waits waits;
  std::atomic<int> word = 0;
  std::vector<K::Thread*> tasks;
  for (const char* name : {"a", "b"}) {
    tasks.push_back(&kernel.make(name, [&] {
      EXPECT_EQ(waits.wait(word, 0), Waited::done);
      EXPECT_EQ(S::now(), at(700));
    }));
  }
  kernel.on_device = [&](uint32_t, S::Interrupt&) { EXPECT_EQ(waits.wake_all(word), 2u); };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.world.raise_at(0, 1, at(700));
  kernel.finish();
}

// Two tasks of another CPU that wait again as soon as they are woken are no reason to go on.
TEST(AddressWait, WakesAllWhoWaitedAndNotThoseWhoComeMeanwhile) {
  K kernel({.cpus = 3, .interleave = 1, .call_cost = ticks(1)});
  Waits waits;
  std::atomic<int> word = 0;
  bool is_over = false;
  std::vector<K::Thread*> tasks;
  for (CpuNumber cpu = 1; cpu <= 2; ++cpu) {
    tasks.push_back(&kernel.make("waiter", [&] {
      while (!is_over) EXPECT_EQ(waits.wait_for(word, 0, ticks(20'000)), Waited::done);
    }));
  }
  auto& waker = kernel.make("waker", [&] {
    for (int i = 0; i < 20; ++i) {
      S::sleep_for(ticks(2000));
      if (i == 19) is_over = true;
      EXPECT_EQ(waits.wake_all(word), 2u);
    }
  });
  kernel.boot([&] {
    kernel.spawn_on(1, *tasks[0]);
    kernel.spawn_on(2, *tasks[1]);
    kernel.spawn(waker);
  });
  kernel.finish();
}

// What it is for: a lock of one word. (U. Drepper, "Futexes Are Tricky", 2011: the second mutex.)
class WordLock {
 public:
  explicit WordLock(AddressWait<S, 2>& waits) : waits_(waits) {}
  void lock() {
    int seen = 0;
    if (word_.compare_exchange_strong(seen, 1)) return;
    if (seen != 2) seen = word_.exchange(2);
    while (seen != 0) {
      EXPECT_EQ(waits_.wait(word_, 2), Waited::done);
      seen = word_.exchange(2);
    }
  }
  void unlock() {
    if (word_.exchange(0) == 2) waits_.wake(word_);
  }

 private:
  AddressWait<S, 2>& waits_;
  std::atomic<int> word_ = 0;
};

TEST(AddressWait, OfManyCpusLosesNoWake) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    AddressWait<S, 2> waits;
    WordLock locks[] = {WordLock(waits), WordLock(waits), WordLock(waits)};
    int inside[3] = {};
    int done = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 6; ++i) {
      tasks.push_back(&kernel.make("task",
                                   [&, i] {
                                     for (int n = 0; n < 6; ++n) {
                                       const int which = (i + n) % 3;
                                       locks[which].lock();
                                       EXPECT_EQ(++inside[which], 1);
                                       Sim::spend(ticks(20));
                                       --inside[which];
                                       locks[which].unlock();
                                       ++done;
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
    });
    kernel.finish();
    EXPECT_EQ(done, 36);
  }
}

static_assert(sizeof(AddressWait<S, 8>) == 8 * 32);

}  // namespace
}  // namespace sched::test
