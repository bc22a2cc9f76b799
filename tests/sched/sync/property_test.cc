// Properties of all that tasks wait for, whatever happens in whatever order: a crowd of tasks, and
// interrupts, do with them what the seed says, and a model that knows nothing but what was called
// and what came of it recomputes, from scratch, what must hold:
//
// - a task counts for the most of its own priority, the ceilings of what it has, and whoever waits
//   for what it has, in turn;
// - what has an owner has one, and a task that says so; who dies with it is told of;
// - who waits is blocked, and waits for something that is not to be had; the first to be served is
//   the most urgent, and of equals the one that came first;
// - a wait ends for one reason, which is true; permits are neither lost nor made;
// - the most urgent task runs; in the end everybody has ended, once, and nobody waits.
//
// On one CPU it looks between any two operations; on several, where much is on its way as mail,
// whenever all is quiet. A failure names its seed; BATON_SEED=<seed> repeats that one alone, and
// tells what happened.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/sync/ceiling_mutex.h"
#include "sched/sync/mutex.h"
#include "sched/sync/recursive_mutex.h"
#include "sched/sync/semaphore.h"
#include "tests/sched/kernel.h"

// What is taken in one function is given back in another.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;
using Priority = uint16_t;

constexpr Priority kPriorities = 6;
constexpr int kTasks = 7;
constexpr int kLives = 3;
constexpr int kPhases = 4;
constexpr int kStepsAPhase = 10;
constexpr uint32_t kNextPhase = 1;  // interrupt lines
constexpr uint32_t kAnything = 2;

// A mutex of any kind, and what the model knows of it.
struct Lock {
  virtual ~Lock() = default;
  virtual bool try_lock() = 0;
  virtual void lock() = 0;
  virtual Locked acquire_until(Instant until) = 0;
  virtual void unlock() = 0;
  virtual bool abandoned() const = 0;
  virtual const S::Task* owner() const = 0;

  std::string name;
  Priority ceiling = 0;  // 0: none
  bool recursive = false;
  int inside = 0;
  bool died = false;  // the last owner has ended with it
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
  const S::Task* owner() const override { return mutex.owner(); }

  T mutex;
};

struct Permits {
  explicit Permits(int32_t first, int32_t most)
      : semaphore(first, most), count(first), most(most) {}
  Semaphore<S> semaphore;
  int32_t count;  // given, not taken; a served task's counts until it says so
  const int32_t most;
  int giving = 0;
};

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
  Priority priority = 0;
  int suspensions = 0;
  std::vector<Hold> held;
  // Of the call under way.
  Lock* wants = nullptr;
  Permits* takes = nullptr;
  bool deaf = false;
  bool at_gate = false;
  bool retuned = false;
  bool woken = false;  // by somebody who had nothing for it
  Instant until = never;
  uint64_t came = 0;
  uint64_t cancels = 0;
};

struct Setting {
  CpuNumber cpus;
  bool exact;  // nothing takes time but `spend`, and what is kicked is so at once
};

class Crowd {
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
    kernel_.on_device = [this](uint32_t line, S::Interrupt&) { on_device(line); };
    kernel_.on_finish = [this](K::Thread& thread) { on_finish(thread); };
    for (int i = 0; i < 3; ++i) locks_.push_back(std::make_unique<LockOf<Mutex<S>>>());
    locks_.push_back(std::make_unique<LockOf<RecursiveMutex<S>>>());
    locks_.back()->recursive = true;
    for (const uint8_t ceiling : {3, 6}) {
      locks_.push_back(std::make_unique<LockOf<CeilingMutex<S>>>(ceiling));
      locks_.back()->ceiling = ceiling;
    }
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
    for (const auto& lock : locks_) EXPECT_EQ(lock->owner(), nullptr) << lock->name;
    for (const Permits& permits : permits_) {
      EXPECT_EQ(permits.semaphore.permits(), permits.count);
    }
  }

  // What happened, and where it ended.
  std::string story() const {
    std::string text = kernel_.world.trace();
    for (const Actor& actor : actors_) {
      text += actor.thread->text + ": priority " + std::to_string(own(actor)) + ", counts for " +
              std::to_string(claim(actor)) + ", state " +
              std::to_string(static_cast<int>(state(actor)));
      if (actor.wants != nullptr) text += ", wants " + actor.wants->name;
      if (actor.takes != nullptr) text += ", takes";
      for (const auto& lock : locks_) {
        if (lock->owner() == actor.thread) text += ", has " + lock->name;
      }
      text += "\n";
    }
    return text;
  }

 private:
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
  static bool waits_for(const Actor& actor, const Lock& lock) {
    return actor.wants == &lock && lock.owner() != actor.thread && is_blocked(actor);
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
                               [&](const auto& lock) { return lock->owner() == actor.thread; });
  }

  // As the policy of any CPU tells; also to the host.
  FixedPriority& policy() const { return kernel_.cpu(0).policy(); }
  Priority own(const Actor& actor) const { return policy().attributes(*actor.thread).priority; }
  Priority claim(const Actor& actor) const { return policy().claim(*actor.thread); }

  // What it must count for.
  Priority effective(const Actor& actor, int depth = 0) const {
    if (depth > kTasks) {
      ADD_FAILURE() << "they wait in a circle";
      return 0;
    }
    Priority most = own(actor);
    for (const auto& lock : locks_) {
      if (lock->owner() != actor.thread) continue;
      most = std::max(most, lock->ceiling);
      for (const Actor* waiter : waiters_of(*lock)) {
        most = std::max(most, effective(*waiter, depth + 1));
      }
    }
    return most;
  }

  // Whether a wait of `self` for `lock` would be one for itself.
  bool leads_back(const Lock& lock, const Actor& self) const {
    const Lock* at = &lock;
    for (int depth = 0; depth <= kTasks; ++depth) {
      if (at->owner() == self.thread) return true;
      const Actor* owner = nullptr;
      for (const Actor& actor : actors_) {
        if (at->owner() == actor.thread) owner = &actor;
      }
      if (owner == nullptr || owner->wants == nullptr || !waits_for(*owner, *owner->wants)) {
        return false;
      }
      at = owner->wants;
    }
    return true;
  }

  // Who may be served next: the most urgent, and of those of which it is known the first.
  template <typename T>
  std::vector<const Actor*> first_of(const T& what) const {
    std::vector<const Actor*> waiters = waiters_of(what);
    Priority most = 0;
    for (const Actor* waiter : waiters) most = std::max(most, effective(*waiter));
    std::erase_if(waiters, [&](const Actor* waiter) { return effective(*waiter) != most; });
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
      for (const Actor::Hold& hold : actor.held) {
        EXPECT_EQ(hold.lock->owner(), actor.thread) << hold.lock->name;
      }
      if (is_blocked(actor)) {
        if (actor.thread->kill_requested()) EXPECT_TRUE(actor.deaf);
        if (actor.wants != nullptr) {
          EXPECT_NE(actor.wants->owner(), nullptr) << actor.wants->name;
        }
        if (actor.takes != nullptr) EXPECT_EQ(actor.takes->semaphore.permits(), 0);
      }
    }
  }

  // The same between any two operations, on one CPU.
  void check_now() const {
    if (!is_exact()) return;
    const S::Masked masked;
    check();
    for (const Actor& actor : actors_) {
      if (is_over(actor)) continue;
      SCOPED_TRACE(actor.thread->text);
      EXPECT_EQ(own(actor), actor.priority);
      const State state = S::state(*actor.thread);
      EXPECT_EQ(state == State::suspended || state == State::suspended_blocked,
                actor.suspensions != 0);
    }
  }
  void check_turn() const {
    if (!is_exact()) return;
    for (const Actor& actor : actors_) {
      if (state(actor) != State::ready) continue;
      EXPECT_LE(S::claim(*actor.thread), S::claim(S::current())) << actor.thread->text;
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
        EXPECT_TRUE(actor.at_gate || actor.wants != nullptr || actor.takes != nullptr);
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
    actor.priority = static_cast<Priority>(pick(0, kPriorities));
    actor.suspensions = 0;
    actor.held.clear();
    actor.wants = nullptr;
    actor.takes = nullptr;
    actor.deaf = false;
    actor.at_gate = false;
    actor.until = never;
    actor.thread->attributes = {.priority = actor.priority};
    if (kernel_.count() == 1) {
      kernel_.spawn(*actor.thread);
    } else {
      kernel_.spawn_on(any_cpu(), *actor.thread);
    }
  }

  void on_finish(K::Thread& thread) {
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
    for (const Actor::Hold& hold : actor.held) {
      hold.lock->died = true;
      hold.lock->inside = 0;
    }
    actor.held.clear();
    tell("ends");
    S::exit(pick(0, 8));
  }

  void pass_gate(Actor& actor) {
    tell("at the gate");
    const int phase = phase_;
    actor.at_gate = true;
    while (phase_ == phase && !draining_ && S::park() != Woken::by_kill) continue;
    actor.at_gate = false;
    if (phase_ == phase && !draining_) actor.steps = 1;  // killed
  }

  void on_device(uint32_t line) {
    if (line == kAnything) return poke(any_actor());
    for (Actor& actor : actors_) {
      if (draining_ || chance(2)) {
        while (resume(actor)) continue;
      }
      if (actor.at_gate) S::wake(*actor.thread);
      if (!draining_) continue;
      ++actor.cancels;
      S::cancel_wait(*actor.thread);
    }
  }

  void step(Actor& actor) {
    if (testing::Test::HasFailure()) kernel_.world.stop();
    Sim::spend(ticks(pick(0, 30)));
    switch (pick(0, 16)) {
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
    const bool one_cpu = is_exact();
    const bool was_free = lock.owner() == nullptr;
    const bool above = lock.ceiling != 0 && effective(actor) > lock.ceiling;
    const bool back = leads_back(lock, actor);
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
        if (!has_any(actor) && (lock.ceiling == 0 || lock.ceiling >= kPriorities)) {
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
            if (one_cpu) EXPECT_TRUE(back);
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
      for (Actor::Hold& hold : actor.held) {
        if (hold.lock == &lock) ++hold.depth;
      }
      return;
    }
    EXPECT_EQ(result == Locked::owner_died, lock.died) << lock.name;
    EXPECT_EQ(++lock.inside, 1) << lock.name;
    actor.held.push_back({&lock, 1});
    check_now();
  }

  void unlock_any(Actor& actor) {
    const size_t which = pick(0, actor.held.size());
    Lock& lock = *actor.held[which].lock;
    tell("unlocks ", lock.name);
    if (--actor.held[which].depth != 0) return lock.unlock();
    actor.held.erase(actor.held.begin() + static_cast<std::ptrdiff_t>(which));
    EXPECT_EQ(--lock.inside, 0) << lock.name;
    lock.died = false;
    if (!is_exact() || chance(2)) return lock.unlock();
    const S::Masked masked;
    const std::vector<const Actor*> heirs = first_of(lock);
    lock.unlock();
    if (heirs.empty()) {
      EXPECT_EQ(lock.owner(), nullptr);
    } else {
      EXPECT_TRUE(std::ranges::any_of(heirs, [&](const Actor* heir) {
        return heir->thread == lock.owner();
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
    const S::Masked masked;
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

  void begin_call(Actor& actor) {
    actor.came = ++calls_;
    actor.retuned = false;
    actor.woken = false;
  }
  void end_call(Actor& actor) {
    actor.wants = nullptr;
    actor.takes = nullptr;
    actor.deaf = false;
    actor.until = never;
  }

  // Something that anybody may do to a task, from anywhere.
  void poke(Actor& actor) {
    S::Task& task = *actor.thread;
    switch (pick(0, 12)) {
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
        if (is_exact() && (actor.wants != nullptr || actor.takes != nullptr)) break;
        tell("wakes ", actor.thread->text);
        actor.woken = true;
        S::wake(task);
        break;
      case 8: give(permits_[pick(0, permits_.size())]); break;
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
    const Priority priority =
        chance(20) ? Priority{300} : static_cast<Priority>(pick(0, kPriorities));
    const bool alive = !is_over(actor);
    tell("gives ", actor.thread->text, " priority ", std::to_string(priority));
    if (alive && priority < kPriorities) {
      actor.priority = priority;
      actor.retuned = true;
    }
    const bool done = S::retune(*actor.thread, {.priority = priority});
    if (is_exact()) EXPECT_EQ(done, alive && priority < kPriorities);
  }

  const bool exact_;
  const bool telling_;
  std::mt19937_64 gen_;
  mutable K kernel_;
  std::deque<Actor> actors_;
  std::vector<std::unique_ptr<Lock>> locks_;
  std::deque<Permits> permits_;
  int phase_ = 0;
  bool draining_ = false;
  uint64_t calls_ = 0;
};

void run_seeds(const Setting& setting, uint64_t count) {
  const char* const only = std::getenv("BATON_SEED");
  const uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  for (uint64_t seed = first; seed < (only != nullptr ? first + 1 : count + 1); ++seed) {
    SCOPED_TRACE("BATON_SEED=" + std::to_string(seed));
    Crowd crowd(setting, seed, only != nullptr);
    crowd.run();
    if (testing::Test::HasFailure()) {
      std::cerr << "BATON_SEED=" << seed << " repeats it\n";
      if (only != nullptr) std::cerr << crowd.story();
      return;
    }
  }
}

TEST(Property, HoldsOnOneCpuAtEveryStep) { run_seeds({.cpus = 1, .exact = true}, 1000); }
TEST(Property, HoldsOnOneCpuThatStalls) { run_seeds({.cpus = 1, .exact = false}, 500); }
TEST(Property, HoldsOnTwoCpus) { run_seeds({.cpus = 2, .exact = false}, 500); }
TEST(Property, HoldsOnThreeCpus) { run_seeds({.cpus = 3, .exact = false}, 500); }

}  // namespace
}  // namespace sched::test
