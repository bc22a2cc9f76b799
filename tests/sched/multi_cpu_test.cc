// Several virtual CPUs that come in between each other wherever the seed says: nothing is
// lost, nothing happens twice, and everybody's order is kept.
//
// Built once more for ThreadSanitizer (`find_races`): whatever two CPUs touch without the protocol
// of sched/mailbox.h having ordered it is a data race there. So tasks of different CPUs share
// nothing here but atomics, and plain data that a wake or a spawn hands over.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"
#include "tests/sched/seeds.h"

namespace sched::test {
namespace {

// Numbers that a seed decides; the same on every host.
class Random {
 public:
  explicit Random(uint64_t seed) : gen_(seed) {}
  uint64_t below(uint64_t bound) { return absl::Uniform<uint64_t>(gen_, 0, bound); }
  bool once_in(uint64_t times) { return below(times) == 0; }

 private:
  std::mt19937_64 gen_;
};

// Of two to four CPUs.
hal::sim::Options world_of(uint64_t seed) {
  return test::world_of(seed, static_cast<CpuNumber>(2 + seed % 3));
}

// --- Spawn ---

TEST(SpawnOn, RunsEachTaskOnceOnTheCpuThatWasNamed) {
  for_each_seed([](uint64_t seed) {
    Kernel<RoundRobin> kernel(world_of(seed));
    using S = decltype(kernel)::S;
    static constexpr int kTasks = 12;
    std::array<int, kTasks> runs{};  // each its task's own
    for (int i = 0; i < kTasks; ++i) {
      kernel.make("task " + std::to_string(i), [&kernel, &runs, i] {
        EXPECT_EQ(S::here().number, i % kernel.count());
        EXPECT_EQ(S::usage(S::current()).cpu, i % kernel.count());
        ++runs[static_cast<size_t>(i)];
        Sim::spend(ticks(10));
        S::yield();
        EXPECT_EQ(S::here().number, i % kernel.count());
      });
    }
    kernel.boot([&] {
      for (int i = 0; i < kTasks; ++i) {
        kernel.spawn_on(static_cast<CpuNumber>(i % kernel.count()),
                        kernel.threads[static_cast<size_t>(i)]);
      }
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    for (int i = 0; i < kTasks; ++i) {
      EXPECT_EQ(runs[static_cast<size_t>(i)], 1);
      EXPECT_EQ(kernel.threads[static_cast<size_t>(i)].finishes, 1);
    }
  });
}

TEST(SpawnOn, RefusesATaskThatIsOnItsWay) {
  Kernel<RoundRobin> kernel({.cpus = 2, .kick_latency = ticks(1000)});
  auto& task = kernel.make("task", [] {});
  kernel.boot([&] {
    kernel.spawn_on(1, task);
    for (const CpuNumber cpu : {0, 1}) {
      EXPECT_EQ(kernel.try_spawn_on(cpu, task).error(), SpawnError::already_spawned);
    }
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

// Only there does the policy see the attributes: the sink gets a task that has not run.
TEST(SpawnOn, GivesATaskThatThePolicyRefusesToTheSink) {
  for_each_seed([](uint64_t seed) {
    Kernel<FixedPriority> kernel(world_of(seed));
    using S = decltype(kernel)::S;
    int runs = 0;
    auto& task = kernel.make("task", [&] { ++runs; }, {.priority = 256});
    kernel.on_finish = [&](auto& thread) {
      EXPECT_EQ(S::here().number, 1);
      if (thread.finishes == 1) {
        EXPECT_TRUE(thread.refused());
        EXPECT_EQ(runs, 0);
        thread.attributes = {.priority = 7};
        kernel.spawn(thread);
      } else {
        EXPECT_FALSE(thread.refused());
      }
    };
    kernel.boot([&] {
      kernel.spawn_on(1, task);
      S::wake(task);
      S::kill(task);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(task.finishes, 2);
    EXPECT_EQ(runs, task.never_ran() ? 0 : 1);  // the kill may have met the second life
  });
}

TEST(SpawnOn, ReachesACpuThatComputesAndOneThatIsGuarded) {
  Kernel<FixedPriority> kernel({.cpus = 2, .kick_latency = ticks(5)});
  using S = decltype(kernel)::S;
  uint64_t began = 0;
  uint64_t guard_ended = 0;
  auto& high = kernel.make("high", [&] { began = Sim::now().ticks; }, {.priority = 2});
  auto& low = kernel.make("low",
                          [&] {
                            {
                              const S::NoPreempt guard;
                              Sim::spend(ticks(1000));
                              guard_ended = Sim::now().ticks;
                            }
                            Sim::spend(ticks(1000));
                          },
                          {.priority = 1});
  kernel.boot([&] {
    kernel.spawn_on(1, low);
    Sim::spend(ticks(100));
    kernel.spawn_on(1, high);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(began, guard_ended);
}

// Its new CPU owns the task, but has not taken it over yet: what is asked for there waits, too.
TEST(SpawnOn, LetsItsNewCpuAskSomethingOfATaskThatIsOnItsWay) {
  Kernel<FixedPriority> kernel({.cpus = 2, .interleave = 0});
  using S = decltype(kernel)::S;
  auto& task = kernel.make("task", [] {
    EXPECT_EQ(S::park(), Woken::by_wake);  // passes
    EXPECT_EQ(S::attributes(S::current()).priority, 3);
  });
  auto& host = kernel.make("host",
                           [&] {
                             const Sim::Irq irq = Sim::mask();
                             Sim::spend(ticks(1000));  // the task arrives meanwhile
                             EXPECT_EQ(task.ownership().owner(), 1);
                             EXPECT_EQ(S::state(task), State::fresh);
                             S::wake(task);
                             EXPECT_TRUE(S::retune(task, {.priority = 3}));
                             EXPECT_EQ(S::state(task), State::fresh);
                             EXPECT_EQ(S::usage(kernel.cpu(1)).stale, 0u);
                             Sim::unmask(irq);
                           },
                           {.priority = 5});
  kernel.boot([&] {
    kernel.spawn_on(1, host);
    Sim::spend(ticks(100));
    kernel.spawn_on(1, task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

// --- Wakes ---

// A producer and its consumers, all of them on CPU 0. A round: the producer stores a number and
// wakes the consumers one after the other; the last to be done wakes the producer.
struct Party {
  static constexpr int kConsumers = 5;
  using K = Kernel<Fifo>;
  using S = K::S;

  Party(K& kernel, CpuNumber cpu, int rounds, uint64_t seed) : cpu(cpu), random(seed + cpu) {
    for (int i = 0; i < kConsumers; ++i) {
      consumers[static_cast<size_t>(i)] = &kernel.make("consumer", [this, i, rounds] {
        for (int round = 1; round <= rounds; ++round) {
          S::park();
          // Exactly once per round, in order, and the producer's store can be seen.
          EXPECT_EQ(stored[static_cast<size_t>(i)], round);
          EXPECT_EQ(next++, i + (round - 1) * kConsumers);
          if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == round * kConsumers &&
              producer != nullptr) {
            S::wake(*producer);
          }
        }
      });
    }
  }

  void make_producer(K& kernel, int rounds) {
    producer = &kernel.make("producer", [this, rounds] {
      for (int round = 1; round <= rounds; ++round) {
        post(round, [](S::Task& task) { S::wake(task); });
        while (done.load(std::memory_order_acquire) < round * kConsumers) S::park();
        EXPECT_EQ(done.load(), round * kConsumers);
        // The last one may be awake still, and would pass its next park before its turn.
        while (round < rounds && !all_blocked()) {
          Sim::spend(ticks(10));
          S::yield();
        }
      }
    });
  }

  template <typename Wake>
  void post(int round, const Wake& wake) {
    for (int i = 0; i < kConsumers; ++i) {
      stored[static_cast<size_t>(i)] = round;
      wake(*consumers[static_cast<size_t>(i)]);
      if (random.once_in(3)) Sim::spend(ticks(random.below(30)));
    }
  }

  bool all_blocked() const {
    return std::all_of(consumers.begin(), consumers.end(), [](const K::Thread* consumer) {
      return S::state(*consumer) == State::blocked;
    });
  }

  void spawn(K& kernel) {
    for (K::Thread* consumer : consumers) kernel.spawn(*consumer);
    if (producer != nullptr) kernel.spawn_on(cpu, *producer);
  }

  const CpuNumber cpu;
  Random random;
  std::array<K::Thread*, kConsumers> consumers{};
  K::Thread* producer = nullptr;
  std::array<int, kConsumers> stored{};
  int next = 0;  // what happens next, if in order; CPU 0's
  std::atomic<int> done{0};
};

TEST(Mail, WakesEachTaskOncePerRoundInOrderPerProducer) {
  static constexpr int kRounds = 10;
  for_each_seed([](uint64_t seed) {
    Kernel<Fifo> kernel(world_of(seed));
    Random random(seed);
    // A producer on each CPU, CPU 0 included, and the interrupts of CPU 0.
    std::deque<Party> parties;
    for (CpuNumber cpu = 0; cpu < kernel.count(); ++cpu) {
      parties.emplace_back(kernel, cpu, kRounds, seed);
      parties.back().make_producer(kernel, kRounds);
    }
    Party& interrupts = parties.emplace_back(kernel, CpuNumber{0}, kRounds, seed);
    uint32_t round = 0;
    kernel.on_device = [&](uint32_t line, auto& interrupt) {
      ASSERT_EQ(line, ++round);
      interrupts.post(static_cast<int>(round), [&](auto& task) { interrupt.wake(task); });
      EXPECT_EQ(interrupts.done.load(), static_cast<int>(round - 1) * Party::kConsumers);
    };
    for (uint32_t line = 1; line <= kRounds; ++line) {
      kernel.world.raise_at(0, line, at(line * 100'000));
    }
    kernel.boot([&] {
      for (Party& party : parties) party.spawn(kernel);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    for (const Party& party : parties) {
      EXPECT_EQ(party.done.load(), kRounds * Party::kConsumers);
      EXPECT_EQ(party.next, kRounds * Party::kConsumers);
    }
    for (const auto& thread : kernel.threads) EXPECT_EQ(thread.finishes, 1) << thread.text;
  });
}

// Two CPUs wake the same task while its own is masked; the second wake is merged with the first.
// What either stored before can be seen by the task.
TEST(Mail, ShowsWhatWasStoredBeforeAMergedWake) {
  for (const CpuNumber second : {1, 2}) {
    Kernel<Fifo> kernel({.cpus = 3, .interleave = 0, .find_races = true});
    using S = decltype(kernel)::S;
    std::array<int, 2> stored{};
    auto& task = kernel.make("task", [&] {
      S::park();
      EXPECT_EQ(stored[0], 1);
      EXPECT_EQ(stored[1], 2);
    });
    auto& busy = kernel.make("busy", [] {
      const Sim::Irq irq = Sim::mask();
      Sim::spend(ticks(1000));
      Sim::unmask(irq);
    });
    std::array<decltype(kernel)::Thread*, 2> wakers{};
    for (size_t i = 0; i < 2; ++i) {
      wakers[i] = &kernel.make("waker", [&, i] {
        Sim::spend(ticks(100 + 100 * i));
        stored[i] = static_cast<int>(i + 1);
        S::wake(task);
      });
    }
    kernel.boot([&] {
      kernel.spawn(task);
      kernel.spawn(busy);
      kernel.spawn_on(1, *wakers[0]);
      kernel.spawn_on(second, *wakers[1]);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(task.finishes, 1);
  }
}

TEST(Mail, OfATaskThatHasFinishedIsCountedAsStaleByItsSender) {
  Kernel<Fifo> kernel({.cpus = 2});
  using S = decltype(kernel)::S;
  auto& task = kernel.make("task", [] {});
  auto& other = kernel.make("other", [&] {
    Sim::spend(ticks(1000));
    S::wake(task);
    S::kill(task);
    EXPECT_EQ(S::usage(kernel.cpu(1)).stale, 2u);
    EXPECT_FALSE(S::retune(task, {}));
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn_on(1, other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

// Mail comes while the CPU has kicked itself for the rest of what it had before: the two kicks are
// one, and still nothing stays behind.
TEST(Mail, IsHandledWhenItsKickMergesWithTheReceiversOwn) {
  Kernel<Fifo> kernel({.cpus = 2, .interleave = 0, .kick_latency = ticks(100)});
  using S = decltype(kernel)::S;
  for (int i = 0; i < 3; ++i) kernel.make("task", [] { S::park(); });
  auto& busy = kernel.make("busy", [&] {
    Sim::spend(ticks(1000));
    EXPECT_EQ(S::usage(kernel.cpu(0)).wakes, 3u);  // before the idle task has looked for mail
  });
  auto& waker = kernel.make("waker", [&] {
    S::wake(kernel.threads[0]);
    S::wake(kernel.threads[1]);  // in the interrupt after the next
    Sim::spend(ticks(150));
    S::wake(kernel.threads[2]);
  });
  kernel.boot([&] {
    for (auto& thread : kernel.threads) {
      if (&thread != &waker) kernel.spawn(thread);
    }
    kernel.spawn_on(1, waker);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(busy.finishes, 1);
}

// However much mail there is, one interrupt handles a bounded part of it.
// However late a kick that the CPU sends to itself: a task that its mail has suspended does not run
// on into a wait.
TEST(Mail, ThatSuspendsTheRunningTaskStopsItAtOnce) {
  for (uint64_t when = 500; when <= 900; when += 50) {
    Kernel<FixedPriority> kernel({.cpus = 2, .interleave = 0, .kick_latency = ticks(100)});
    using S = decltype(kernel)::S;
    auto& task = kernel.make("task", [&] {
      Sim::spend(ticks(1000));
      S::sleep_for(ticks(1));
    });
    auto& other = kernel.make("other", [&] {
      Sim::spend(ticks(when));
      EXPECT_TRUE(S::suspend(task));
      Sim::spend(ticks(1000));
      EXPECT_TRUE(S::resume(task));
    });
    kernel.boot([&] {
      kernel.spawn(task);
      kernel.spawn_on(1, other);
    });
    EXPECT_EQ(kernel.run(), End::quiet) << when;
    EXPECT_EQ(task.finishes, 1) << when;
  }
}

// Nor one that an interrupt suspends while the switch for a task that came by mail is on its way.
TEST(Mail, DoesNotKeepASuspendedTaskRunningByASwitchThatIsToCome) {
  for (uint64_t when = 1900; when <= 2300; when += 20) {
    Kernel<FixedPriority> kernel({.cpus = 2, .interleave = 0, .kick_latency = ticks(100)});
    using S = decltype(kernel)::S;
    auto& urgent = kernel.make("urgent", [] { S::park(); }, {.priority = 9});
    auto& task = kernel.make("task", [&] {
      Sim::spend(at(when + 10) - S::now());
      S::sleep_for(ticks(1));
    });
    auto& other = kernel.make("other", [&] {
      Sim::spend(at(1900) - S::now());
      S::wake(urgent);  // handled by a kick at 2000, the switch is for another one at 2100
    });
    kernel.on_device = [&](uint32_t line, auto&) {
      EXPECT_TRUE(line == 1 ? S::suspend(task) : S::resume(task)) << when;
    };
    kernel.world.raise_at(0, 1, at(when));
    kernel.world.raise_at(0, 2, at(5000));
    kernel.boot([&] {
      kernel.spawn(urgent);
      kernel.spawn(task);
      kernel.spawn_on(1, other);
    });
    EXPECT_EQ(kernel.run(), End::quiet) << when;
    EXPECT_EQ(task.finishes, 1) << when;
  }
}

TEST(Mail, IsHandledInBoundedPortions) {
  const auto longest_interrupt = [](int tasks) {
    Kernel<Fifo> kernel({.cpus = 2, .interleave = 0, .call_cost = ticks(1)});
    using S = decltype(kernel)::S;
    int woken = 0;
    std::vector<int> order;
    auto& busy = kernel.make("busy", [&] {
      for (int i = 0; i < tasks; ++i) S::yield();  // let them park
      const Sim::Irq irq = Sim::mask();
      Sim::spend(ticks(100'000));
      Sim::unmask(irq);
      Sim::spend(ticks(100'000));  // handled by interrupts, not by the idle task
      EXPECT_EQ(S::usage(kernel.cpu(0)).wakes, static_cast<uint64_t>(tasks));
    });
    auto& waker = kernel.make("waker", [&] {
      Sim::spend(ticks(50'000));
      for (int i = 0; i < tasks; ++i) S::wake(kernel.threads[static_cast<size_t>(2 + i)]);
    });
    for (int i = 0; i < tasks; ++i) {
      kernel.make("task", [&, i] {
        S::park();
        ++woken;
        order.push_back(i);
      });
    }
    kernel.boot([&] {
      for (auto& thread : kernel.threads) {
        if (&thread != &waker) kernel.spawn(thread);
      }
      kernel.spawn_on(1, waker);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(woken, tasks);
    for (int i = 0; i < tasks; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
    EXPECT_EQ(busy.finishes, 1);
    EXPECT_GE(kernel.world.report(0).kick_interrupts, static_cast<uint64_t>(tasks));
    return kernel.longest_interrupt();
  };
  EXPECT_EQ(longest_interrupt(32), longest_interrupt(4));
}

// --- Kill ---

TEST(RemoteKill, ReachesATaskWhateverItDoes) {
  for_each_seed([](uint64_t seed) {
    Kernel<RoundRobin> kernel(world_of(seed));
    using S = decltype(kernel)::S;
    Random random(seed);
    static constexpr int kTasks = 8;
    for (int i = 0; i < kTasks; ++i) {
      const uint64_t work = random.below(100);
      kernel.make("task",
                  [i, work] {
                    switch (i % 3) {
                      case 0: break;  // parks at once
                      case 1: Sim::spend(ticks(work)); break;
                      default:
                        while (!S::current().kill_requested()) {
                          Sim::spend(ticks(7));
                          S::yield();
                        }
                    }
                    while (S::park() != Woken::by_kill) continue;
                    EXPECT_TRUE(S::current().kill_requested());
                  },
                  {.slice = ticks(2000)});
    }
    auto& killer = kernel.make("killer", [&] {
      for (int i = 0; i < kTasks; ++i) {
        Sim::spend(ticks(random.below(60)));
        S::wake(kernel.threads[static_cast<size_t>(i)]);
        S::kill(kernel.threads[static_cast<size_t>(i)]);
      }
    });
    kernel.boot([&] {
      for (int i = 0; i < kTasks; ++i) {
        kernel.spawn_on(static_cast<CpuNumber>(i % kernel.count()),
                        kernel.threads[static_cast<size_t>(i)]);
      }
      kernel.spawn_on(1, killer);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    for (const auto& thread : kernel.threads) EXPECT_EQ(thread.finishes, 1);
  });
}

// --- Retune ---

TEST(RemoteRetune, ArrivesAndTheLatestWins) {
  for_each_seed([](uint64_t seed) {
    Kernel<FixedPriority> kernel(world_of(seed));
    using S = decltype(kernel)::S;
    Random random(seed);
    auto& target = kernel.make("target",
                               [&] {
                                 while (S::park() != Woken::by_kill) continue;
                                 EXPECT_EQ(S::attributes(S::current()).priority, 42);
                               },
                               {.priority = 5});
    auto& tuner = kernel.make("tuner", [&] {
      for (uint16_t i = 0; i < 20; ++i) {
        EXPECT_TRUE(S::retune(target, {.priority = static_cast<uint16_t>(100 + i)}));
        if (random.once_in(2)) S::wake(target);
        Sim::spend(ticks(random.below(20)));
      }
      EXPECT_TRUE(S::retune(target, {.priority = 42}));
      Sim::spend(ticks(10'000));
      S::kill(target);
    });
    kernel.boot([&] {
      kernel.spawn(target);
      kernel.spawn_on(1, tuner);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(target.finishes, 1);
  });
}

TEST(RemoteRetune, ThatIsRefusedKeepsTheAttributesAndIsCountedThere) {
  Kernel<FixedPriority> kernel({.cpus = 2});
  using S = decltype(kernel)::S;
  auto& target = kernel.make("target",
                             [&] {
                               S::park();
                               EXPECT_EQ(S::attributes(S::current()).priority, 5);
                               EXPECT_EQ(S::usage(kernel.cpu(0)).stale, 1u);
                             },
                             {.priority = 5});
  auto& tuner = kernel.make("tuner", [&] {
    Sim::spend(ticks(100));
    EXPECT_TRUE(S::retune(target, {.priority = 256}));  // nobody can tell yet
    Sim::spend(ticks(100));
    S::wake(target);
  });
  kernel.boot([&] {
    kernel.spawn(target);
    kernel.spawn_on(1, tuner);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(target.finishes, 1);
}

// It is admitted with what it was spawned with, and given the other attributes then.
TEST(RemoteRetune, OfATaskOnItsWayComesAfterItsArrival) {
  for (const uint16_t priority : {3, 256}) {
    Kernel<FixedPriority> kernel({.cpus = 2, .kick_latency = ticks(1000)});
    using S = decltype(kernel)::S;
    const bool is_good = priority == 3;
    auto& task = kernel.make("task",
                             [&] {
                               EXPECT_EQ(S::attributes(S::current()).priority, is_good ? 3 : 5);
                               EXPECT_EQ(S::usage(kernel.cpu(1)).stale, is_good ? 0u : 1u);
                             },
                             {.priority = 5});
    kernel.boot([&] {
      kernel.spawn_on(1, task);
      EXPECT_TRUE(S::retune(task, {.priority = priority}));
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(task.finishes, 1);
    EXPECT_FALSE(task.refused());
  }
}

TEST(RemoteRetune, MayPreemptThere) {
  Kernel<FixedPriority> kernel({.cpus = 2});
  using S = decltype(kernel)::S;
  uint64_t ran_at = 0;
  auto& low = kernel.make("low", [&] { ran_at = Sim::now().ticks; }, {.priority = 1});
  auto& running = kernel.make("running", [] { Sim::spend(ticks(10'000)); }, {.priority = 5});
  auto& tuner = kernel.make("tuner", [&] {
    Sim::spend(ticks(990));
    EXPECT_TRUE(S::retune(low, {.priority = 9}));
  });
  kernel.boot([&] {
    kernel.spawn(running);
    kernel.spawn(low);
    kernel.spawn_on(1, tuner);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(ran_at, 1990u);
}

// --- Everything at once ---

// Tasks that live again and again on one CPU or another, park, sleep, yield, hold guards, move and
// wake each other, while somebody on each CPU wakes, kills, retunes and moves whom he likes, alive
// or not.
template <typename P>
class Storm {
 public:
  static constexpr int kTasks = 6;
  static constexpr int kLives = 5;
  using K = Kernel<P>;
  using S = typename K::S;
  using Attributes = typename S::Attributes;
  using MakeAttributes = Attributes (*)(Random&);

  Storm(uint64_t seed, MakeAttributes attributes)
      : kernel(world_of(seed)), seed_(seed), attributes_(attributes) {
    for (int i = 0; i < kTasks; ++i) {
      Life& life = lives_.emplace_back(seed * 100 + static_cast<uint64_t>(i));
      tasks_.push_back(&kernel.make(
          "task " + std::to_string(i), [this, &life] { live(life); }, attributes_(life.random)));
    }
    for (CpuNumber cpu = 0; cpu < kernel.count(); ++cpu) {
      controllers_.push_back(
          &kernel.make("controller", [this, cpu] { control(Random(seed_ * 1000 + cpu)); }));
    }
    kernel.on_finish = [this](auto& thread) { finish(thread); };
    kernel.boot([this] {
      for (size_t i = 0; i < tasks_.size(); ++i) {
        kernel.spawn_on(static_cast<CpuNumber>(i % kernel.count()), *tasks_[i]);
      }
      for (CpuNumber cpu = 0; cpu < kernel.count(); ++cpu) {
        kernel.spawn_on(cpu, *controllers_[cpu]);
      }
    });
  }

  void run() {
    Invariants invariants(kernel);
    EXPECT_EQ(kernel.run(), End::quiet);
    invariants.expect_nothing_left();
    for (size_t i = 0; i < tasks_.size(); ++i) {
      EXPECT_EQ(tasks_[i]->finishes, kLives);
      EXPECT_EQ(lives_[i].begun + lives_[i].unborn, kLives);
      EXPECT_EQ(lives_[i].ended, lives_[i].begun);
    }
    for (const auto* controller : controllers_) EXPECT_EQ(controller->finishes, 1);
  }

  K kernel;

 private:
  struct Life {
    explicit Life(uint64_t seed) : random(seed) {}
    Random random;
    int begun = 0;
    int ended = 0;
    int unborn = 0;  // killed before its first turn
  };

  void live(Life& life) {
    ++life.begun;
    Random& random = life.random;
    for (int step = 0; step < 8; ++step) {
      switch (random.below(8)) {
        case 0: Sim::spend(ticks(random.below(100))); break;
        case 1: S::yield(); break;
        case 2: {
          const typename S::NoPreempt guard;
          Sim::spend(ticks(random.below(30)));
          S::wake(any(random));
          break;
        }
        case 3: S::wake(any(random)); break;
        case 4: S::retune(S::current(), attributes_(random)); break;
        case 5: S::set_affinity(S::current(), some(random)); break;
        case 6: S::park_until(S::now() + ticks(random.below(100))); break;
        default:
          if (S::park() == Woken::by_kill) step = 8;
      }
    }
    ++life.ended;
  }

  void control(Random random) {
    while (alive_.load(std::memory_order_relaxed) > 0) {
      switch (random.below(6)) {
        case 0: S::kill(any(random)); break;
        case 1: S::retune(any(random), attributes_(random)); break;
        case 2: S::set_affinity(any(random), some(random)); break;
        default: S::wake(any(random)); break;
      }
      Sim::spend(ticks(random.below(50)));
      if (random.once_in(4)) S::yield();
    }
  }

  // In the sink of the CPU where it ended: it lives again on some CPU.
  void finish(typename K::Thread& thread) {
    for (size_t i = 0; i < tasks_.size(); ++i) {
      if (tasks_[i] != &thread) continue;
      if (thread.never_ran()) ++lives_[i].unborn;
      if (thread.finishes == kLives) {
        alive_.fetch_sub(1, std::memory_order_relaxed);
        return;
      }
      Random& random = lives_[i].random;
      thread.attributes = attributes_(random);
      if (random.once_in(2)) {
        kernel.spawn_in({.floats = !random.once_in(3)}, thread);
      } else {
        kernel.spawn_on(static_cast<CpuNumber>(random.below(kernel.count())), thread);
      }
    }
  }

  typename S::CpuSet some(Random& random) const {
    typename S::CpuSet cpus;
    for (CpuNumber cpu = 0; cpu < kernel.count(); ++cpu) {
      if (random.once_in(2)) cpus.insert(cpu);
    }
    return cpus;  // which may be refused
  }

  typename S::Task& any(Random& random) { return *tasks_[random.below(kTasks)]; }

  const uint64_t seed_;
  const MakeAttributes attributes_;
  std::deque<Life> lives_;
  std::vector<typename K::Thread*> tasks_;
  std::vector<typename K::Thread*> controllers_;
  std::atomic<int> alive_{kTasks};
};

TEST(Storm, LosesNobodyUnderRoundRobin) {
  for_each_seed([](uint64_t seed) {
    Storm<RoundRobin>(seed, [](Random& random) {
      return RoundRobin::Attributes{.slice = ticks(500 + random.below(1000))};
    }).run();
  });
}

TEST(Storm, LosesNobodyUnderFixedPriority) {
  for_each_seed([](uint64_t seed) {
    Storm<FixedPriority>(seed, [](Random& random) {
      return FixedPriority::Attributes{.priority = static_cast<uint16_t>(random.below(4))};
    }).run();
  });
}

TEST(Storm, LosesNobodyUnderPreemptionThresholds) {
  for_each_seed([](uint64_t seed) {
    Storm<FixedPriorityThreshold>(seed, [](Random& random) {
      const auto priority = static_cast<uint16_t>(random.below(4));
      return FixedPriorityThreshold::Attributes{
          .priority = priority, .threshold = static_cast<uint16_t>(priority + random.below(3))};
    }).run();
  });
}

}  // namespace
}  // namespace sched::test
