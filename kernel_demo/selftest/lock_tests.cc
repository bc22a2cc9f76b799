// What has an owner, on this machine: mutexes, readers and writers. The rest of what each promises
// is tested on the simulated machine (tests/sched/sync); here it is that real interrupts come in
// between.

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <string_view>

#include "kernel_demo/kernel.h"
#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"
#include "kernel_demo/selftest/sync_kit.h"
#include "sched/sync/ceiling_mutex.h"
#include "sched/sync/mutex.h"
#include "sched/sync/recursive_mutex.h"
#include "sched/sync/rw_lock.h"
#include "sched/sync/semaphore.h"

// Tasks that end with a mutex, and mutexes had through answers: what the analysis is to refuse.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"

namespace demo::selftest {
namespace {

using sched::Locked;

// ---- Mutexes

constinit sched::Mutex<S> a, b;

void one_at_a_time(Test& test) {
  static constinit volatile uint64_t inside = 0;
  static constinit uint64_t entered = 0;
  static constinit bool alone = true;
  entered = 0;
  alone = true;
  std::array<S::Life, 4> tasks;
  for (size_t i = 0; i < tasks.size(); ++i) {
    tasks[i] = spawn(
        static_cast<uint16_t>(10 * (i + 1)),
        [](void* own) {
          for (int round = 0; round < 50; ++round) {
            {
              const std::lock_guard lock(a);
              inside = inside + 1;
              ++entered;
              if (round % 3 == 0) S::sleep_for(microseconds(20));
              alone &= inside == 1;
              inside = inside - 1;
            }
            S::sleep_for(microseconds(reinterpret_cast<uintptr_t>(own) * 17));
          }
        },
        reinterpret_cast<void*>(i));
  }
  for (const S::Life& task : tasks) join(task);
  test.expect_equal(entered, 200, "times somebody was in");
  test.expect(alone, "two were in at once");
}

/// Low has the lock, high waits for it, middle is ready; who goes on in which order.
template <typename Lock>
std::string_view order_around(Lock& lock) {
  static constinit Lock* shared = nullptr;
  shared = &lock;
  const S::Life low = spawn(10, [](void*) {
    shared->lock();
    go.take();
    note('l');
    shared->unlock();
  });
  settle();
  const S::Life high = spawn(30, [](void*) {
    shared->lock();
    note('h');
    shared->unlock();
  });
  settle();
  const S::Life middle = spawn(20, [](void*) { note('m'); });
  go.give();
  join(low, high, middle);
  return take_log();
}

void no_inversion(Test& test) {
  struct SemaphoreAsLock {
    void lock() { permits.take(); }
    void unlock() { permits.give(); }
    sched::Semaphore<S> permits{1};
  };
  static constinit SemaphoreAsLock without;
  test.expect(order_around(without) == "mlh", "without inheritance nothing is inverted");
  test.expect(order_around(a) == "lhm", "middle ran before high had its mutex");
}

void chains_inherit(Test& test) {
  const S::Life low = spawn(10, [](void*) {
    a.lock();
    go.take();
    a.unlock();
    note('l');
  });
  settle();
  const S::Life middle = spawn(20, [](void*) {
    b.lock();
    a.lock();
    note('m');
    a.unlock();
    b.unlock();
    note('M');
  });
  settle();
  test.expect_equal(claim_of(low), 20, "the owner counts for");
  const S::Life high = spawn(30, [](void*) {
    b.lock();
    note('h');
    b.unlock();
  });
  settle();
  test.expect_equal(claim_of(middle), 30, "the first of the chain counts for");
  test.expect_equal(claim_of(low), 30, "the end of the chain counts for");
  S::retune(*high.task, {.priority = 40});
  test.expect_equal(claim_of(low), 40, "after new attributes it counts for");
  go.give();
  join(low, middle, high);
  test.expect(take_log() == "mhMl", "they did not go on in order");
}

void several_are_given_back_in_any_order(Test& test) {
  const S::Life low = spawn(10, [](void*) {
    a.lock();
    b.lock();
    go.take();
    a.unlock();  // not the one that it locked last
    go.take();
    b.unlock();
    go.take();
  });
  settle();
  const S::Life for_a = spawn(40, [](void*) { const std::lock_guard lock(a); });
  const S::Life for_b = spawn(30, [](void*) { const std::lock_guard lock(b); });
  settle();
  test.expect_equal(claim_of(low), 40, "with both it counts for");
  step();
  test.expect_equal(claim_of(low), 30, "without the first it counts for");
  step();
  test.expect_equal(claim_of(low), 10, "without any it counts for");
  go.give();
  join(low, for_a, for_b);
}

void what_is_lent_ends_with_the_wait(Test& test) {
  static constinit Locked result{};
  const S::Life low = spawn(10, [](void*) {
    const std::lock_guard lock(a);
    go.take();
  });
  settle();
  const auto wait = [](void*) { result = a.acquire_for(milliseconds(5)); };
  const auto lends = [&](S::Life waiter) {
    settle();
    test.expect_equal(claim_of(low), 30, "while somebody waits the owner counts for");
    return waiter;
  };
  join(lends(spawn(30, wait)));
  test.expect(result == Locked::timed_out, "it did not time out");
  test.expect_equal(claim_of(low), 10, "after a timeout it counts for");
  S::cancel_wait(lends(spawn(30, wait)));
  test.expect_equal(claim_of(low), 10, "after a cancel it counts for");
  settle();
  test.expect(result == Locked::cancelled, "a cancelled wait does not say so");
  S::kill(lends(spawn(30, wait)));
  test.expect_equal(claim_of(low), 10, "after a kill it counts for");
  settle();
  test.expect(result == Locked::killed, "a killed one does not say so");
  go.give();
  join(low);
  test.expect(a.try_lock(), "it is not free");
  a.assert_held();
  a.unlock();
}

void lock_goes_through_kill(Test& test) {
  static constinit bool knew = false;
  const S::Life owner = spawn(10, [](void*) {
    const std::lock_guard lock(a);
    go.take();
  });
  settle();
  const S::Life waiter = spawn(20, [](void*) {
    const std::lock_guard lock(a);
    knew = S::current().kill_requested();
  });
  settle();
  S::cancel_wait(waiter);
  S::kill(waiter);
  settle();
  test.expect(state_of(waiter) == State::blocked, "it came back without the mutex");
  go.give();
  join(owner, waiter);
  test.expect(knew, "the kill was forgotten");
}

void death_of_the_owner_is_told(Test& test) {
  static constinit Locked result{};
  join(spawn(10, [](void*) { (void)a.acquire(); }));
  test.expect(a.acquire() == Locked::owner_died, "the next owner is not told");
  a.assert_held();
  test.expect(a.abandoned(), "it does not say so while it is held");
  a.unlock();
  test.expect(a.acquire() == Locked::done && !a.abandoned(), "the one after is told, too");
  a.assert_held();
  a.unlock();
  const S::Life owner = spawn(10, [](void*) {
    (void)a.acquire();
    (void)go.take();
  });
  settle();
  const S::Life heir = spawn(20, [](void*) {
    result = a.acquire();
    a.assert_held();
    a.unlock();
  });
  settle();
  S::kill(owner);
  join(owner, heir);
  test.expect(result == Locked::owner_died, "the heir of a killed task is not told");
}

void deadlocks_are_refused(Test& test) {
  static constinit Locked result{};
  const S::Life first = spawn(10, [](void*) {
    const std::lock_guard lock(a);
    go.take();
    const std::lock_guard both(b);
  });
  settle();
  const S::Life second = spawn(20, [](void*) {
    const std::lock_guard lock(b);
    go.take();
    go.take();
    result = a.acquire();
  });
  settle();
  go.give();  // the second has it: it is more urgent
  step();     // and then the first: it waits for b
  step();
  join(first, second);
  test.expect(result == Locked::deadlock, "two wait for each other");
  a.lock();
  test.expect(a.acquire() == Locked::deadlock, "a task waits for itself");
  a.unlock();
}

void recursion_counts(Test& test) {
  static constinit sched::RecursiveMutex<S> mutex;
  static constinit bool got = false;
  const auto other_gets_it = [] {
    join(spawn(10, [](void*) {
      got = mutex.try_lock();
      if (got) mutex.unlock();
    }));
    return got;
  };
  for (int i = 0; i < 3; ++i) mutex.lock();
  for (int i = 0; i < 3; ++i) {
    test.expect(!other_gets_it(), "it was free too soon");
    mutex.unlock();
  }
  test.expect(other_gets_it(), "it is not free after as many unlocks");
}

void ceilings_count_at_once(Test& test) {
  static constinit sched::CeilingMutex<S> mutex{50};
  const S::Life low = spawn(10, [](void*) {
    const std::lock_guard lock(mutex);
    go.take();
    note('l');
  });
  settle();
  test.expect_equal(claim_of(low), 50, "whoever has it counts for");
  const S::Life middle = spawn(30, [](void*) { note('m'); });
  go.give();
  join(low, middle);
  test.expect(take_log() == "lm", "somebody below the ceiling ran first");
  test.expect(mutex.acquire() == Locked::above_ceiling, "a task above the ceiling has it");
}

void guards_of_the_standard_do(Test& test) {
  static constinit sched::RwLock<S> lock;
  {
    const std::scoped_lock both(a, b);
    test.expect(a.owner() == &S::current() && b.owner() == &S::current(), "it has not both");
  }
  std::unique_lock unique(a, std::defer_lock);
  test.expect(unique.try_lock(), "it was not free");
  const S::Life waiter = spawn(50, [](void*) { const std::scoped_lock both(b, a); });
  settle();
  test.expect(b.owner() == nullptr, "it has one while it waits for the other");
  unique.unlock();
  join(waiter);
  {
    std::shared_lock reads(lock);
    test.expect(!std::unique_lock(lock, std::try_to_lock).owns_lock(), "it writes while it reads");
  }
  test.expect(std::unique_lock(lock, std::try_to_lock).owns_lock(), "it still reads");
}

// ---- Readers and writers

constinit sched::RwLock<S, 2> readers_and_writers;

void readers_go_together(Test& test) {
  const auto read = [](void*) {
    const std::shared_lock lock(readers_and_writers);
    note('<');
    go.take();
    note('>');
  };
  const S::Life first = spawn(10, read);
  const S::Life second = spawn(20, read);
  settle();
  const S::Life writer = spawn(15, [](void*) {
    const std::unique_lock lock(readers_and_writers);
    note('w');
  });
  settle();
  const S::Life late = spawn(12, [](void*) {
    const std::shared_lock lock(readers_and_writers);
    note('l');
  });
  settle();
  test.expect(take_log() == "<<", "they do not read together, or somebody came in beside them");
  go.give();
  step();
  join(first, second, writer, late);
  test.expect(take_log() == ">>wl", "who came later was before the writer");
}

void writers_lend_to_readers(Test& test) {
  const auto read = [](void* number) {
    const std::shared_lock lock(readers_and_writers);
    S::park();
    note(static_cast<char>(reinterpret_cast<uintptr_t>(number)));
  };
  const S::Life first = spawn(10, read, reinterpret_cast<void*>('1'));
  settle();
  const S::Life second = spawn(20, read, reinterpret_cast<void*>('2'));
  settle();
  const S::Life writer = spawn(50, [](void*) {
    const std::unique_lock lock(readers_and_writers);
    note('w');
  });
  settle();
  test.expect_equal(claim_of(first), 50, "the one that the writer waits for counts for");
  test.expect_equal(claim_of(second), 20, "the other one counts for");
  const S::Life urgent = spawn(60, [](void*) {
    const std::shared_lock lock(readers_and_writers);
    note('u');
  });
  settle();
  test.expect_equal(claim_of(writer), 60, "with a reader behind it the writer counts for");
  test.expect_equal(claim_of(first), 60, "and the one before it for");
  S::wake(first);
  settle();
  test.expect_equal(claim_of(second), 60, "when its turn comes the other one counts for");
  S::wake(second);
  join(first, second, writer, urgent);
  test.expect(take_log() == "12wu", "they did not go on in order");
}

void death_of_a_writer_is_told(Test& test) {
  join(spawn(10, [](void*) { (void)readers_and_writers.acquire(); }));
  for (int i = 0; i < 2; ++i) {
    test.expect(readers_and_writers.acquire_shared() == Locked::owner_died, "a reader is not told");
    readers_and_writers.assert_held_shared();
    readers_and_writers.unlock_shared();
  }
  test.expect(readers_and_writers.acquire() == Locked::owner_died, "a writer is not told");
  readers_and_writers.assert_held();
  readers_and_writers.unlock();
  join(spawn(10, [](void*) { (void)readers_and_writers.acquire_shared(); }));
  test.expect(readers_and_writers.try_lock(), "a reader that ended has not left");
  test.expect(!readers_and_writers.abandoned(), "a reader that ended is told of");
  readers_and_writers.assert_held();
  readers_and_writers.unlock();
}

constexpr Case kCases[] = {
    {"one task at a time has a mutex", one_at_a_time},
    {"who waits for a mutex waits for no task between", no_inversion},
    {"a chain of owners inherits, and follows changes", chains_inherit},
    {"mutexes are given back in any order", several_are_given_back_in_any_order},
    {"what a waiter lends ends with its wait", what_is_lent_ends_with_the_wait},
    {"a lock goes through cancel and kill", lock_goes_through_kill},
    {"the death of an owner is told to the next", death_of_the_owner_is_told},
    {"a deadlock is refused", deadlocks_are_refused},
    {"a recursive mutex is free after as many unlocks", recursion_counts},
    {"a ceiling counts at once, and refuses who is above", ceilings_count_at_once},
    {"the standard's guards take them", guards_of_the_standard_do},
    {"readers go together, and do not keep a writer out", readers_go_together},
    {"who waits to write lends to who reads", writers_lend_to_readers},
    {"the death of a writer is told, of a reader not", death_of_a_writer_is_told},
};

}  // namespace

void run_lock_tests() { run_cases("locks", kCases); }

}  // namespace demo::selftest
