// Thousands of tasks that spawn, block, move, change and die on all CPUs, and counts that must add
// up at the end. Freestanding: the same on real threads (host_test.cc) and on each machine
// (image.cc).
//
//     constinit soak::Soak<S, kStackBytes> work;
//     work.begin(cpu, plan);                       // on each CPU, instead of `S::start`
//     ... work.run(plan, attributes) ...           // in a task, once
//
// One director a CPU gives birth to tasks, into whatever place is free, until there have been
// `Plan::lives`, and meddles with those that live; so do these, with each other, while they do what
// tasks do. Bounded by counts; and whoever goes on until somebody else has got somewhere leaves
// ever longer pauses (`Pace`), so nothing depends on how fast a CPU is. Which of it happens at the
// same time is left to the machine.

#ifndef BATON_TESTS_SOAK_SOAK_H_
#define BATON_TESTS_SOAK_SOAK_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/hal.h"
#include "sched/policy/random.h"
#include "sched/scheduler.h"
#include "sched/sync/condition_variable.h"
#include "sched/sync/event_flags.h"
#include "sched/sync/message_queue.h"
#include "sched/sync/mutex.h"
#include "sched/sync/rw_lock.h"
#include "sched/sync/semaphore.h"

namespace soak {

using hal::CpuNumber;
using sched::Random;

struct Plan {
  CpuNumber cpus = 4;
  uint64_t lives = 1000;
  uint64_t seed = 1;
};

/// What there was.
struct Counts {
  uint64_t born = 0;
  uint64_t ended = 0;      ///< by themselves, asked to or not
  uint64_t never_ran = 0;  ///< killed before
  uint64_t locked = 0;     ///< turns with the mutex
  uint64_t ticks = 0;      ///< timers that fired
  uint64_t offline = 0;    ///< CPUs that went and came back
  uint64_t departures = 0;
  uint64_t kicks = 0;
};

// Where the policy can name whom to give away.
template <typename S>
struct Balancer {
  void begin(hal::Duration) {}
};
template <typename S>
  requires sched::Donates<typename S::Policy>
struct Balancer<S> {
  void begin(hal::Duration period) { S::balance(balancer, period); }
  typename S::Balancer balancer;
};

template <typename S, size_t kStackBytes>
class Soak {
  using Attributes = typename S::Attributes;
  using CpuSet = typename S::CpuSet;

 public:
  static constexpr CpuNumber kCpus = 8;
  static constexpr size_t kPlaces = 40;

  typename S::Cpu& cpu(CpuNumber number) { return cpus_[number]; }

  /// Masked, on each CPU below `plan.cpus`.
  void begin(CpuNumber cpu, const Plan& plan) {
    S::start(std::span(cpus_).first(plan.cpus), cpu, &sink);
    balancers_[cpu].begin(us(300));
  }

  /// In a task, once every CPU has begun or is about to. `attributes`: some of the policy's, drawn.
  /// Returns what does not add up; null: all does.
  const char* run(const Plan& plan, Attributes (*attributes)(Random&)) {
    plan_ = plan;
    attributes_ = attributes;
    while (S::online().size() != plan.cpus) S::relax();
    left_.store(static_cast<int64_t>(plan.lives), std::memory_order_relaxed);
    for (CpuNumber cpu = 0; cpu < plan.cpus; ++cpu) {
      Place& place = directors_[cpu];
      prepare(place, plan.seed + cpu);
      if (!S::spawn_on(cpu, place, place.stack, &direct, &place, attributes_(place.random))) {
        return "a director is not accepted";
      }
    }
    is_complete_.store(true, std::memory_order_relaxed);
    uint64_t born = 0;
    for (CpuNumber cpu = 0; cpu < plan.cpus; ++cpu) {
      const auto value = S::join(directors_[cpu]);
      if (!value) return "a director has no value";
      born += *value;
    }
    // Some wait for a wake, and nobody else is left to give it.
    for (Pace pace(100); finished_.load(std::memory_order_acquire) < born;) {
      for (Place& place : places_) S::wake(place);
      S::sleep_for(pace.next(*this));
    }
    is_over_.store(true, std::memory_order_relaxed);
    counts_.born = born;
    return check();
  }

  const Counts& counts() const { return counts_; }

 private:
  struct Place : S::Task {
    constexpr Place() : S::Task(kName) {}

    Soak* soak = nullptr;
    std::atomic<bool> is_taken{false};  // from before a spawn until the sink has had the task
    Random random{0};  // not atomic: handed on by spawn, and by the sink and `is_taken`
    alignas(16) std::byte stack[kStackBytes] = {};
  };

  // For how long to let others alone: longer and longer while no task comes to its end.
  // Whoever is faster than they are would be all that they are busy with.
  class Pace {
   public:
    constexpr explicit Pace(uint64_t first) : first_(first) {}

    hal::Duration next(const Soak& soak) {
      const uint64_t finished = soak.finished_.load(std::memory_order_relaxed);
      pause_ = finished == seen_ ? pause_ + first_ : first_;
      seen_ = finished;
      return us(pause_);
    }

   private:
    const uint64_t first_;
    uint64_t pause_ = first_;
    uint64_t seen_ = 0;
  };

  // In each CPU's interrupts somebody is waked, too.
  struct Ticker : sched::Timer {
    constexpr Ticker() : Timer(&tick) {}
    Soak* soak = nullptr;
    Random random{0};
    Pace pace{200};
  };

  // A task's, which may be elsewhere when it cancels it.
  struct Alarm : sched::Timer {
    constexpr Alarm() : Timer([](Timer& timer) { ++static_cast<Alarm&>(timer).rings; }) {}
    int rings = 0;
  };

  static hal::Duration us(uint64_t count) {
    return hal::to_ticks(count * 1'000, S::Machine::ticks_per_second());
  }

  void prepare(Place& place, uint64_t seed) {
    place.soak = this;
    place.random = Random(seed);
  }

  static void count(std::atomic<uint64_t>& counter) {
    counter.fetch_add(1, std::memory_order_relaxed);
  }

  Place& any(Random& random) { return places_[random.below(kPlaces)]; }

  CpuSet some_cpus(Random& random) {
    CpuSet set;
    for (CpuNumber cpu = 0; cpu < plan_.cpus; ++cpu) {
      if (random.below(2) == 0) set.insert(cpu);
    }
    return set;
  }

  // ---- Directors

  static void direct(void* argument) {
    Place& self = *static_cast<Place*>(argument);
    Soak& soak = *self.soak;
    Random& random = self.random;
    Ticker& ticker = soak.tickers_[&self - soak.directors_.data()];
    ticker.soak = &soak;
    ticker.random = Random(random.next());
    tick(ticker);
    uint64_t born = 0;
    while (soak.left_.fetch_sub(1, std::memory_order_relaxed) > 0) {
      for (Pace pace(10); !soak.give_birth(random);) {
        soak.meddle(random);
        S::sleep_for(pace.next(soak));
      }
      ++born;
      soak.meddle(random);
      if (random.below(4) == 0) S::yield();
      if (&self == soak.directors_.data() && born % 64 == 0) soak.unplug(random);
    }
    S::exit(born);
  }

  // False: every place is taken.
  bool give_birth(Random& random) {
    const size_t first = random.below(kPlaces);
    for (size_t i = 0; i < kPlaces; ++i) {
      Place& place = places_[(first + i) % kPlaces];
      if (place.is_taken.exchange(true, std::memory_order_acquire)) continue;
      prepare(place, random.next());
      const Attributes attributes = attributes_(random);
      const auto cpu = static_cast<CpuNumber>(random.below(plan_.cpus));
      switch (random.below(3)) {
        case 0:
          if (S::spawn_on(cpu, place, place.stack, &live, &place, attributes)) return true;
          break;
        case 1: {
          const typename S::Where where = {.cpus = some_cpus(random), .floats = true};
          if (S::spawn_in(where, place, place.stack, &live, &place, attributes)) return true;
          break;
        }
        default: break;
      }
      // Elsewhere there is no CPU at the moment.
      if (S::spawn(place, place.stack, &live, &place, attributes)) return true;
      count(refused_);
      place.is_taken.store(false, std::memory_order_release);
      return false;
    }
    return false;
  }

  // What anybody may ask of anybody.
  void disturb(Random& random) {
    Place& place = any(random);
    switch (random.below(6)) {
      case 0: S::cancel_wait(place); break;
      case 1: S::retune(place, attributes_(random)); break;
      case 2: S::set_affinity(place, some_cpus(random)); break;
      case 3: S::wake(S::life(place)); break;
      default: S::wake(place); break;
    }
  }

  // What directors do: who suspends others must not be suspended himself before he has resumed
  // them.
  void meddle(Random& random) {
    Place& place = any(random);
    switch (random.below(8)) {
      case 0: S::kill(place); break;
      case 1: S::kill(S::life(place)); break;
      case 2:
      case 3: {
        const bool suspended = S::suspend(place);
        disturb(random);
        if (suspended) S::resume(place);
        break;
      }
      default: disturb(random); break;
    }
  }

  void unplug(Random& random) {
    if (!is_complete_.load(std::memory_order_relaxed)) return;
    const auto cpu = static_cast<CpuNumber>(random.below(plan_.cpus));
    if (!S::take_offline(cpu)) return;
    for (Pace pace(50); !S::is_offline(cpu);) {
      disturb(random);
      S::sleep_for(pace.next(*this));
    }
    S::bring_online(cpu);
    for (Pace pace(50); S::is_offline(cpu);) S::sleep_for(pace.next(*this));
    ++counts_.offline;
  }

  static void tick(sched::Timer& timer) {
    auto& ticker = static_cast<Ticker&>(timer);
    Soak& soak = *ticker.soak;
    count(soak.ticks_);
    S::wake(soak.any(ticker.random));
    if (!soak.is_over_.load(std::memory_order_relaxed)) {
      S::arm(ticker, S::now() + ticker.pace.next(soak));
    }
  }

  // ---- The others

  static void live(void* argument) {
    Place& self = *static_cast<Place*>(argument);
    Soak& soak = *self.soak;
    for (uint64_t steps = 1 + self.random.below(12); steps != 0; --steps) {
      if (self.kill_requested()) break;
      soak.step(self, self.random);
    }
    count(soak.ended_);
  }

  void step(Place& self, Random& random) {
    switch (random.below(17)) {
      case 0: S::yield(); break;
      case 1: S::park(); break;
      case 2: S::park_until(S::now() + us(random.below(100))); break;
      case 3: S::sleep_for(us(random.below(100))); break;
      case 4:
      case 5:
        mutex_.lock();
        ++locked_;
        if (random.below(8) == 0) S::yield();
        mutex_.unlock();
        count(locks_);
        break;
      case 6:
        if (permits_.take_for(us(random.below(200))) == sched::Waited::done) {
          S::yield();
          permits_.give();
        }
        break;
      case 7: {
        const typename S::NoPreempt guard;
        disturb(random);
        disturb(random);
        break;
      }
      case 8:
        S::set_affinity(self, some_cpus(random));
        S::retune(self, attributes_(random));
        break;
      case 9: {
        const uint64_t message = random.next();
        if (messages_.send_for(message, us(random.below(100))) == sched::Waited::done) {
          sent_.fetch_add(message, std::memory_order_relaxed);
        }
        break;
      }
      case 10: {
        uint64_t message = 0;
        if (messages_.receive_for(message, us(random.below(100))) == sched::Waited::done) {
          received_.fetch_add(message, std::memory_order_relaxed);
        }
        break;
      }
      case 11:
        if (random.below(3) == 0) {
          shared_.lock();
          const uint64_t both = random.next();
          first_.store(both, std::memory_order_relaxed);
          second_.store(both, std::memory_order_relaxed);
          shared_.unlock();
        } else {
          shared_.lock_shared();
          const uint64_t first = first_.load(std::memory_order_relaxed);
          if (second_.load(std::memory_order_relaxed) != first) count(strange_);
          shared_.unlock_shared();
        }
        break;
      case 12:
        flags_.set(1u << random.below(8));
        flags_.wait_for(1u << random.below(8), sched::FlagMatch::any, sched::FlagUse::clear,
                        us(random.below(100)));
        break;
      case 13:
        mutex_.lock();
        ++locked_;
        if (random.below(2) == 0) {
          changed_.notify_all();
        } else {
          changed_.wait_for(mutex_, us(random.below(100)));
        }
        mutex_.unlock();
        count(locks_);
        break;
      case 14: {
        const auto cpu = static_cast<CpuNumber>(random.below(plan_.cpus));
        CpuNumber answered = kCpus;
        const bool is_called = S::call_on(cpu, [&] {
          answered = S::here().number;
          S::wake(any(random));
        });
        if (!is_called || answered != cpu) count(strange_);
        break;
      }
      case 15: {
        Alarm alarm;
        S::arm(alarm, S::now() + us(random.below(100)));
        S::set_affinity(self, some_cpus(random));
        S::yield();
        const bool in_time = S::cancel_anywhere(alarm);
        if (alarm.rings != (in_time ? 0 : 1)) count(strange_);
        break;
      }
      default: {
        const auto end = S::join(S::life(any(random)), S::now() + us(random.below(100)));
        if (end && *end != 0) count(strange_);  // none of these exits with a value
        break;
      }
    }
  }

  static void sink(typename S::Task& task) {
    if (task.name() != kName) return;  // main
    Place& place = static_cast<Place&>(task);
    Soak& soak = *place.soak;
    if (!place.is_taken.load(std::memory_order_relaxed)) return;  // a director
    if (place.never_ran()) count(soak.never_ran_);
    place.is_taken.store(false, std::memory_order_release);
    soak.finished_.fetch_add(1, std::memory_order_release);
  }

  // ---- The end

  const char* check() {
    counts_.ended = ended_.load();
    counts_.never_ran = never_ran_.load();
    counts_.locked = locked_;
    counts_.ticks = ticks_.load();
    for (CpuNumber cpu = 0; cpu < plan_.cpus; ++cpu) {
      const auto usage = S::usage(cpus_[cpu]);
      counts_.departures += usage.departures;
      counts_.kicks += usage.kicks;
    }
    if (counts_.born != plan_.lives) return "not as many were born as were to be";
    if (finished_ != counts_.born) return "the sink has had more than were born";
    if (counts_.ended + counts_.never_ran != counts_.born)
      return "somebody neither ran nor did not";
    if (refused_ != 0) return "a spawn was refused";
    if (strange_ != 0) return "somebody saw what nobody had said";
    if (locked_ != locks_) return "two had the mutex at a time";
    for (uint64_t message; messages_.try_receive(message);) received_ += message;
    if (sent_ != received_) return "a message was lost, or came twice";
    if (permits_.permits() != kPermits) return "a permit was lost, or found";
    if (S::online().size() != plan_.cpus) return "a CPU is not back";
    for (const Place& place : places_) {
      if (!place.ownership().is_free()) return "a task is not back";
      if (place.ownership().pending() != 0) return "a request is left";
    }
    return nullptr;
  }

  static constexpr int32_t kPermits = 3;
  static constexpr char kName[] = "soak";

  Plan plan_;
  Attributes (*attributes_)(Random&) = nullptr;
  Counts counts_;
  std::atomic<int64_t> left_{0};
  std::atomic<bool> is_complete_{false};  // every CPU has its director
  std::atomic<bool> is_over_{false};
  std::atomic<uint64_t> finished_{0}, ended_{0}, never_ran_{0}, refused_{0}, strange_{0}, locks_{0},
      ticks_{0};
  uint64_t locked_ = 0;  // not atomic: under the mutex
  sched::Mutex<S> mutex_;
  sched::ConditionVariable<S> changed_;
  sched::Semaphore<S> permits_{kPermits, kPermits};
  sched::MessageQueue<S, uint64_t, 4> messages_;
  std::atomic<uint64_t> sent_{0}, received_{0};  // sums
  sched::RwLock<S> shared_;
  // Under `shared_`, always the same. Its order is made by fences, which ThreadSanitizer does not
  // know: so they are atomic.
  std::atomic<uint64_t> first_{0}, second_{0};
  sched::EventFlags<S> flags_;
  std::array<typename S::Cpu, kCpus> cpus_{};
  std::array<Balancer<S>, kCpus> balancers_{};
  std::array<Ticker, kCpus> tickers_{};
  std::array<Place, kCpus> directors_{};
  std::array<Place, kPlaces> places_{};
};

}  // namespace soak

#endif  // BATON_TESTS_SOAK_SOAK_H_
