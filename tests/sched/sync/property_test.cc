// Properties of all that tasks wait for, whatever happens in whatever order: a crowd of tasks, and
// interrupts, do with them what the seed says, and a model that knows nothing but what was called
// and what came of it recomputes, from scratch, what must hold:
//
// - a task counts for what it claims itself, the ceilings of what it has, and whoever waits for it
// to
//   give something back, in turn: the most urgent of these, or their sum, as the policy has it;
// - what has an owner has one, and a task that says so; who dies with it is told of;
// - who waits is blocked, and waits for something that is not to be had; the first to be served is
//   the most urgent, and of equals the one that came first;
// - a wait ends for one reason, which is true; permits and messages are neither lost nor made; a
//   barrier lets as many pass as it is for, and a join tells what its task has ended with;
// - the most urgent task runs; in the end everybody has ended, once, and nobody waits.
//
// On one CPU, whether or not there could be more, it looks between any two operations; on several,
// where much is on its way as mail, whenever all is quiet. A failure names its seed;
// BATON_SEED=<seed> repeats that one alone, and tells what happened.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
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

// What is taken in one function is given back in another.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"

namespace sched::test {
namespace {

constexpr uint64_t kPriorities = 6;
constexpr int kTasks = 7;
constexpr int kLives = 3;
constexpr int kPhases = 4;
constexpr int kStepsAPhase = 10;
constexpr uint32_t kNextPhase = 1;  // interrupt lines
constexpr uint32_t kAnything = 2;
constexpr uint32_t kParty = 3;  // how many a barrier is for

// What tasks are given under a policy, what none may be given, and what one claims for itself.
template <typename P>
struct Terms;

template <>
struct Terms<FixedPriority> {
  static FixedPriority::Attributes some(uint64_t random) {
    return {.priority = static_cast<uint16_t>(random % kPriorities)};
  }
  static FixedPriority::Attributes refused() { return {.priority = 300}; }
  static FixedPriority::Claim own(FixedPriority& policy, const FixedPriority::Entity& entity) {
    return static_cast<FixedPriority::Claim>(policy.attributes(entity).priority);
  }
};

template <>
struct Terms<Edf> {
  static Edf::Attributes some(uint64_t random) {
    const Duration deadline = ticks(200 + random % 7 * 100);
    return {.runtime = ticks(20),
            .deadline = deadline,
            .period = deadline,
            .overrun = Overrun::postpone};
  }
  static Edf::Attributes refused() {
    return {.runtime = ticks(20), .deadline = ticks(10), .period = ticks(10)};
  }
  static Edf::Claim own(Edf& policy, const Edf::Entity& entity) { return policy.deadline(entity); }
};

template <>
struct Terms<Eevdf> {
  static Eevdf::Attributes some(uint64_t random) {
    return {.weight = kNormalWeight * static_cast<Weight>(1 + random % 4), .slice = ticks(30)};
  }
  static Eevdf::Attributes refused() { return {.weight = 0}; }
  static Eevdf::Claim own(Eevdf& policy, const Eevdf::Entity& entity) {
    return policy.attributes(entity).weight;
  }
};

struct Setting {
  CpuNumber cpus;
  bool exact;  // nothing takes time but `spend`, and what is kicked is so at once
};

template <typename P, size_t kMostCpus>
class Crowd {
  using K = Kernel<P, Options{.debug_checks = true, .cpus = kMostCpus}>;
  using S = typename K::S;
  using Task = typename S::Task;
  using Claim = typename S::Claim;
  using Attributes = typename S::Attributes;

  // What can be had and be given back, and what the model knows of it.
  struct Lock {
    virtual ~Lock() = default;
    virtual bool try_lock() = 0;
    virtual void lock() = 0;
    virtual Locked acquire_until(Instant until) = 0;
    virtual void unlock() = 0;
    virtual bool abandoned() const = 0;

    /// Whether it is to be had at once.
    virtual bool is_free() const = 0;
    /// Whether `task` has it, or comes next.
    virtual bool is_of(const Task& task) const = 0;
    /// Whom `waiter`, if it waits for it, waits for.
    virtual const Task* before(const Task& waiter) const = 0;

    // What has happened: somebody has got it, has given it back, or has ended with it.
    virtual void enter() = 0;
    virtual void leave() = 0;
    virtual void die() = 0;
    /// Whether whoever gets it is to be told of somebody who has ended with it.
    virtual bool died() const = 0;

    std::string name;
    std::optional<Claim> ceiling;
    bool recursive = false;
    bool hands_over = true;  // with the unlock, to the first who waits
    Lock* other = nullptr;   // the other side of it
  };

  template <typename T>
  struct LockOf : Lock {
    template <typename... Args>
    explicit LockOf(Args... args) : mutex(args...) {}
    bool try_lock() override { return mutex.try_lock(); }
    void lock() override { mutex.lock(); }
    Locked acquire_until(Instant until) override {
      return until == never ? mutex.acquire() : mutex.acquire_until(until);
    }
    void unlock() override { mutex.unlock(); }
    bool abandoned() const override { return mutex.abandoned(); }
    bool is_free() const override { return mutex.owner() == nullptr; }
    bool is_of(const Task& task) const override { return mutex.owner() == &task; }
    const Task* before(const Task&) const override { return mutex.owner(); }
    void enter() override { EXPECT_EQ(++inside, 1) << this->name; }
    void leave() override {
      EXPECT_EQ(--inside, 0) << this->name;
      has_died = false;
    }
    void die() override {
      leave();
      has_died = true;
    }
    bool died() const override { return has_died; }

    T mutex;
    int inside = 0;
    bool has_died = false;
  };

  static constexpr int kReaders = 2;
  struct ReadersAndWriters {
    bool is_read() const { return first() != nullptr; }
    bool is_read_by(const Task& task) const {
      for (int i = 0; i < kReaders; ++i) {
        if (lock.reader(i) == &task) return true;
      }
      return false;
    }
    const Task* first() const {
      for (int i = 0; i < kReaders; ++i) {
        if (lock.reader(i) != nullptr) return lock.reader(i);
      }
      return nullptr;
    }
    const Task* before(const Task& waiter) const {
      return lock.next() == nullptr || lock.next() == &waiter ? first() : lock.next();
    }

    RwLock<S, kReaders> lock;
    int readers = 0;
    int writers = 0;
    bool has_died = false;
  };

  struct WriteSide : Lock {
    explicit WriteSide(ReadersAndWriters& both) : both(both) {}
    bool try_lock() override { return both.lock.try_lock(); }
    void lock() override { both.lock.lock(); }
    Locked acquire_until(Instant until) override {
      return until == never ? both.lock.acquire() : both.lock.acquire_until(until);
    }
    void unlock() override { both.lock.unlock(); }
    bool abandoned() const override { return both.lock.abandoned(); }
    bool is_free() const override { return both.lock.next() == nullptr && !both.is_read(); }
    bool is_of(const Task& task) const override { return both.lock.next() == &task; }
    const Task* before(const Task& waiter) const override { return both.before(waiter); }
    void enter() override {
      EXPECT_EQ(++both.writers, 1);
      EXPECT_EQ(both.readers, 0);
    }
    void leave() override {
      EXPECT_EQ(--both.writers, 0);
      both.has_died = false;
    }
    void die() override {
      leave();
      both.has_died = true;
    }
    bool died() const override { return both.has_died; }

    ReadersAndWriters& both;
  };

  struct ReadSide : Lock {
    explicit ReadSide(ReadersAndWriters& both) : both(both) {}
    bool try_lock() override { return both.lock.try_lock_shared(); }
    void lock() override { both.lock.lock_shared(); }
    Locked acquire_until(Instant until) override {
      return until == never ? both.lock.acquire_shared() : both.lock.acquire_shared_until(until);
    }
    void unlock() override { both.lock.unlock_shared(); }
    bool abandoned() const override { return both.lock.abandoned(); }
    bool is_free() const override {
      bool has_place = false;
      for (int i = 0; i < kReaders; ++i) has_place |= both.lock.reader(i) == nullptr;
      return both.lock.next() == nullptr && has_place;
    }
    bool is_of(const Task& task) const override { return both.is_read_by(task); }
    const Task* before(const Task& waiter) const override { return both.before(waiter); }
    void enter() override {
      EXPECT_LE(++both.readers, kReaders);
      EXPECT_EQ(both.writers, 0);
    }
    void leave() override { EXPECT_GE(--both.readers, 0); }
    void die() override { leave(); }
    bool died() const override { return both.has_died; }

    ReadersAndWriters& both;
  };

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
    bool woken = false;  // by somebody who had nothing for it
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
    for (int i = 0; i < 3; ++i) locks_.push_back(std::make_unique<LockOf<Mutex<S>>>());
    locks_.push_back(std::make_unique<LockOf<RecursiveMutex<S>>>());
    locks_.back()->recursive = true;
    if constexpr (kHasPriorities) {
      for (const uint8_t ceiling : {3, 6}) {
        locks_.push_back(std::make_unique<LockOf<CeilingMutex<S>>>(ceiling));
        locks_.back()->ceiling = ceiling;
      }
    }
    locks_.push_back(std::make_unique<WriteSide>(both_));
    Lock& writes = *locks_.back();
    locks_.push_back(std::make_unique<ReadSide>(both_));
    Lock& reads = *locks_.back();
    writes.hands_over = reads.hands_over = false;
    writes.other = &reads;
    reads.other = &writes;
    for (size_t i = 0; i < locks_.size(); ++i) locks_[i]->name = "lock " + std::to_string(i);
    permits_.emplace_back(1, 2);
    permits_.emplace_back(0, 1000);
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
  std::string story() const {
    std::string text = kernel_.world.trace();
    for (const Actor& actor : actors_) {
      text += actor.thread->text + ": counts for " + as_text(claim(actor)) + ", should for " +
              as_text(effective(actor)) + ", state " +
              std::to_string(static_cast<int>(state(actor)));
      if (actor.wants != nullptr) text += ", wants " + actor.wants->name;
      if (actor.takes != nullptr) text += ", takes";
      if (actor.call != Call::none) {
        text += ", in call " + std::to_string(static_cast<int>(actor.call));
      }
      for (const auto& lock : locks_) {
        if (lock->is_of(*actor.thread)) text += ", has " + lock->name;
      }
      text += "\n";
    }
    return text;
  }

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

  // ---- The model ----

  static State state(const Actor& actor) { return S::state(*actor.thread); }
  static bool is_over(const Actor& actor) {
    return state(actor) == State::fresh || state(actor) == State::finished;
  }
  static bool is_blocked(const Actor& actor) {
    return state(actor) == State::blocked || state(actor) == State::suspended_blocked;
  }
  // Whom it waits for to give something back; null: nobody, or it does not know it yet.
  static const Task* waits_for(const Actor& actor) {
    if (actor.wants == nullptr || !is_blocked(actor)) return nullptr;
    const Task* const before = actor.wants->before(*actor.thread);
    return before == actor.thread ? nullptr : before;
  }
  static bool waits_for(const Actor& actor, const Lock& lock) {
    return actor.wants == &lock && waits_for(actor) != nullptr;
  }
  static bool waits_for(const Actor& actor, const Permits& permits) {
    return actor.takes == &permits && is_blocked(actor);
  }
  template <typename T>
  std::vector<const Actor*> waiters_of(const T& what) const {
    std::vector<const Actor*> waiters;
    for (const Actor& actor : actors_) {
      if (waits_for(actor, what)) waiters.push_back(&actor);
    }
    return waiters;
  }
  bool has_any(const Actor& actor) const {
    return std::ranges::any_of(locks_,
                               [&](const auto& lock) { return lock->is_of(*actor.thread); });
  }

  // As the policy of any CPU tells; also to the host.
  P& policy() const { return kernel_.cpu(0).policy(); }
  Claim claim(const Actor& actor) const { return policy().claim(*actor.thread); }

  // What it must count for.
  Claim effective(const Actor& actor, int depth = 0) const {
    Claim sum = Terms<P>::own(policy(), *actor.thread);
    if (depth > kTasks) {
      ADD_FAILURE() << "they wait in a circle";
      return sum;
    }
    for (const auto& lock : locks_) {
      if (lock->ceiling && lock->is_of(*actor.thread)) sum = P::join(sum, *lock->ceiling);
    }
    for (const Actor& waiter : actors_) {
      if (waits_for(waiter) != actor.thread) continue;
      sum = P::join(sum, effective(waiter, depth + 1));
    }
    return sum;
  }

  // Whether a wait of `self` for `lock` would be one for itself.
  bool leads_back(const Lock& lock, const Actor& self) const {
    const Task* at = lock.before(*self.thread);
    for (int depth = 0; depth <= kTasks; ++depth) {
      if (at == self.thread) return true;
      const Actor* owner = nullptr;
      for (const Actor& actor : actors_) {
        if (at == actor.thread) owner = &actor;
      }
      at = owner == nullptr ? nullptr : waits_for(*owner);
      if (at == nullptr) return false;
    }
    return true;
  }

  // Who may be served next: the most urgent, and of those of which it is known the first.
  template <typename T>
  std::vector<const Actor*> first_of(const T& what) const {
    std::vector<const Actor*> waiters = waiters_of(what);
    if constexpr (Ranks<P>) {
      const std::vector<const Actor*> all = waiters;
      std::erase_if(waiters, [&](const Actor* waiter) {
        return std::ranges::any_of(all, [&](const Actor* other) {
          return P::precedes(effective(*other), effective(*waiter));
        });
      });
    }
    const bool plain = std::ranges::none_of(
        waiters, [&](const Actor* waiter) { return waiter->retuned || has_any(*waiter); });
    if (plain && waiters.size() > 1) {
      waiters = {*std::ranges::min_element(waiters, {}, &Actor::came)};
    }
    return waiters;
  }

  // Whether somebody is suspended of whom the model cannot tell if he waits: he was woken by one
  // who had nothing for him.
  bool is_vague() const {
    return std::ranges::any_of(actors_, [](const Actor& actor) {
      return actor.woken && actor.wants != nullptr && state(actor) == State::suspended;
    });
  }

  // What holds whenever nothing is under way.
  void check() const {
    for (const Actor& actor : actors_) {
      SCOPED_TRACE(actor.thread->text);
      if (is_over(actor)) {
        EXPECT_FALSE(has_any(actor));
        continue;
      }
      if (!is_vague()) EXPECT_EQ(claim(actor), effective(actor));
      for (const typename Actor::Hold& hold : actor.held) {
        EXPECT_TRUE(hold.lock->is_of(*actor.thread)) << hold.lock->name;
      }
      if (is_blocked(actor)) {
        if (actor.thread->kill_requested()) EXPECT_TRUE(actor.deaf);
        if (actor.wants != nullptr) {
          EXPECT_NE(actor.wants->before(*actor.thread), nullptr) << actor.wants->name;
        }
        if (actor.takes != nullptr) EXPECT_EQ(actor.takes->semaphore.permits(), 0);
        if (actor.call == Call::flags && setting_ == 0) {
          const uint32_t found = flags_.flags() & actor.flags;
          EXPECT_TRUE(actor.all ? found != actor.flags : found == 0) << "its flags are set";
        }
        if (actor.call == Call::send) EXPECT_EQ(messages_.size(), kRoom);
        if (actor.call == Call::receive) EXPECT_EQ(messages_.size(), 0u);
      }
    }
    EXPECT_LT(std::ranges::count_if(actors_, &Crowd::is_at_barrier), kParty);
  }
  static bool is_at_barrier(const Actor& actor) {
    return actor.call == Call::barrier && is_blocked(actor);
  }
  static bool is_at_condition(const Actor& actor) {
    return actor.call == Call::condition && is_blocked(actor);
  }

  // The same between any two operations, on one CPU.
  void check_now() const {
    if (!is_exact()) return;
    const typename S::Masked masked;
    check();
    for (const Actor& actor : actors_) {
      if (is_over(actor)) continue;
      SCOPED_TRACE(actor.thread->text);
      EXPECT_EQ(policy().attributes(*actor.thread), actor.attributes);
      const State state = S::state(*actor.thread);
      EXPECT_EQ(state == State::suspended || state == State::suspended_blocked,
                actor.suspensions != 0);
    }
  }
  void check_turn() const {
    if constexpr (kHasPriorities) {
      if (!is_exact()) return;
      for (const Actor& actor : actors_) {
        if (state(actor) != State::ready) continue;
        EXPECT_LE(S::claim(*actor.thread), S::claim(S::current())) << actor.thread->text;
      }
    }
  }

  bool run_until_quiet() {
    const auto outcome = kernel_.run();
    if (testing::Test::HasFailure()) return false;
    EXPECT_EQ(outcome, End::quiet);
    if (outcome.end != End::quiet) return false;
    check_quiet();
    return !testing::Test::HasFailure();
  }

  void check_quiet() const {
    check();
    for (const Actor& actor : actors_) {
      if (is_over(actor)) continue;
      SCOPED_TRACE(actor.thread->text);
      EXPECT_EQ(actor.thread->ownership().pending(), request::none);
      EXPECT_NE(state(actor), State::ready);
      EXPECT_NE(state(actor), State::running);
      if (is_blocked(actor)) {
        EXPECT_EQ(actor.until, never) << "its time is over";
        EXPECT_TRUE(actor.call != Call::none || actor.wants != nullptr || actor.takes != nullptr);
      }
    }
    for (const Permits& permits : permits_) {
      int served = 0;
      for (const Actor& actor : actors_) {
        if (actor.takes == &permits && !is_blocked(actor)) ++served;
      }
      // Who is suspended may have one, and not know it yet, or be about to give one.
      EXPECT_LE(permits.semaphore.permits(), permits.count);
      EXPECT_GE(permits.semaphore.permits() + served + permits.giving, permits.count);
    }
  }

  // ---- What they do ----

  void begin(Actor& actor) {
    ++actor.lives;
    actor.attributes = Terms<P>::some(pick(0, 1000));
    actor.suspensions = 0;
    actor.held.clear();
    end_call(actor);
    actor.thread->attributes = actor.attributes;
    if (kernel_.count() == 1) {
      kernel_.spawn(*actor.thread);
    } else {
      kernel_.spawn_on(any_cpu(), *actor.thread);
    }
  }

  void on_finish(typename K::Thread& thread) {
    Actor& actor = actors_[static_cast<size_t>(std::stoi(thread.text.substr(5)))];
    tell(thread.text, " is over");
    if (actor.lives < kLives && !draining_) begin(actor);
  }

  void live(Actor& actor) {
    while (!draining_) {
      check_now();
      check_turn();
      if (actor.thread->kill_requested() && chance(2)) break;
      if (actor.steps == 0) {
        pass_gate(actor);
      } else {
        --actor.steps;
        step(actor);
        if (chance(60)) break;
      }
    }
    check_now();
    if (chance(2)) {
      while (!actor.held.empty()) unlock_any(actor);
    }
    for (const typename Actor::Hold& hold : actor.held) hold.lock->die();
    actor.held.clear();
    tell("ends");
    const uint64_t value = pick(0, 8);
    ended_with_[{actor.number, S::life(*actor.thread).generation}] = value;
    S::exit(value);
  }

  void pass_gate(Actor& actor) {
    tell("at the gate");
    const int phase = phase_;
    actor.call = Call::gate;
    while (phase_ == phase && !draining_ && S::park() != Woken::by_kill) continue;
    actor.call = Call::none;
    if (phase_ == phase && !draining_) actor.steps = 1;  // killed
  }

  void on_device(uint32_t line) {
    if (line == kAnything) return poke(any_actor());
    for (Actor& actor : actors_) {
      if (draining_ || chance(2)) {
        while (resume(actor)) continue;
      }
      if (actor.call == Call::gate) S::wake(*actor.thread);
      if (!draining_) continue;
      ++actor.cancels;
      S::cancel_wait(*actor.thread);
    }
  }

  void step(Actor& actor) {
    if (testing::Test::HasFailure()) kernel_.world.stop();
    Sim::spend(ticks(pick(0, 30)));
    switch (pick(0, 22)) {
      case 0:
      case 1:
      case 2:
      case 3: lock_any(actor); break;
      case 4:
      case 5:
      case 6:
        if (!actor.held.empty()) unlock_any(actor);
        break;
      case 7: give(permits_[pick(0, permits_.size())]); break;
      case 8: take(actor, permits_[pick(0, permits_.size())]); break;
      case 9: S::yield(); break;
      case 10: sleep(actor); break;
      case 12: wait_for_flags(actor); break;
      case 13: send_or_receive(actor); break;
      case 14: meet(actor); break;
      case 15: wait_for_change(actor); break;
      case 16: join(actor, any_actor()); break;
      case 11: kernel_.world.raise_at(any_cpu(), kAnything, S::now() + ticks(pick(0, 100))); break;
      default: poke(any_actor()); break;
    }
  }

  void sleep(Actor& actor) {
    const Instant until = actor.until = soon();
    tell("sleeps");
    const uint64_t cancels = actor.cancels;
    const Waited waited = S::sleep_until(until);
    actor.until = never;
    is_true(actor, waited, until, cancels);
  }

  // Whether a wait has ended for the reason it tells.
  void is_true(const Actor& actor, Waited waited, Instant until, uint64_t cancels) const {
    switch (waited) {
      case Waited::done: break;
      case Waited::timed_out: EXPECT_GE(S::now(), until); break;
      case Waited::cancelled:
        // By mail it may have been sent before the call.
        EXPECT_GT(actor.cancels, is_exact() ? cancels : 0);
        break;
      case Waited::killed: EXPECT_TRUE(actor.thread->kill_requested()); break;
    }
  }

  void lock_any(Actor& actor) {
    Lock& lock = *locks_[pick(0, locks_.size())];
    const bool had = actor.has(lock);
    if (had && lock.other != nullptr && !lock.hands_over) return;
    const bool had_other = lock.other != nullptr && actor.has(*lock.other);
    const bool one_cpu = is_exact();
    const bool was_free = lock.is_free();
    bool above = false;
    if constexpr (kHasPriorities) above = lock.ceiling && effective(actor) > *lock.ceiling;
    const bool back = !was_free && leads_back(lock, actor);
    Locked result = Locked::timed_out;
    begin_call(actor);
    switch (pick(0, 4)) {
      case 0:
        tell("tries ", lock.name);
        if (lock.try_lock()) result = lock.abandoned() ? Locked::owner_died : Locked::done;
        if (had && lock.recursive && result == Locked::owner_died) result = Locked::done;
        if (one_cpu) {
          EXPECT_EQ(sched::has(result), (was_free && !above) || (had && lock.recursive));
        }
        break;
      case 1:
        // Nobody waits for who has nothing.
        // But who is next to write has others behind it from when it waits for readers.
        if (!has_any(actor) && !lock.ceiling && lock.hands_over) {
          tell("locks ", lock.name);
          actor.wants = &lock;
          actor.deaf = true;
          lock.lock();
          result = lock.abandoned() ? Locked::owner_died : Locked::done;
          break;
        }
        [[fallthrough]];
      default: {
        const Instant until = actor.until = chance(2) ? never : soon();
        const uint64_t cancels = actor.cancels;
        tell("acquires ", lock.name, until == never ? "" : ", for a while");
        actor.wants = &lock;
        result = lock.acquire_until(until);
        switch (result) {
          case Locked::done:
          case Locked::owner_died: break;
          case Locked::timed_out: is_true(actor, Waited::timed_out, until, cancels); break;
          case Locked::cancelled: is_true(actor, Waited::cancelled, until, cancels); break;
          case Locked::killed: is_true(actor, Waited::killed, until, cancels); break;
          case Locked::deadlock:
            // Of several readers each has its turn to be waited for.
            if (one_cpu && lock.hands_over) EXPECT_TRUE(back);
            break;
          case Locked::above_ceiling:
            if (one_cpu) EXPECT_TRUE(above);
            break;
          case Locked::too_deep: ADD_FAILURE() << "too deep"; break;
        }
        if (one_cpu && above) EXPECT_EQ(result, Locked::above_ceiling);
        if (one_cpu && back && !above && !(had && lock.recursive)) {
          EXPECT_EQ(result, Locked::deadlock);
        }
        if (one_cpu && was_free && !above) EXPECT_TRUE(sched::has(result));
      }
    }
    end_call(actor);
    tell(sched::has(result) ? "has " : "has not ", lock.name);
    if (!sched::has(result)) return;
    if (had) {
      EXPECT_TRUE(lock.recursive);
      for (typename Actor::Hold& hold : actor.held) {
        if (hold.lock == &lock) ++hold.depth;
      }
      return;
    }
    EXPECT_FALSE(had_other) << lock.name;
    EXPECT_EQ(result == Locked::owner_died, lock.died()) << lock.name;
    lock.enter();
    actor.held.push_back({&lock, 1});
    check_now();
  }

  void unlock_any(Actor& actor) {
    const size_t which = pick(0, actor.held.size());
    Lock& lock = *actor.held[which].lock;
    tell("unlocks ", lock.name);
    if (--actor.held[which].depth != 0) return lock.unlock();
    actor.held.erase(actor.held.begin() + static_cast<std::ptrdiff_t>(which));
    lock.leave();
    if (!is_exact() || !lock.hands_over || chance(2)) return lock.unlock();
    const typename S::Masked masked;
    const std::vector<const Actor*> heirs = first_of(lock);
    lock.unlock();
    if (heirs.empty()) {
      EXPECT_TRUE(lock.is_free());
    } else {
      EXPECT_TRUE(std::ranges::any_of(heirs, [&](const Actor* heir) {
        return lock.is_of(*heir->thread);
      })) << lock.name;
    }
    check_now();
  }

  void give(Permits& permits) {
    tell("gives");
    ++permits.count;
    if (!is_exact() || chance(2)) {
      ++permits.giving;
      if (!permits.semaphore.give()) --permits.count;
      --permits.giving;
      return;
    }
    const typename S::Masked masked;
    const std::vector<const Actor*> before = waiters_of(permits);
    const std::vector<const Actor*> heirs = first_of(permits);
    const int32_t free = permits.semaphore.permits();
    const bool given = permits.semaphore.give();
    EXPECT_EQ(given, !before.empty() || free < permits.most);
    if (!given) --permits.count;
    const std::vector<const Actor*> after = waiters_of(permits);
    EXPECT_EQ(after.size() + (before.empty() ? 0 : 1), before.size());
    for (const Actor* actor : before) {
      if (std::ranges::count(after, actor) != 0) continue;
      EXPECT_EQ(std::ranges::count(heirs, actor), 1) << actor->thread->text;
    }
    check_now();
  }

  void take(Actor& actor, Permits& permits) {
    begin_call(actor);
    const Instant until = actor.until = chance(2) ? never : soon();
    const uint64_t cancels = actor.cancels;
    tell("takes");
    actor.takes = &permits;
    const Waited waited =
        until == never ? permits.semaphore.take() : permits.semaphore.take_until(until);
    if (waited == Waited::done) --permits.count;
    is_true(actor, waited, until, cancels);
    end_call(actor);
    tell(waited == Waited::done ? "took" : "took not");
  }

  void wait_for_flags(Actor& actor) {
    begin_call(actor);
    actor.flags = static_cast<uint32_t>(pick(1, 16));
    actor.all = chance(2);
    const Instant until = actor.until = chance(2) ? never : soon();
    const uint64_t cancels = actor.cancels;
    const uint32_t wanted = actor.flags;
    tell("waits for flags ", std::to_string(wanted), actor.all ? ", all" : "");
    actor.call = Call::flags;
    const FlagsWaited result =
        flags_.wait_until(wanted, actor.all ? FlagMatch::all : FlagMatch::any,
                          chance(2) ? FlagUse::keep : FlagUse::clear, until);
    is_true(actor, result.waited, until, cancels);
    if (result.waited == Waited::done) {
      EXPECT_NE(result.flags, 0u);
      EXPECT_EQ(result.flags & ~wanted, 0u);
      if (actor.all) EXPECT_EQ(result.flags, wanted);
    } else {
      EXPECT_EQ(result.flags, 0u);
    }
    end_call(actor);
  }
  void change_flags() {
    const uint32_t flags = static_cast<uint32_t>(pick(1, 16));
    if (chance(3)) {
      tell("clears flags ", std::to_string(flags));
      flags_.clear(flags);
    } else {
      tell("sets flags ", std::to_string(flags));
      ++setting_;
      flags_.set(flags);
      --setting_;
    }
  }

  // A message is under way from before it is sent until it has been received, or not been sent.
  void send_or_receive(Actor& actor) {
    begin_call(actor);
    const Instant until = actor.until = chance(2) ? never : soon();
    const uint64_t cancels = actor.cancels;
    if (chance(2)) {
      const uint32_t message = ++last_message_;
      tell("sends");
      under_way_.insert(message);
      actor.call = Call::send;
      const Waited waited = messages_.send_until(message, until);
      is_true(actor, waited, until, cancels);
      if (waited != Waited::done) EXPECT_EQ(under_way_.erase(message), 1u) << "received as well";
    } else {
      uint32_t message = 0;
      tell("receives");
      actor.call = Call::receive;
      const Waited waited = messages_.receive_until(message, until);
      is_true(actor, waited, until, cancels);
      EXPECT_EQ(under_way_.erase(message), waited == Waited::done ? 1u : 0u);
    }
    end_call(actor);
  }
  void try_to_send_or_receive() {
    if (chance(2)) {
      const uint32_t message = ++last_message_;
      under_way_.insert(message);
      if (!messages_.try_send(message)) EXPECT_EQ(under_way_.erase(message), 1u);
    } else if (uint32_t message = 0; messages_.try_receive(message)) {
      EXPECT_EQ(under_way_.erase(message), 1u);
    }
  }

  void meet(Actor& actor) {
    begin_call(actor);
    const Instant until = actor.until = chance(2) ? never : soon();
    const uint64_t cancels = actor.cancels;
    tell("comes to the barrier");
    actor.call = Call::barrier;
    const BarrierPassed result = barrier_.arrive_and_wait_until(until);
    is_true(actor, result.waited, until, cancels);
    if (result.waited == Waited::done) ++passed_;
    if (result.is_last) ++rounds_;
    end_call(actor);
  }

  // The mutex of who waits for a change.
  struct Relock {
    void unlock() {
      actor.held.clear();
      lock_.leave();
      lock_.unlock();
    }
    void lock() {
      crowd.begin_call(actor);
      actor.call = Call::none;
      actor.until = never;
      actor.wants = &lock_;
      actor.deaf = true;
      lock_.lock();
      EXPECT_EQ(lock_.abandoned(), lock_.died());
      lock_.enter();
      actor.held.push_back({&lock_, 1});
    }

    Crowd& crowd;
    Actor& actor;
    Lock& lock_;
  };
  void wait_for_change(Actor& actor) {
    // What it locks again it waits for whatever happens; so nobody may wait for it meanwhile.
    if (actor.held.size() != 1 || actor.held[0].depth != 1 || actor.held[0].lock->recursive ||
        actor.held[0].lock->ceiling || !actor.held[0].lock->hands_over) {
      return;
    }
    Relock lock{*this, actor, *actor.held[0].lock};
    begin_call(actor);
    const Instant until = actor.until = chance(2) ? never : soon();
    const uint64_t cancels = actor.cancels;
    tell("waits for a change");
    actor.call = Call::condition;
    is_true(actor, changed_.wait_until(lock, until), until, cancels);
    end_call(actor);
    check_now();
  }
  void notify() {
    const bool all = chance(2);
    tell(all ? "tells all" : "tells one");
    if (!is_exact() || all) {
      if (all) {
        changed_.notify_all();
      } else {
        changed_.notify_one();
      }
      return;
    }
    const typename S::Masked masked;
    const auto before = std::ranges::count_if(actors_, &Crowd::is_at_condition);
    changed_.notify_one();
    EXPECT_EQ(std::ranges::count_if(actors_, &Crowd::is_at_condition) + (before != 0 ? 1 : 0),
              before);
  }

  void join(Actor& actor, Actor& other) {
    begin_call(actor);
    const Instant until = actor.until = chance(2) ? never : soon();
    const uint64_t cancels = actor.cancels;
    tell("joins ", other.thread->text);
    const auto life = S::life(*other.thread);
    actor.call = Call::join;
    const auto result = S::join(life, until);
    const auto end = ended_with_.find({other.number, life.generation});
    if (result.has_value()) {
      EXPECT_TRUE(end != ended_with_.end() && end->second == *result);
    } else {
      switch (result.error()) {
        case JoinError::not_alive: break;
        case JoinError::itself: EXPECT_EQ(&actor, &other); break;
        case JoinError::never_ran: EXPECT_TRUE(end == ended_with_.end()); break;
        case JoinError::timed_out: is_true(actor, Waited::timed_out, until, cancels); break;
        case JoinError::cancelled: is_true(actor, Waited::cancelled, until, cancels); break;
        case JoinError::killed: is_true(actor, Waited::killed, until, cancels); break;
      }
    }
    end_call(actor);
  }

  void begin_call(Actor& actor) {
    actor.came = ++calls_;
    actor.retuned = false;
    actor.woken = false;
  }
  void end_call(Actor& actor) {
    actor.wants = nullptr;
    actor.takes = nullptr;
    actor.call = Call::none;
    actor.deaf = false;
    actor.until = never;
  }

  // Something that anybody may do to a task, from anywhere.
  void poke(Actor& actor) {
    Task& task = *actor.thread;
    switch (pick(0, 16)) {
      case 0:
        if (!chance(3)) break;
        tell("kills ", actor.thread->text);
        if (!is_over(actor)) actor.suspensions = 0;
        S::kill(task);
        break;
      case 1:
      case 2:
        tell("cancels ", actor.thread->text);
        ++actor.cancels;
        S::cancel_wait(task);
        break;
      case 3: suspend(actor); break;
      case 4:
      case 5:
      case 6: resume(actor); break;
      case 7:
        // Where it looks at every step none that waits for something else: that would be ready for
        // a moment, and still wait.
        if (is_exact() && (actor.wants != nullptr || actor.takes != nullptr ||
                           (actor.call != Call::none && actor.call != Call::gate))) {
          break;
        }
        tell("wakes ", actor.thread->text);
        actor.woken = true;
        S::wake(task);
        break;
      case 8: give(permits_[pick(0, permits_.size())]); break;
      case 12:
      case 13: change_flags(); break;
      case 14: try_to_send_or_receive(); break;
      case 15: notify(); break;
      default: retune(actor); break;
    }
  }

  void suspend(Actor& actor) {
    const bool alive = !is_over(actor);
    tell("suspends ", actor.thread->text);
    if (alive) ++actor.suspensions;
    const bool done = S::suspend(*actor.thread);
    if (is_exact()) EXPECT_EQ(done, alive);
  }

  bool resume(Actor& actor) {
    const int before = actor.suspensions;
    const bool alive = !is_over(actor);
    if (before != 0 && alive) --actor.suspensions;
    if (!alive) return false;
    tell("resumes ", actor.thread->text);
    const bool done = S::resume(*actor.thread);
    if (is_exact()) EXPECT_EQ(done, before != 0);
    return done;
  }

  void retune(Actor& actor) {
    const bool fits = !chance(20);
    const Attributes attributes = fits ? Terms<P>::some(pick(0, 1000)) : Terms<P>::refused();
    const bool alive = !is_over(actor);
    tell("gives other attributes to ", actor.thread->text);
    if (alive && fits) {
      actor.attributes = attributes;
      actor.retuned = true;
    }
    const bool done = S::retune(*actor.thread, attributes);
    if (is_exact()) EXPECT_EQ(done, alive && fits);
  }

  const bool exact_;
  const bool telling_;
  std::mt19937_64 gen_;
  mutable K kernel_;
  std::deque<Actor> actors_;
  std::vector<std::unique_ptr<Lock>> locks_;
  ReadersAndWriters both_;
  std::deque<Permits> permits_;
  EventFlags<S> flags_;
  int setting_ = 0;  // who is setting flags right now
  static constexpr size_t kRoom = 2;
  MessageQueue<S, uint32_t, kRoom> messages_;
  uint32_t last_message_ = 0;
  std::set<uint32_t> under_way_;
  Barrier<S> barrier_{kParty};
  uint64_t passed_ = 0;
  uint64_t rounds_ = 0;
  ConditionVariable<S> changed_;
  std::map<std::pair<int, uint32_t>, uint64_t> ended_with_;
  int phase_ = 0;
  bool draining_ = false;
  uint64_t calls_ = 0;
};

template <typename P, size_t kMostCpus = Options{}.cpus>
void run_seeds(const Setting& setting, uint64_t count) {
  const char* const only = std::getenv("BATON_SEED");
  const uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  for (uint64_t seed = first; seed < (only != nullptr ? first + 1 : count + 1); ++seed) {
    SCOPED_TRACE("BATON_SEED=" + std::to_string(seed));
    Crowd<P, kMostCpus> crowd(setting, seed, only != nullptr);
    crowd.run();
    if (testing::Test::HasFailure()) {
      std::cerr << "BATON_SEED=" << seed << " repeats it\n";
      if (only != nullptr) std::cerr << crowd.story();
      return;
    }
  }
}

template <typename P>
class Property : public testing::Test {};
struct Names {
  template <typename P>
  static std::string GetName(int) {
    return std::same_as<P, FixedPriority> ? "FixedPriority"
           : std::same_as<P, Edf>         ? "Edf"
                                          : "Eevdf";
  }
};
using Policies = testing::Types<FixedPriority, Edf, Eevdf>;
TYPED_TEST_SUITE(Property, Policies, Names);

TYPED_TEST(Property, HoldsOnOneCpuAtEveryStep) {
  run_seeds<TypeParam>({.cpus = 1, .exact = true}, 1000);
}
TYPED_TEST(Property, HoldsOnOneCpuThatStalls) {
  run_seeds<TypeParam>({.cpus = 1, .exact = false}, 300);
}
TYPED_TEST(Property, HoldsOnTwoCpus) { run_seeds<TypeParam>({.cpus = 2, .exact = false}, 300); }
TYPED_TEST(Property, HoldsOnThreeCpus) { run_seeds<TypeParam>({.cpus = 3, .exact = false}, 300); }

// Where there can be no other CPU, and so there are no locks.
TEST(PropertyOfAKernelOfOneCpu, HoldsAtEveryStep) {
  run_seeds<FixedPriority, 1>({.cpus = 1, .exact = true}, 300);
}

}  // namespace
}  // namespace sched::test
