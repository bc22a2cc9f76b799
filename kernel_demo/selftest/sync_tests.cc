// What tasks wait for, on this machine: permits, messages, flags and the rest that has no owner.
// The rest of what each promises is tested on the simulated machine (tests/sched/sync); here it is
// that real interrupts come in between.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "kernel_demo/kernel.h"
#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"
#include "kernel_demo/selftest/sync_kit.h"
#include "sched/sync/address_wait.h"
#include "sched/sync/barrier.h"
#include "sched/sync/condition_variable.h"
#include "sched/sync/event_flags.h"
#include "sched/sync/latch.h"
#include "sched/sync/message_queue.h"
#include "sched/sync/mutex.h"
#include "sched/sync/once.h"
#include "sched/sync/semaphore.h"
#include "sched/sync/seq_lock.h"
#include "sched/sync/spin_lock.h"
#include "sched/sync/wait_any.h"

// Tasks that end with a mutex, and mutexes had through answers: what the analysis is to refuse.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"

namespace demo::selftest {
namespace {

using sched::Timer;

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

// ---- Messages, flags, and several at once

constinit sched::Mutex<S> a;

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

constexpr Case kCases[] = {
    {"an interrupt gives what a task waits for", interrupts_give},
    {"a timer gives what a task waits for", timers_give},
    {"two tasks give to and fro", tasks_give_to_and_fro},
    {"who waits is served by priority, equals as they came", takers_are_served_in_order},
    {"a wait ends by timeout, cancel and kill, and says so", waits_end_otherwise},
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
};

}  // namespace

void run_sync_tests() { run_cases("sync", kCases); }

}  // namespace demo::selftest
