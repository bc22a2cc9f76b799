// Mutexes: exclusion, hand-over, inheritance through chains, and the ends of those who have them.

#include "sched/sync/mutex.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/edf.h"
#include "tests/sched/kernel.h"
#include "tests/sched/sync/lock_kit.h"

namespace sched::test {
namespace {

static_assert(sizeof(Mutex<S>) == 48);

// A task that wants the mutex once, and writes down when it has it.
K::Thread& make_user(K& kernel, Mutex<S>& mutex, const std::string& name,
                     S::Attributes attributes) {
  return kernel.make(
      name,
      [&kernel, &mutex, name] {
        mutex.lock();
        kernel.log(name);
        mutex.unlock();
      },
      attributes);
}

// Whoever wants it claims the owner, who sleeps and is nobody's, with the graph locked: for a CPU
// which may be the claimant's own.
TEST(Mutex, IsInheritedByAnOwnerThatFloats) {
  K kernel({.cpus = 2});
  Mutex<S> mutex;
  auto& owner = kernel.make("owner",
                            [&] {
                              mutex.lock();
                              EXPECT_EQ(S::park(), Woken::by_wake);
                              EXPECT_EQ(effective(S::current()), 9);
                              mutex.unlock();
                              EXPECT_EQ(effective(S::current()), 1);
                            },
                            {.priority = 1});
  auto& waiter = kernel.make("waiter",
                             [&] {
                               mutex.lock();
                               mutex.unlock();
                             },
                             {.priority = 9});
  auto& waker = kernel.make("waker",
                            [&] {
                              S::sleep_for(ticks(100));
                              S::wake(owner);
                            },
                            {.priority = 2});
  kernel.boot([&] {
    kernel.spawn_in({.cpus = {0}, .floats = true}, owner);
    kernel.spawn(waker);
  });
  kernel.world.raise_at(0, 1, at(1050));
  kernel.on_device = [&](uint32_t, auto&) { kernel.spawn(waiter); };
  kernel.finish();
}

TEST(Mutex, ExcludesAndHandsOverToTheMostUrgent) {
  K kernel;
  Mutex<S> mutex;
  auto& middle = make_user(kernel, mutex, "middle", {.priority = 5});
  auto& high = make_user(kernel, mutex, "high", {.priority = 9});
  auto& owner = kernel.make("owner",
                            [&] {
                              mutex.lock();
                              EXPECT_EQ(mutex.owner(), &S::current());
                              kernel.spawn(middle);
                              kernel.spawn(high);
                              EXPECT_FALSE(mutex.try_lock());
                              kernel.log("owner");
                              mutex.unlock();
                              kernel.log("afterwards");
                              EXPECT_TRUE(mutex.try_lock());
                              mutex.unlock();
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"owner", "high", "middle", "afterwards"}));
  EXPECT_EQ(mutex.owner(), nullptr);
}

TEST(Mutex, LendsItsOwnerThePriorityOfTheMostUrgentWaiterAndTakesItBack) {
  K kernel;
  Mutex<S> mutex;
  auto& waits = kernel.make("waits",
                            [&] {
                              mutex.lock();
                              kernel.log("waits");
                              mutex.unlock();
                            },
                            {.priority = 9});
  auto& between = kernel.make("between", [&] { kernel.log("between"); }, {.priority = 5});
  auto& owner =
      kernel.make("owner",
                  [&] {
                    mutex.lock();
                    kernel.spawn(waits);
                    EXPECT_EQ(effective(S::current()), 9);
                    EXPECT_EQ(S::attributes(S::current()).priority, 1);
                    kernel.spawn(between);  // would run at once, were it not for what is inherited
                    kernel.log("owner");
                    mutex.unlock();
                    EXPECT_EQ(effective(S::current()), 1);
                    kernel.log("afterwards");
                  },
                  {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"owner", "waits", "between", "afterwards"}));
}

// A chain of three owners: the last one inherits what the first waiter claims, and each loses it by
// the unlock of its own.
TEST(Mutex, LendsAlongAChain) {
  K kernel;
  Mutex<S> a;
  Mutex<S> b;
  K::Thread* low = nullptr;
  K::Thread* mid = nullptr;
  auto& high = kernel.make("high",
                           [&] {
                             b.lock();
                             kernel.log("high");
                             b.unlock();
                           },
                           {.priority = 9});
  auto& middle = kernel.make("middle",
                             [&] {
                               b.lock();
                               a.lock();
                               EXPECT_EQ(effective(S::current()), 9);
                               kernel.log("middle");
                               a.unlock();
                               b.unlock();
                               EXPECT_EQ(effective(S::current()), 5);
                             },
                             {.priority = 5});
  auto& owner = kernel.make("owner",
                            [&] {
                              a.lock();
                              kernel.spawn(middle);
                              EXPECT_EQ(effective(*low), 5);
                              kernel.spawn(high);
                              EXPECT_EQ(effective(*mid), 9);
                              EXPECT_EQ(effective(*low), 9);
                              a.unlock();
                              EXPECT_EQ(effective(*low), 1);
                            },
                            {.priority = 1});
  low = &owner;
  mid = &middle;
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"middle", "high"}));
}

// Faults that other kernels have had, by name, as in tests/sched/elsewhere_test.cc. Here: an unlock
// takes back all that was inherited, or not what its own mutex has lent.
TEST(Elsewhere, InheritanceIsWrongWithSeveralMutexesHeld) {
  K kernel;
  Mutex<S> a;
  Mutex<S> b;
  auto& for_a = kernel.make("for a",
                            [&] {
                              a.lock();
                              a.unlock();
                            },
                            {.priority = 7});
  auto& for_b = kernel.make("for b",
                            [&] {
                              b.lock();
                              b.unlock();
                            },
                            {.priority = 9});
  auto& owner = kernel.make("owner",
                            [&] {
                              a.lock();
                              b.lock();
                              kernel.spawn(for_a);
                              EXPECT_EQ(effective(S::current()), 7);
                              kernel.spawn(for_b);
                              EXPECT_EQ(effective(S::current()), 9);
                              a.unlock();
                              EXPECT_EQ(effective(S::current()), 9);
                              b.unlock();
                              EXPECT_EQ(effective(S::current()), 1);
                              a.lock();
                              b.lock();
                              b.unlock();
                              a.unlock();
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
}

// What the owner inherited from another CPU ends with the unlock, not with the next interrupt.
TEST(Mutex, LetsTheMoreUrgentRunAtOnceAfterAnUnlockForAnotherCpu) {
  K kernel({.cpus = 2});
  Mutex<S> mutex;
  auto& far = kernel.make("far",
                          [&] {
                            mutex.lock();
                            mutex.unlock();
                          },
                          {.priority = 9});
  auto& between = kernel.make("between", [&] { kernel.log("between"); }, {.priority = 5});
  auto& owner = kernel.make("owner",
                            [&] {
                              mutex.lock();
                              kernel.spawn_on(1, far);
                              Sim::spend(ticks(500));
                              EXPECT_EQ(effective(S::current()), 9);
                              kernel.spawn(between);
                              kernel.log("owner");
                              mutex.unlock();
                              kernel.log("afterwards");
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"owner", "between", "afterwards"}));
}

// A wake that was meant for something else begins a new job, with a later deadline: that is what it
// lends from then on.
TEST(Mutex, LendsTheLaterDeadlineOfAWaiterThatWasWokenInBetween) {
  using D = Kernel<Edf>;
  D kernel;
  Mutex<D::S> mutex;
  const auto attributes = [](uint64_t deadline) {
    return Edf::Attributes{
        .runtime = ticks(50), .deadline = ticks(deadline), .period = ticks(deadline)};
  };
  auto& waits = kernel.make(
      "waits",
      [&] {
        mutex.lock();
        mutex.unlock();
      },
      attributes(200));
  auto& owner = kernel.make(
      "owner",
      [&] {
        mutex.lock();
        kernel.spawn(waits);
        const Edf& policy = kernel.cpu(0).policy();
        const auto lent = [&] { return policy.claim(D::S::current()); };
        EXPECT_EQ(lent(), policy.deadline(waits));
        const Instant before = lent();
        D::S::sleep_for(ticks(1'000));
        D::S::wake(waits);
        D::S::sleep_for(ticks(100));
        EXPECT_GT(policy.deadline(waits), before);
        EXPECT_EQ(lent(), std::min(policy.deadline(waits), policy.deadline(D::S::current())));
        mutex.unlock();
      },
      attributes(20'000));
  kernel.boot_with(owner);
  kernel.finish();
}

// Or was cancelled, or killed: what a waiter lent ends with its wait.
TEST(Elsewhere, TheBoostIsKeptAfterTheWaiterTimedOut) {
  K kernel;
  Mutex<S> mutex;
  const auto gives_up = [&](Locked how) {
    return [&mutex, how] {
      EXPECT_EQ(how == Locked::timed_out ? mutex.acquire_until(at(500)) : mutex.acquire(), how);
    };
  };
  auto& timed = kernel.make("timed", gives_up(Locked::timed_out), {.priority = 9});
  auto& cancelled = kernel.make("cancelled", gives_up(Locked::cancelled), {.priority = 8});
  auto& killed = kernel.make("killed", gives_up(Locked::killed), {.priority = 7});
  auto& owner = kernel.make("owner",
                            [&] {
                              mutex.lock();
                              for (auto* task : {&timed, &cancelled, &killed}) kernel.spawn(*task);
                              EXPECT_EQ(effective(S::current()), 9);
                              hal::sim::Machine::spend(ticks(1000));
                              EXPECT_EQ(effective(S::current()), 8);
                              S::cancel_wait(cancelled);
                              EXPECT_EQ(effective(S::current()), 7);
                              S::kill(killed);
                              EXPECT_EQ(effective(S::current()), 1);
                              mutex.unlock();
                              EXPECT_TRUE(mutex.try_lock());
                              mutex.unlock();
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
}

// The order of who waits, and what the owner inherits, follow.
TEST(Elsewhere, APriorityChangedWhileQueuedLeavesTheListMisordered) {
  K kernel;
  Mutex<S> mutex;
  auto& a = make_user(kernel, mutex, "a", {.priority = 5});
  auto& b = make_user(kernel, mutex, "b", {.priority = 7});
  auto& owner = kernel.make("owner",
                            [&] {
                              mutex.lock();
                              kernel.spawn(a);
                              kernel.spawn(b);
                              EXPECT_EQ(effective(S::current()), 7);
                              EXPECT_TRUE(S::retune(a, {.priority = 11}));
                              EXPECT_EQ(effective(S::current()), 11);
                              EXPECT_TRUE(S::retune(b, {.priority = 12}));
                              EXPECT_TRUE(S::retune(b, {.priority = 3}));
                              EXPECT_EQ(effective(S::current()), 11);
                              EXPECT_TRUE(S::retune(S::current(), {.priority = 2}));
                              EXPECT_EQ(effective(S::current()), 11);
                              mutex.unlock();
                              EXPECT_EQ(effective(S::current()), 2);
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"a", "b"}));
}

TEST(Mutex, RefusesADeadlock) {
  K kernel;
  Mutex<S> a;
  Mutex<S> b;
  auto& other = kernel.make("other",
                            [&] {
                              b.lock();
                              a.lock();
                              a.unlock();
                              b.unlock();
                            },
                            {.priority = 5});
  auto& owner = kernel.make("owner",
                            [&] {
                              a.lock();
                              EXPECT_EQ(a.acquire(), Locked::deadlock);
                              kernel.spawn(other);
                              EXPECT_EQ(b.acquire(), Locked::deadlock);
                              EXPECT_EQ(effective(S::current()), 5);
                              a.unlock();
                              EXPECT_EQ(b.acquire(), Locked::done);
                              b.unlock();
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(a.owner(), nullptr);
  EXPECT_EQ(b.owner(), nullptr);
}

TEST(Mutex, StopsALockThatWouldWaitForItself) {
  K kernel;
  Mutex<S> mutex;
  auto& task = kernel.make("task", [&] {
    mutex.lock();
    mutex.lock();
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), (Panic{"a mutex is waited for by its own owner", "task"}));
}

TEST(Mutex, RefusesAChainThatIsTooDeep) {
  K kernel;
  constexpr size_t kOwners = Mutex<S>::kDeepest + 1;
  std::deque<Mutex<S>> mutexes(kOwners + 1);
  // Task i has mutex i and waits for mutex i - 1: the chain grows by one each time.
  for (size_t i = 0; i <= kOwners; ++i) {
    kernel.make("owner", [&, i] {
      mutexes[i].lock();
      if (i == 0) {
        S::sleep_until(at(900));
      } else {
        EXPECT_EQ(mutexes[i - 1].acquire(), i < kOwners ? Locked::done : Locked::too_deep) << i;
        if (i < kOwners) mutexes[i - 1].unlock();
      }
      mutexes[i].unlock();
    });
  }
  kernel.boot_with_all();
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(Mutex, TellsTheNextOwnerThatTheFormerOneEndedWithIt) {
  K kernel;
  Mutex<S> waited_for;
  Mutex<S> free;
  auto& waits = kernel.make("waits",
                            [&] {
                              EXPECT_EQ(waited_for.acquire(), Locked::owner_died);
                              EXPECT_TRUE(waited_for.abandoned());
                              waited_for.unlock();
                              EXPECT_FALSE(waited_for.abandoned());
                              free.lock();
                              EXPECT_TRUE(free.abandoned());
                              free.unlock();
                              EXPECT_EQ(free.acquire(), Locked::done);
                              EXPECT_FALSE(free.abandoned());
                              free.unlock();
                            },
                            {.priority = 5});
  auto& owner = kernel.make("owner",
                            [&] {
                              waited_for.lock();
                              free.lock();
                              kernel.spawn(waits);
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
}

// However the end of its owner is held up: until the mutex has been handed over, who waits lends.
TEST(Mutex, InheritsUntilItsEndingOwnerHasHandedItOver) {
  for (uint64_t when = 1000; when < 1100; ++when) {
    K kernel({.interleave = 0, .call_cost = ticks(1)});
    Mutex<S> mutex;
    bool has_it = false;
    auto& waits = kernel.make("waits",
                              [&] {
                                EXPECT_EQ(mutex.acquire(), Locked::owner_died);
                                has_it = true;
                                mutex.unlock();
                              },
                              {.priority = 9});
    auto& between = kernel.make("between",
                                [&] {
                                  S::park();
                                  EXPECT_TRUE(has_it) << when;
                                },
                                {.priority = 5});
    auto& owner = kernel.make("owner",
                              [&] {
                                mutex.lock();
                                kernel.spawn(between);
                                kernel.spawn(waits);
                                hal::sim::Machine::spend(at(1000) - S::now());
                              },
                              {.priority = 1});
    kernel.on_device = [&](uint32_t, S::Interrupt& interrupt) {
      // Whatever else has it computed anew.
      S::retune(waits, {.priority = 8});
      interrupt.wake(between);
    };
    kernel.world.raise_at(0, 1, at(when));
    kernel.boot_with(owner);
    EXPECT_EQ(kernel.run(), End::quiet);
  }
}

TEST(Mutex, StopsAnUnlockByAnotherTask) {
  K kernel;
  Mutex<S> mutex;
  auto& other = kernel.make("other", [&] { mutex.unlock(); }, {.priority = 5});
  auto& owner = kernel.make("owner",
                            [&] {
                              mutex.lock();
                              kernel.spawn(other);
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(),
            (Panic{"unlock of what another task holds, or unbind of its bond", "other"}));
}

TEST(Mutex, AssertsWhoHasIt) {
  K kernel;
  Mutex<S> mutex;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(mutex.acquire(), Locked::done);
    mutex.assert_held();
    mutex.unlock();
    mutex.assert_held();
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), (Panic{"a mutex is not held by who says so", "task"}));
}

// The world's clock, as the standard has clocks.
struct Clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock>;
  static time_point now() { return time_point(duration(S::now().ticks)); }
};

TEST(Mutex, ServesTheGuardsOfTheStandard) {
  K kernel;
  Mutex<S> a;
  Mutex<S> b;
  auto& other = kernel.make("other", [&] {
    std::unique_lock lock(a, std::defer_lock);
    const Instant begin = S::now();
    EXPECT_FALSE(lock.try_lock_for(std::chrono::microseconds(1)));
    EXPECT_EQ(S::now() - begin, ticks(1000));
    EXPECT_FALSE(lock.try_lock_until(Clock::now() + std::chrono::nanoseconds(500)));
    EXPECT_EQ(S::now() - begin, ticks(1500));
    EXPECT_FALSE(lock.try_lock_for(-std::chrono::seconds(1)));
    EXPECT_TRUE(lock.try_lock_for(std::chrono::hours(1)));
  });
  auto& task = kernel.make("task", [&] {
    {
      const std::scoped_lock both(a, b);
      EXPECT_EQ(b.owner(), &S::current());
    }
    std::unique_lock lock(a, std::try_to_lock);
    EXPECT_TRUE(lock.owns_lock());
    kernel.spawn(other);
    S::sleep_until(at(5000));
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(a.owner(), nullptr);
}

TEST(Mutex, ExcludesOnManyCpusAndForgetsNoInheritance) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    std::deque<Mutex<S>> mutexes(3);
    std::vector<int> inside(3);
    int done = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 6; ++i) {
      tasks.push_back(&kernel.make("user",
                                   [&, i] {
                                     for (int n = 0; n < 4; ++n) {
                                       // In the order of their numbers: no deadlock.
                                       const size_t first = static_cast<size_t>(i + n) % 2;
                                       mutexes[first].lock();
                                       EXPECT_EQ(++inside[first], 1);
                                       const Locked second = mutexes[2].acquire_for(ticks(100));
                                       if (has(second)) {
                                         EXPECT_EQ(++inside[2], 1);
                                         hal::sim::Machine::spend(ticks(20));
                                         --inside[2];
                                         mutexes[2].unlock();
                                       }
                                       --inside[first];
                                       mutexes[first].unlock();
                                       ++done;
                                     }
                                     EXPECT_EQ(effective(S::current()), i);
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i) {
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
      }
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(done, 24);
    for (const Mutex<S>& mutex : mutexes) EXPECT_EQ(mutex.owner(), nullptr);
  }
}

}  // namespace
}  // namespace sched::test
