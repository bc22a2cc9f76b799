// Counts what tasks wait for: semaphores, a mutex, messages, event flags, timers; while nobody
// waits, while a higher task does, and where two tasks take turns.
//
// A conductor, of low priority, has one scene played after the other. The tasks of a scene have
// higher priorities; when it is over they wait for what does not come any more.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "bench/images/kernel.h"
#include "bench/probe.h"
#include "bench/rounds.h"
#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "sched/sync/event_flags.h"
#include "sched/sync/message_queue.h"
#include "sched/sync/mutex.h"
#include "sched/sync/semaphore.h"

namespace {

// Of a kernel of one CPU, or of one that may have many: bench/BUILD says which.
using S = sched::Scheduler<hal::Native, sched::FixedPriority, sched::Options{.cpus = BENCH_CPUS}>;
using bench::Probe;
using bench::Rounds;

constexpr uint16_t kConductor = 2;
constexpr uint16_t kPlayers = 100;

constinit S::Cpu cpus[1];
constinit S::Task conductor{"conductor"};
constinit S::Task first{"first"};
constinit S::Task second{"second"};
constinit S::Task taker{"taker"};
constinit S::Task rival{"rival"};
constinit S::Task receiver{"receiver"};
constinit S::Task waiter{"waiter"};
alignas(16) constinit std::byte stacks[7][4096] = {};

constinit uint64_t begin = 0;
constinit uint64_t nothing = 0;

/// A scene of the conductor alone.
template <typename Operation>
void count_alone(std::string_view name, Operation operation) {
  Rounds rounds;
  for (bool enough = false; !enough;) {
    Probe::mark(begin);
    operation();
    enough = rounds.add(Probe::read() - begin);
  }
  rounds.report(name, nothing);
}

// ---- Semaphores -----------------------------------------------------------------------------

constinit sched::Semaphore<S> semaphore;
constinit sched::Semaphore<S> there;
constinit sched::Semaphore<S> back;
constinit Rounds round_trips;

void ping(void*) {
  for (bool enough = false; !enough;) {
    Probe::mark(begin);
    there.give();
    back.take();
    enough = round_trips.add(Probe::read() - begin);
  }
  for (;;) S::park();
}

void pong(void*) {
  for (;;) {
    there.take();
    back.give();
  }
}

void take_for_ever(void*) {
  for (;;) semaphore.take();
}

void semaphores() {
  count_alone("sem_give_take", [] {
    semaphore.give();
    semaphore.take();
  });

  {
    const S::NoPreempt both_or_none;
    bench::must(S::spawn(second, stacks[2], pong, nullptr, {.priority = kPlayers}));
    bench::must(S::spawn(first, stacks[1], ping, nullptr, {.priority = kPlayers}));
  }
  round_trips.report("sem_ping_pong", nothing);

  bench::must(S::spawn(taker, stacks[3], take_for_ever, nullptr, {.priority = kPlayers}));
  count_alone("sem_give_block_back", [] { semaphore.give(); });
}

// ---- Mutexes --------------------------------------------------------------------------------

constinit sched::Mutex<S> mutex;
constinit Rounds contentions;

void contend(void*) {
  for (;;) {
    S::park();
    Probe::mark(begin);
    mutex.lock();
    contentions.add(Probe::read() - begin);
    mutex.unlock();
  }
}

void mutexes() {
  count_alone("mutex_lock_unlock", [] {
    mutex.lock();
    mutex.unlock();
  });

  bench::must(S::spawn(rival, stacks[4], contend, nullptr, {.priority = kPlayers}));
  for (size_t i = 0; i < Rounds::kWanted; ++i) {
    mutex.lock();
    S::wake(rival);
    mutex.unlock();
  }
  contentions.report("mutex_contended", nothing);
}

// ---- Messages and flags ---------------------------------------------------------------------

struct Message {
  uint64_t words[2];
};
static_assert(sizeof(Message) == 16);

constinit sched::MessageQueue<S, Message, 8> messages;
constinit sched::EventFlags<S> flags;
constinit Rounds received;
constinit Rounds seen;

void receive(void*) {
  for (Message message;;) {
    messages.receive(message);
    received.add(Probe::read() - begin);
  }
}

void see(void*) {
  for (;;) {
    flags.wait(1, sched::FlagMatch::any, sched::FlagUse::clear);
    seen.add(Probe::read() - begin);
  }
}

void messages_and_flags() {
  count_alone("message_send_receive", [] {
    Message message{{1, 2}};
    messages.send(message);
    messages.receive(message);
  });

  bench::must(S::spawn(receiver, stacks[5], receive, nullptr, {.priority = kPlayers}));
  for (size_t i = 0; i < Rounds::kWanted; ++i) {
    const Message message{{i, 2}};
    Probe::mark(begin);
    messages.send(message);
  }
  received.report("message_to_higher", nothing);

  bench::must(S::spawn(waiter, stacks[6], see, nullptr, {.priority = kPlayers}));
  for (size_t i = 0; i < Rounds::kWanted; ++i) {
    Probe::mark(begin);
    flags.set(1);
  }
  seen.report("event_flag_set_to_waiter", nothing);
}

// ---- Timers ---------------------------------------------------------------------------------

constexpr size_t kMostTimers = 10'000;

constinit bool has_fired = false;
constinit sched::Instant due;  // in memory: to compute it is not part of the operation

/// So far from now that none of them is due before the image has ended, over a second.
sched::Instant instant_of(sched::Instant start, size_t i, size_t count) {
  const uint64_t second = S::Machine::ticks_per_second();
  return start + sched::Duration{second + second * i / count};
}

void timers() {
  // Others have been due before, as in a kernel that has been running.
  sched::Timer past([](sched::Timer&) { has_fired = true; });
  S::arm(past, S::now());
  while (!std::atomic_ref(has_fired).load(std::memory_order_relaxed)) continue;

  struct Scene {
    std::string_view name;
    size_t others;
  };
  constexpr Scene kScenes[] = {{"timer_start_stop_1", 1},
                               {"timer_start_stop_100", 100},
                               {"timer_start_stop_10000", kMostTimers}};
  auto* const others = reinterpret_cast<sched::Timer*>(kit::memory().data());
  const sched::Instant start = S::now();
  sched::Timer timer([](sched::Timer&) {});
  size_t armed = 0;
  for (const auto& [name, count] : kScenes) {
    while (armed < count) {
      // In no order: the digits of their numbers are turned round.
      size_t place = 0;
      for (size_t left = armed, power = 1; power < kMostTimers; power *= 10, left /= 10) {
        place = place * 10 + left % 10;
      }
      sched::Timer& other = *std::construct_at(others + armed++, [](sched::Timer&) {});
      S::arm(other, instant_of(start, place, kMostTimers));
    }
    Rounds rounds;
    for (size_t i = 0; i < Rounds::kWanted; ++i) {
      due = instant_of(start, i, Rounds::kWanted) + sched::Duration{7};
      Probe::mark(begin);
      S::arm(timer, due);
      S::cancel(timer);
      rounds.add(Probe::read() - begin);
    }
    rounds.report(name, nothing);
  }

  // Before all others: it sets the machine's timer.
  Rounds earliest;
  for (bool enough = false; !enough;) {
    due = start + sched::Duration{S::Machine::ticks_per_second() / 2};
    Probe::mark(begin);
    S::arm(timer, due);
    S::cancel(timer);
    enough = earliest.add(Probe::read() - begin);
  }
  kit::print("# timer_start_stop_10000: {} where the timer is the first of all\n",
             earliest.commonest() - nothing);
}

void conduct(void*) {
  nothing = Probe::cost_of_nothing();
  semaphores();
  mutexes();
  messages_and_flags();
  if (!S::kMany) timers();  // the same on many
  kit::finish(true);
}

}  // namespace

bool baton_interrupt(uintptr_t source) { return bench::interrupt<S>(source); }
void baton_preempt() { S::preempt(); }

void kernel_main() {
  Probe::start_counter();
  S::start(cpus, 0, bench::no_sink<S>);
  bench::must(S::spawn(conductor, stacks[0], conduct, nullptr, {.priority = kConductor}));
  S::run();
}
