// What tasks wait for, on this machine: permits, mutexes and who has them, the life of a task as
// others see it. The rest of what each promises is tested on the simulated machine
// (tests/sched/sync); here it is that real interrupts come in between.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <string_view>

#include "kernel_demo/kernel.h"
#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"
#include "sched/sync/address_wait.h"
#include "sched/sync/barrier.h"
#include "sched/sync/ceiling_mutex.h"
#include "sched/sync/condition_variable.h"
#include "sched/sync/event_flags.h"
#include "sched/sync/latch.h"
#include "sched/sync/message_queue.h"
#include "sched/sync/mutex.h"
#include "sched/sync/once.h"
#include "sched/sync/recursive_mutex.h"
#include "sched/sync/rw_lock.h"
#include "sched/sync/semaphore.h"
#include "sched/sync/seq_lock.h"
#include "sched/sync/spin_lock.h"
#include "sched/sync/wait_any.h"

// Tasks that end with a mutex, and mutexes had through answers: what the analysis is to refuse.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"

namespace demo::selftest {
namespace {

using Kernel = demo::Kernel<sched::FixedPriority>;
using S = Kernel::S;
using Task = Kernel::Task;
using sched::JoinError;
using sched::Locked;
using sched::State;
using sched::Timer;
using sched::Waited;

constinit std::array<char, 32> log{};
constinit size_t logged = 0;

void note(char letter) {
  if (logged < log.size()) log[logged++] = letter;
}

std::string_view take_log() {
  const std::string_view text(log.data(), logged);
  logged = 0;
  return text;
}

/// The first task, who calls it, is above whatever it spawns: nobody runs before it waits.
S::Life spawn(uint16_t priority, hal::Entry entry, void* argument = nullptr) {
  return S::life(*Kernel::spawn("test", entry, argument, {.priority = priority}));
}

/// Waits until everybody else waits or has finished.
void settle() {
  (void)S::join(spawn(0, [](void*) {}));
}

template <typename... Lives>
void join(const Lives&... lives) {
  ((void)S::join(lives), ...);
}

unsigned claim_of(S::Life life) {
  const S::Masked masked;
  return S::claim(*life.task);
}

State state_of(S::Life life) { return S::state(*life.task); }

/// A step for somebody who waits for it.
constinit sched::Semaphore<S> go;

void step() {
  go.give();
  settle();
}

// ---- Semaphores

constinit sched::Semaphore<S> semaphore;
constinit volatile uint64_t taken = 0;

void interrupts_give(Test& test) {
  taken = 0;
  const S::Life taker = spawn(100, [](void*) {
    for (; taken < 100; taken = taken + 1) semaphore.take();
  });
  settle();
  Kernel::at_kick([] { semaphore.give(); });
  for (uint64_t i = 1; i <= 100; ++i) {
    Machine::kick(0);
    settle();
    test.expect_equal(taken, i, "permits that arrived");
  }
  Kernel::at_kick(nullptr);
  join(taker);
}

void timers_give(Test& test) {
  struct Giver : sched::Timer {
    constexpr Giver() : Timer(&fire) {}
    static void fire(Timer& timer) {
      semaphore.give();
      if (++static_cast<Giver&>(timer).count < 50) S::arm(timer, timer.when() + microseconds(100));
    }
    uint64_t count = 0;
  };
  static constinit Giver giver;
  giver.count = 0;
  S::arm(giver, S::now() + microseconds(100));
  // Nobody else is there: the CPU idles in between.
  for (int i = 0; i < 50; ++i) {
    test.expect(semaphore.take_for(milliseconds(10'000)) == Waited::done, "a permit was lost");
  }
  test.expect(!semaphore.try_take(), "there is one too many");
}

void tasks_give_to_and_fro(Test& test) {
  static constinit sched::Semaphore<S> there, back;
  static constinit uint64_t rounds = 0;
  rounds = 0;
  const S::Life ping = spawn(50, [](void*) {
    for (int i = 0; i < 500; ++i) {
      there.give();
      back.take();
    }
  });
  const S::Life pong = spawn(100, [](void*) {
    for (; rounds < 500; ++rounds) {
      there.take();
      back.give();
    }
  });
  join(ping, pong);
  test.expect_equal(rounds, 500, "rounds");
  test.expect(there.permits() == 0 && back.permits() == 0, "a permit is left");
}

void takers_are_served_in_order(Test& test) {
  struct Taker {
    uint16_t priority;
    char name;
  };
  static constexpr Taker kTakers[] = {{10, 'a'}, {20, 'b'}, {20, 'c'}, {30, 'd'}};
  for (const Taker& taker : kTakers) {
    spawn(
        taker.priority,
        [](void* name) {
          semaphore.take();
          note(*static_cast<const char*>(name));
        },
        const_cast<char*>(&taker.name));
    settle();
  }
  for (size_t i = 0; i < std::size(kTakers); ++i) {
    semaphore.give();
    settle();
  }
  test.expect(take_log() == "dbca", "not by priority, or equals not as they came");
}

constinit Waited ended_by{};

void waits_end_otherwise(Test& test) {
  const auto wait = [](void*) { ended_by = semaphore.take_for(milliseconds(1'000)); };
  S::Life waiter = spawn(100, wait);
  settle();
  S::cancel_wait(waiter);
  join(waiter);
  test.expect(ended_by == Waited::cancelled, "a cancelled wait does not say so");
  waiter = spawn(100, wait);
  settle();
  S::kill(waiter);
  join(waiter);
  test.expect(ended_by == Waited::killed, "a killed one does not say so");
  const Instant end = S::now() + milliseconds(1);
  test.expect(semaphore.take_until(end) == Waited::timed_out, "it did not time out");
  test.expect(S::now() >= end, "it timed out too soon");
  semaphore.give();
  test.expect(semaphore.take() == Waited::done, "somebody who is gone has got the permit");
}

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

// ---- Messages, flags, and several at once

constinit sched::MessageQueue<S, uint64_t, 8> messages;

void interrupts_send(Test& test) {
  static constinit volatile uint64_t sent = 0;
  static constinit uint64_t received = 0;
  static constinit bool in_order = true;
  sent = 0;
  received = 0;
  in_order = true;
  const S::Life receiver = spawn(100, [](void*) {
    for (uint64_t message = 0; received < 100; ++received) {
      messages.receive(message);
      in_order &= message == received;
    }
  });
  Kernel::at_kick([] {
    const uint64_t message = sent;
    if (messages.try_send(message)) sent = message + 1;
  });
  for (uint64_t i = 0; i < 100; ++i) {
    Machine::kick(0);
    test.expect(spin_until(sent, i + 1), "a message was not sent");
    if (i % 5 == 4) settle();  // up to then they wait in the queue
  }
  settle();
  Kernel::at_kick(nullptr);
  test.expect_equal(received, 100, "messages received");
  test.expect(in_order, "they overtook each other");
  S::kill(receiver);
  join(receiver);
}

void senders_wait_for_room(Test& test) {
  for (uint64_t i = 0; i < 8; ++i) {
    test.expect(messages.try_send(i), "there is less room than there should be");
  }
  test.expect(!messages.try_send(8), "there is more room than there should be");
  test.expect(messages.send_for(8, microseconds(100)) == Waited::timed_out, "it did not time out");
  const S::Life sender = spawn(100, [](void*) { ended_by = messages.send(8); });
  settle();
  test.expect(state_of(sender) == State::blocked, "a sender does not wait for room");
  for (uint64_t i = 0; i <= 8; ++i) {
    uint64_t message = 0;
    test.expect(messages.receive_for(message, Duration{}) == Waited::done, "a message was lost");
    test.expect_equal(message, i, "the message received");
  }
  join(sender);
  test.expect(ended_by == Waited::done, "the sender's wait ended by something else");
}

void urgent_messages_come_first(Test& test) {
  static constinit sched::PriorityMessageQueue<S, char, 4, 3> queue;
  const auto send = [&](char message, uint32_t level) {
    test.expect(queue.try_send(message, level), "there is no room");
  };
  send('c', 0);
  send('b', 1);
  send('a', 2);
  send('d', 0);
  char message = 0;
  while (queue.try_receive(message)) note(message);
  test.expect(take_log() == "abcd", "not by level, or equals not as they came");
}

void flags_are_waited_for(Test& test) {
  static constinit sched::EventFlags<S> flags;
  static constinit sched::FlagsWaited any{}, all{};
  const S::Life for_any =
      spawn(100, [](void*) { any = flags.wait(6, sched::FlagMatch::any, sched::FlagUse::keep); });
  const S::Life for_all =
      spawn(50, [](void*) { all = flags.wait(6, sched::FlagMatch::all, sched::FlagUse::clear); });
  settle();
  const auto set_in_interrupt = [](uint32_t more) {
    static constinit uint32_t set = 0;
    set = more;
    Kernel::at_kick([] { flags.set(set); });
    Machine::kick(0);
    settle();
    Kernel::at_kick(nullptr);
  };
  set_in_interrupt(1);
  test.expect(state_of(for_any) == State::blocked, "a flag ends the wait for another one");
  set_in_interrupt(2);
  test.expect(any == sched::FlagsWaited{Waited::done, 2}, "one of two does not end a wait for any");
  test.expect(state_of(for_all) == State::blocked, "one of two ends the wait for both");
  set_in_interrupt(4);
  test.expect(all == sched::FlagsWaited{Waited::done, 6}, "both do not end the wait for both");
  test.expect_equal(flags.flags(), 1, "the flags that are left");
  join(for_any, for_all);
}

void conditions_are_told(Test& test) {
  static constinit sched::ConditionVariable<S> changed;
  static constinit uint64_t level = 0;
  static constinit bool had_mutex = true;
  level = 0;
  const auto wait_for_level = [](void* wanted) {
    const std::lock_guard lock(a);
    while (level < reinterpret_cast<uintptr_t>(wanted)) {
      had_mutex &= changed.wait(a) == Waited::done && a.owner() == &S::current();
    }
    note(static_cast<char>('0' + level));
  };
  const S::Life first = spawn(20, wait_for_level, reinterpret_cast<void*>(1));
  const S::Life third = spawn(30, wait_for_level, reinterpret_cast<void*>(3));
  settle();
  for (int i = 0; i < 3; ++i) {
    {
      const std::lock_guard lock(a);
      ++level;
    }
    changed.notify_all();
    settle();
  }
  join(first, third);
  test.expect(take_log() == "13", "a task went on before what it waits for was true, or not then");
  test.expect(had_mutex, "a wait ended without the mutex");
  a.lock();
  test.expect(changed.wait_for(a, microseconds(100)) == Waited::timed_out, "it did not time out");
  test.expect(a.owner() == &S::current(), "after a timeout it has not got the mutex");
  a.unlock();
}

void barriers_keep_step(Test& test) {
  static constinit sched::Barrier<S> barrier{3};
  static constinit sched::Latch<S> latch{3};
  static constinit std::array<uint64_t, 3> steps{};
  static constinit bool in_step = true;
  steps = {};
  in_step = true;
  for (size_t i = 0; i < steps.size(); ++i) {
    spawn(
        static_cast<uint16_t>(10 * (i + 1)),
        [](void* own) {
          for (int round = 0; round < 20; ++round) {
            ++steps[reinterpret_cast<uintptr_t>(own)];
            barrier.arrive_and_wait();
            for (const uint64_t step : steps) in_step &= step == steps[0];
            barrier.arrive_and_wait();
          }
          latch.count_down();
        },
        reinterpret_cast<void*>(i));
  }
  test.expect(latch.wait() == Waited::done, "the wait for all three ended by something else");
  test.expect(in_step, "one was ahead of the others");
  test.expect_equal(steps[0], 20, "steps");
}

void the_first_of_several_ends_a_wait(Test& test) {
  uint64_t message = 0;
  const auto wait = [&](Duration length) {
    return sched::wait_any<S>(S::now() + length, sched::taking(semaphore),
                              sched::receiving(messages, message));
  };
  const auto none = wait(microseconds(100));
  test.expect(!none && none.error() == Waited::timed_out, "it did not time out");
  spawn(10, [](void*) { messages.send(7); });
  const auto second = wait(milliseconds(1'000));
  test.expect(second && *second == 1 && message == 7, "the message did not end it");
  Kernel::at_kick([] { semaphore.give(); });
  Machine::kick(0);
  const auto first = wait(milliseconds(1'000));
  Kernel::at_kick(nullptr);
  test.expect(first && *first == 0, "the permit did not end it");
  test.expect(!semaphore.try_take() && !messages.try_receive(message), "it was served twice");
}

// ---- Once, words, and locks that spin

void one_does_it_once(Test& test) {
  static constinit sched::Once<S> once;
  static constinit uint64_t tries = 0;
  static constinit uint64_t through = 0;
  static constexpr auto kCall = [](void*) {
    const auto attempt = [] {
      go.take();
      return ++tries == 2;  // the first one fails
    };
    through += once.call(attempt) == sched::Called::done ? 1 : 0;
  };
  const S::Life lives[] = {spawn(30, kCall), spawn(20, kCall), spawn(10, kCall)};
  settle();
  test.expect(!once.is_done(), "it is done before it is");
  step();
  test.expect_equal(through, 0, "who went through before it was done");
  step();
  join(lives[0], lives[1], lives[2]);
  test.expect(once.is_done(), "it is not done");
  test.expect_equal(tries, 2, "attempts");
  test.expect_equal(through, 2, "who went through when it was done");
}

constinit std::atomic<uint32_t> word{0};
constinit sched::AddressWait<S, 4> words;

void words_are_waited_for(Test& test) {
  static constinit uint64_t through = 0;
  const auto wait = [](void*) {
    while (word.load() == 0) words.wait(word, uint32_t{0});
    ++through;
  };
  const S::Life first = spawn(30, wait);
  const S::Life second = spawn(20, wait);
  settle();
  test.expect(words.wait_for(word, uint32_t{0}, microseconds(100)) == Waited::timed_out,
              "it did not time out");
  test.expect(words.wait(word, uint32_t{1}) == Waited::done, "it waited for what was already so");
  static constinit size_t woken = 0;
  Kernel::at_kick([] {
    word = 1;
    woken = words.wake_all(word);
  });
  Machine::kick(0);
  join(first, second);
  Kernel::at_kick(nullptr);
  test.expect_equal(woken, 2, "who was woken");
  test.expect_equal(through, 2, "who went on");
  word = 0;
}

// Three words that only make sense together: whoever sees them else has seen a part of a change.
struct Triple {
  constexpr bool fits() const { return y == x + 1 && z == x + 2; }
  uint64_t x = 0, y = 1, z = 2;
};

void spin_locks_keep_interrupts_out(Test& test) {
  static constinit sched::SpinLock<S> lock;
  static constinit Triple triple;
  static constinit volatile uint64_t interrupts = 0;
  static constinit bool fits = true;
  const auto change = [] {
    const sched::SpinGuard<S> guard(lock);
    fits &= triple.fits();
    triple.z = ++triple.y + 1;
    triple.x = triple.y - 1;
  };
  static constinit sched::Timer timer([](Timer& fired) {
    const sched::SpinGuard<S> guard(lock);
    fits &= triple.fits();
    interrupts = interrupts + 1;
    if (interrupts < 50) S::arm(fired, S::now() + microseconds(50));
  });
  S::arm(timer, S::now() + microseconds(50));
  while (interrupts < 50) change();
  test.expect(fits, "an interrupt came between");
  {
    const S::Masked masked;
    const std::scoped_lock guard(lock);
    test.expect(!lock.try_lock(), "it can be had twice");
  }
  const bool is_free = lock.try_lock();
  if (is_free) lock.unlock();
  test.expect(is_free, "it is not free");
}

void seq_locks_show_no_part_of_a_change(Test& test) {
  static constinit sched::SeqLock<S, Triple> shown;
  static constinit volatile uint64_t stored = 0;
  static constinit sched::Timer timer([](Timer& fired) {
    const uint64_t next = stored + 1;
    shown.store({next, next + 1, next + 2});
    stored = next;
    if (next < 50) S::arm(fired, S::now() + microseconds(50));
  });
  shown.store({0, 1, 2});
  S::arm(timer, S::now() + microseconds(50));
  bool fits = true;
  bool forward = true;
  for (uint64_t last = 0; last < 50;) {
    const Triple seen = shown.load();
    fits &= seen.fits();
    forward &= seen.x >= last;
    last = seen.x;
  }
  test.expect(fits, "a part of a change was seen");
  test.expect(forward, "an older value was seen after a newer one");
}

// ---- The life of a task

constinit volatile uint64_t rounds = 0;

void suspended_tasks_stand_still(Test& test) {
  const S::Life worker = spawn(100, [](void*) {
    while (!S::current().kill_requested()) rounds = rounds + 1;
  });
  const auto advances = [] {
    const uint64_t before = rounds;
    S::sleep_for(milliseconds(1));
    return rounds != before;
  };
  test.expect(advances(), "it does not run");
  test.expect(S::suspend(*worker.task) && S::suspend(*worker.task), "it cannot be suspended");
  test.expect(state_of(worker) == State::suspended, "it does not say that it is suspended");
  test.expect(!advances(), "it runs though it is suspended");
  test.expect(S::resume(*worker.task) && !advances(), "it ran after one resume of two");
  test.expect(S::resume(*worker.task) && advances(), "it does not run after the second");
  test.expect(!S::resume(*worker.task), "there was one to take back");
  S::suspend(*worker.task);
  S::kill(worker);
  join(worker);
}

void suspended_waits_end(Test& test) {
  const S::Life sleeper = spawn(100, [](void*) { ended_by = S::sleep_for(milliseconds(1)); });
  settle();
  S::suspend(*sleeper.task);
  test.expect(state_of(sleeper) == State::suspended_blocked, "a sleeper is not in both states");
  S::sleep_for(milliseconds(3));
  test.expect(state_of(sleeper) == State::suspended, "its time has come and it still waits");
  settle();
  test.expect(state_of(sleeper) == State::suspended, "its timeout has resumed it");
  S::resume(*sleeper.task);
  join(sleeper);
  test.expect(ended_by == Waited::timed_out, "its sleep ended by something else");
}

void ends_are_joined(Test& test) {
  const S::Life with_value = spawn(10, [](void*) { S::exit(42); });
  const auto value = S::join(with_value);
  test.expect(value && *value == 42, "the exit value is another one");
  const auto later = S::join(with_value);
  test.expect(later && *later == 42, "it cannot be joined once more");
  const auto none = S::join(spawn(10, [](void*) {}));
  test.expect(none && *none == 0, "who returns has another value than zero");
  const auto fails = [&](S::Life life, Instant until, JoinError wanted, const char* why) {
    const auto joined = S::join(life, until);
    test.expect(!joined && joined.error() == wanted, why);
  };
  fails(with_value, sched::never, JoinError::not_alive, "an earlier life was joined");
  fails(S::life(S::current()), sched::never, JoinError::itself, "a task joined itself");
  const S::Life waiting = spawn(10, [](void*) { S::park(); });
  fails(waiting, S::now() + milliseconds(1), JoinError::timed_out, "it did not time out");
  S::kill(waiting);
  join(waiting);
  const S::Life unborn = spawn(10, [](void*) {});
  S::kill(unborn);
  fails(unborn, sched::never, JoinError::never_ran, "one that never ran has a value");
}

void lives_are_told_apart(Test& test) {
  const S::Life earlier = spawn(10, [](void*) {});
  join(earlier);
  const S::Life later = spawn(10, [](void*) { ended_by = sched::waited(S::park()); });
  test.expect(earlier.task == later.task && earlier != later, "it is no second life");
  settle();
  S::wake(earlier);
  S::kill(earlier);
  settle();
  test.expect(state_of(later) == State::blocked, "a request for an earlier life reached it");
  S::wake(later);
  join(later);
  test.expect(ended_by == Waited::done, "the kill of an earlier life reached it");
}

void bonds_are_abandoned(Test& test) {
  struct Hook : sched::Bond {
    constexpr explicit Hook(char letter) : Bond(&tell), letter(letter) {}
    static void tell(Bond& self) { note(static_cast<Hook&>(self).letter); }
    const char letter;
  };
  static constinit Hook hooks[] = {Hook('x'), Hook('y'), Hook('z')};
  join(spawn(10, [](void*) {
    for (Hook& hook : hooks) S::bind(hook);
    S::unbind(hooks[1]);
    S::exit();
  }));
  test.expect(take_log() == "zx", "not the ones that it had, youngest first");
}

constexpr Case kCases[] = {
    {"an interrupt gives what a task waits for", interrupts_give},
    {"a timer gives what a task waits for", timers_give},
    {"two tasks give to and fro", tasks_give_to_and_fro},
    {"who waits is served by priority, equals as they came", takers_are_served_in_order},
    {"a wait ends by timeout, cancel and kill, and says so", waits_end_otherwise},
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
    {"an interrupt sends, and nothing is overtaken", interrupts_send},
    {"who sends to a full queue waits for room", senders_wait_for_room},
    {"urgent messages come first, equals as they came", urgent_messages_come_first},
    {"flags end the waits for any and for all of them", flags_are_waited_for},
    {"who is told to look has the mutex again", conditions_are_told},
    {"tasks go in step through a barrier", barriers_keep_step},
    {"the first of several things ends a wait, once", the_first_of_several_ends_a_wait},
    {"one does it once, and who waits goes through", one_does_it_once},
    {"a word is waited for, and who waits is woken", words_are_waited_for},
    {"a spin lock keeps interrupts out", spin_locks_keep_interrupts_out},
    {"a sequence lock shows no part of a change", seq_locks_show_no_part_of_a_change},
    {"a suspended task stands still, as often as told", suspended_tasks_stand_still},
    {"a suspended task's wait ends, and it stays", suspended_waits_end},
    {"a task is joined, with its exit value", ends_are_joined},
    {"a request for an earlier life does not reach a later", lives_are_told_apart},
    {"what a task is bound to is told of its end", bonds_are_abandoned},
};

}  // namespace

void run_sync_tests() { run_cases("sync", kCases); }

}  // namespace demo::selftest
