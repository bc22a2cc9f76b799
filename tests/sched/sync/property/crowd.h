// A crowd of tasks that do with what can be waited for what a seed says, and what the model knows
// of each: see the head of property_test.cc. What must hold is in model.h, what they do in acts.h.

#ifndef BATON_TESTS_SCHED_SYNC_PROPERTY_CROWD_H_
#define BATON_TESTS_SCHED_SYNC_PROPERTY_CROWD_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/edf.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/sync/barrier.h"
#include "sched/sync/ceiling_mutex.h"
#include "sched/sync/condition_variable.h"
#include "sched/sync/event_flags.h"
#include "sched/sync/message_queue.h"
#include "sched/sync/mutex.h"
#include "sched/sync/recursive_mutex.h"
#include "sched/sync/rw_lock.h"
#include "sched/sync/semaphore.h"
#include "tests/sched/kernel.h"
#include "tests/sched/sync/property/locks.h"
#include "tests/sched/sync/property/queues.h"
#include "tests/sched/sync/property/terms.h"

namespace sched::test {

constexpr int kTasks = 7;
constexpr int kLives = 3;
constexpr int kPhases = 4;
constexpr int kStepsAPhase = 10;
constexpr uint32_t kNextPhase = 1;  // interrupt lines
constexpr uint32_t kAnything = 2;
constexpr uint32_t kParty = 3;  // how many a barrier is for

struct Setting {
  CpuNumber cpus;
  bool exact;  // nothing takes time but `spend`, and what is kicked is so at once
};

template <typename P, size_t kMostCpus>
using CrowdKernel = Kernel<P, Options{.debug_checks = true, .cpus = kMostCpus}>;

template <typename P, size_t kMostCpus>
class Crowd {
  using K = CrowdKernel<P, kMostCpus>;
  using S = typename K::S;
  using Task = typename S::Task;
  using Claim = typename S::Claim;
  using Attributes = typename S::Attributes;
  using Lock = test::Lock<S>;

  struct Permits {
    explicit Permits(int32_t first, int32_t most)
        : semaphore(first, most), count(first), most(most) {}
    Semaphore<S> semaphore;
    int32_t count;  // given, not taken; a served task's counts until it says so
    const int32_t most;
    int giving = 0;
  };

  // What of a task's call under way is not a lock's or a semaphore's.
  enum class Call : uint8_t { none, gate, flags, send, receive, barrier, condition, join };

  struct Actor {
    struct Hold {
      Lock* lock;
      int depth;
    };

    bool has(const Lock& lock) const {
      return std::ranges::any_of(held, [&](const Hold& hold) { return hold.lock == &lock; });
    }

    K::Thread* thread = nullptr;
    int number = 0;
    int lives = 0;
    int steps = 0;  // left in this phase
    // Of this life.
    Attributes attributes{};
    int suspensions = 0;
    std::vector<Hold> held;
    // Of the call under way.
    Lock* wants = nullptr;
    Permits* takes = nullptr;
    Call call = Call::none;
    uint32_t flags = 0;  // which it waits for, and whether for all of them
    bool all = false;
    bool deaf = false;
    bool retuned = false;
    bool woken = false;    // by somebody who had nothing for it
    bool entered = false;  // a condition, and has yet to unlock and to park
    Instant until = never;
    uint64_t came = 0;
    uint64_t cancels = 0;
  };

 public:
  Crowd(const Setting& setting, uint64_t seed, bool telling)
      : exact_(setting.exact),
        telling_(telling),
        gen_(seed),
        kernel_(setting.exact
                    ? hal::sim::Options{.cpus = setting.cpus, .seed = seed, .interleave = 0}
                    : hal::sim::Options{.cpus = setting.cpus,
                                        .seed = seed,
                                        .interleave = 2,
                                        .stall = ticks(40),
                                        .kick_latency = ticks(pick(0, 30)),
                                        .trace = telling ? size_t{100'000} : size_t{0}}) {
    kernel_.on_device = [this](uint32_t line, typename S::Interrupt&) { on_device(line); };
    kernel_.on_finish = [this](typename K::Thread& thread) { on_finish(thread); };
    for (int i = 0; i < 3; ++i) locks_.push_back(std::make_unique<LockOf<S, Mutex<S>>>());
    locks_.push_back(std::make_unique<LockOf<S, RecursiveMutex<S>>>());
    locks_.back()->recursive = true;
    if constexpr (kHasPriorities) {
      for (const uint8_t ceiling : {3, 6}) {
        locks_.push_back(std::make_unique<LockOf<S, CeilingMutex<S>>>(ceiling));
        locks_.back()->ceiling = ceiling;
      }
    }
    locks_.push_back(std::make_unique<WriteSide<S>>(both_));
    Lock& writes = *locks_.back();
    locks_.push_back(std::make_unique<ReadSide<S>>(both_));
    Lock& reads = *locks_.back();
    writes.hands_over = reads.hands_over = false;
    writes.other = &reads;
    reads.other = &writes;
    for (size_t i = 0; i < locks_.size(); ++i) locks_[i]->name = "lock " + std::to_string(i);
    permits_.emplace_back(1, 2);
    permits_.emplace_back(0, 1000);
    queues_ = {queue_of<S>(flags_), queue_of<S>(messages_), queue_of<S>(barrier_),
               queue_of<S>(changed_)};
    for (const Permits& permits : permits_) queues_.push_back(queue_of<S>(permits.semaphore));
    for (const auto& lock : locks_) {
      if (lock.get() == &reads) continue;  // the same as those to write
      std::ranges::copy(lock->queues(), std::back_inserter(queues_));
    }
    for (int i = 0; i < kTasks; ++i) {
      Actor& actor = actors_.emplace_back();
      actor.number = i;
      actor.thread = &kernel_.make("task " + std::to_string(i), [this, &actor] { live(actor); });
    }
  }

  void run() {
    kernel_.boot([this] {
      for (Actor& actor : actors_) begin(actor);
    });
    for (phase_ = 0; phase_ < kPhases; ++phase_) {
      for (Actor& actor : actors_) actor.steps = kStepsAPhase;
      if (phase_ != 0)
        kernel_.world.raise_at(any_cpu(), kNextPhase, kernel_.world.now() + ticks(1));
      if (!run_until_quiet()) return;
    }
    draining_ = true;
    for (int round = 0; round < 2; ++round) {
      kernel_.world.raise_at(any_cpu(), kNextPhase, kernel_.world.now() + ticks(1));
      if (!run_until_quiet()) return;
    }
    for (const Actor& actor : actors_) {
      EXPECT_TRUE(is_over(actor)) << actor.thread->text;
      EXPECT_EQ(actor.thread->finishes, actor.lives) << actor.thread->text;
    }
    for (const auto& lock : locks_) EXPECT_TRUE(lock->is_free()) << lock->name;
    EXPECT_EQ(under_way_.size(), messages_.size());
    EXPECT_EQ(passed_, kParty * rounds_);
    for (const Permits& permits : permits_) {
      EXPECT_EQ(permits.semaphore.permits(), permits.count);
    }
  }

  // What happened, and where it ended.
  std::string story() const;

 private:
  static constexpr bool kHasPriorities = std::same_as<P, FixedPriority>;

  static std::string as_text(Instant claim) { return std::to_string(claim.ticks); }
  static std::string as_text(uint64_t claim) { return std::to_string(claim); }
  uint64_t pick(uint64_t from, uint64_t end) { return absl::Uniform<uint64_t>(gen_, from, end); }
  bool chance(uint64_t one_in) { return pick(0, one_in) == 0; }
  Actor& any_actor() { return actors_[pick(0, actors_.size())]; }
  CpuNumber any_cpu() { return static_cast<CpuNumber>(pick(0, kernel_.count())); }
  Instant soon() { return S::now() + ticks(pick(0, 120)); }

  template <typename... Args>
  void tell(const Args&... args) {
    // Asked also where nothing is told: it takes part in what the seed decides.
    std::string text = S::current().name();
    if (!telling_) return;
    text += " ";
    ((text += args), ...);
    kernel_.world.note(text);
  }

  // Whether it looks at every step.
  bool is_exact() const { return exact_ && kernel_.count() == 1; }

  // ---- What must hold: model.h ----

  static State state(const Actor& actor) { return S::state(*actor.thread); }

  static bool is_over(const Actor& actor) {
    return state(actor) == State::fresh || state(actor) == State::finished;
  }

  static bool is_blocked(const Actor& actor) {
    return state(actor) == State::blocked || state(actor) == State::suspended_blocked;
  }

  // Whom it waits for to give something back; null: nobody, or it does not know it yet.
  static const Task* waits_for(const Actor& actor);

  static bool waits_for(const Actor& actor, const Lock& lock) {
    return actor.wants == &lock && waits_for(actor) != nullptr;
  }

  static bool waits_for(const Actor& actor, const Permits& permits) {
    return actor.takes == &permits && is_blocked(actor);
  }

  template <typename T>
  std::vector<const Actor*> waiters_of(const T& what) const;

  bool has_any(const Actor& actor) const {
    return std::ranges::any_of(locks_,
                               [&](const auto& lock) { return lock->is_of(*actor.thread); });
  }

  // As the policy of any CPU tells; also to the host.
  P& policy() const { return kernel_.cpu(0).policy(); }
  Claim claim(const Actor& actor) const { return policy().claim(*actor.thread); }

  // What it must count for.
  Claim effective(const Actor& actor, int depth = 0) const;

  // Whether a wait of `self` for `lock` would be one for itself.
  bool leads_back(const Lock& lock, const Actor& self) const;

  // Who may be served next: the most urgent, and of those of which it is known the first.
  template <typename T>
  std::vector<const Actor*> first_of(const T& what) const;

  // Whether somebody is suspended of whom the model cannot tell if he waits: he was woken by one
  // who had nothing for him.
  bool is_vague() const;

  // What holds whenever nothing is under way.
  void check() const;

  static bool is_at_barrier(const Actor& actor) {
    return actor.call == Call::barrier && is_blocked(actor);
  }

  static bool is_at_condition(const Actor& actor) {
    return actor.call == Call::condition && is_blocked(actor);
  }

  // The queues in which it may be, as what it waits for has it. None: it waits for nothing that
  // has one.
  std::vector<QueueOf<S>> queues_of(const Actor& actor) const;

  // Whoever is in a queue waits, for what the queue is of; and whoever waits is in one.
  void check_queues() const;

  // The same between any two operations, on one CPU.
  void check_now() const;
  void check_turn() const;
  bool run_until_quiet();
  void check_quiet() const;

  // ---- What they do: acts.h ----

  void begin(Actor& actor);
  void on_finish(typename K::Thread& thread);
  void live(Actor& actor);
  void pass_gate(Actor& actor);
  void on_device(uint32_t line);
  void step(Actor& actor);
  void sleep(Actor& actor);

  // Whether a wait has ended for the reason it tells.
  void is_true(const Actor& actor, Waited waited, Instant until, uint64_t cancels) const;

  void lock_any(Actor& actor);
  void unlock_any(Actor& actor);
  void give(Permits& permits);
  void take(Actor& actor, Permits& permits);
  void wait_for_flags(Actor& actor);
  void change_flags();

  // A message is under way from before it is sent until it has been received, or not been sent.
  void send_or_receive(Actor& actor);
  void try_to_send_or_receive();

  void meet(Actor& actor);
  struct Relock;  // the mutex of who waits for a change
  void wait_for_change(Actor& actor);
  void notify();
  void join(Actor& actor, Actor& other);
  void begin_call(Actor& actor);
  void end_call(Actor& actor);

  // Something that anybody may do to a task, from anywhere.
  void poke(Actor& actor);
  void suspend(Actor& actor);
  bool resume(Actor& actor);
  void retune(Actor& actor);

  const bool exact_;
  const bool telling_;
  std::mt19937_64 gen_;
  mutable K kernel_;
  std::deque<Actor> actors_;
  std::vector<std::unique_ptr<Lock>> locks_;
  ReadersAndWriters<S> both_;
  std::deque<Permits> permits_;
  EventFlags<S> flags_;
  int setting_ = 0;  // who is setting flags right now
  Messages<S> messages_;
  uint32_t last_message_ = 0;
  std::set<uint32_t> under_way_;
  Barrier<S> barrier_{kParty};
  uint64_t passed_ = 0;
  uint64_t rounds_ = 0;
  ConditionVariable<S> changed_;
  std::map<std::pair<int, uint32_t>, uint64_t> ended_with_;
  std::vector<QueueOf<S>> queues_;  // all that there are
  int phase_ = 0;
  bool draining_ = false;
  uint64_t calls_ = 0;
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_SYNC_PROPERTY_CROWD_H_
