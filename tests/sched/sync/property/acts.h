// What the crowd of the property test does, to what can be waited for and to each other.

#ifndef BATON_TESTS_SCHED_SYNC_PROPERTY_ACTS_H_
#define BATON_TESTS_SCHED_SYNC_PROPERTY_ACTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sched/sync/property/crowd.h"

namespace sched::test {

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::begin(Actor& actor) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::on_finish(typename K::Thread& thread) {
  Actor& actor = actors_[static_cast<size_t>(std::stoi(thread.text.substr(5)))];
  tell(thread.text, " is over");
  if (actor.lives < kLives && !draining_) begin(actor);
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::live(Actor& actor) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::pass_gate(Actor& actor) {
  tell("at the gate");
  const int phase = phase_;
  actor.call = Call::gate;
  while (phase_ == phase && !draining_ && S::park() != Woken::by_kill) continue;
  actor.call = Call::none;
  if (phase_ == phase && !draining_) actor.steps = 1;  // killed
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::on_device(uint32_t line) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::step(Actor& actor) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::sleep(Actor& actor) {
  const Instant until = actor.until = soon();
  tell("sleeps");
  const uint64_t cancels = actor.cancels;
  const Waited waited = S::sleep_until(until);
  actor.until = never;
  is_true(actor, waited, until, cancels);
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::is_true(const Actor& actor, Waited waited, Instant until,
                                  uint64_t cancels) const {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::lock_any(Actor& actor) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::unlock_any(Actor& actor) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::give(Permits& permits) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::take(Actor& actor, Permits& permits) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::wait_for_flags(Actor& actor) {
  begin_call(actor);
  actor.flags = static_cast<uint32_t>(pick(1, 16));
  actor.all = chance(2);
  const Instant until = actor.until = chance(2) ? never : soon();
  const uint64_t cancels = actor.cancels;
  const uint32_t wanted = actor.flags;
  tell("waits for flags ", std::to_string(wanted), actor.all ? ", all" : "");
  actor.call = Call::flags;
  const FlagsWaited result = flags_.wait_until(wanted, actor.all ? FlagMatch::all : FlagMatch::any,
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::change_flags() {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::send_or_receive(Actor& actor) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::try_to_send_or_receive() {
  if (chance(2)) {
    const uint32_t message = ++last_message_;
    under_way_.insert(message);
    if (!messages_.try_send(message)) EXPECT_EQ(under_way_.erase(message), 1u);
  } else if (uint32_t message = 0; messages_.try_receive(message)) {
    EXPECT_EQ(under_way_.erase(message), 1u);
  }
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::meet(Actor& actor) {
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
template <typename P, size_t kMostCpus>
struct Crowd<P, kMostCpus>::Relock {
  void unlock() {
    actor.held.clear();
    lock_.leave();
    lock_.unlock();
    actor.entered = false;
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::wait_for_change(Actor& actor) {
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
  actor.entered = true;
  is_true(actor, changed_.wait_until(lock, until), until, cancels);
  end_call(actor);
  check_now();
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::notify() {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::join(Actor& actor, Actor& other) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::begin_call(Actor& actor) {
  actor.came = ++calls_;
  actor.retuned = false;
  actor.woken = false;
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::end_call(Actor& actor) {
  actor.wants = nullptr;
  actor.takes = nullptr;
  actor.call = Call::none;
  actor.deaf = false;
  actor.until = never;
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::poke(Actor& actor) {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::suspend(Actor& actor) {
  const bool alive = !is_over(actor);
  tell("suspends ", actor.thread->text);
  if (alive) ++actor.suspensions;
  const bool done = S::suspend(*actor.thread);
  if (is_exact()) EXPECT_EQ(done, alive);
}

template <typename P, size_t kMostCpus>
bool Crowd<P, kMostCpus>::resume(Actor& actor) {
  const int before = actor.suspensions;
  const bool alive = !is_over(actor);
  if (before != 0 && alive) --actor.suspensions;
  if (!alive) return false;
  tell("resumes ", actor.thread->text);
  const bool done = S::resume(*actor.thread);
  if (is_exact()) EXPECT_EQ(done, before != 0);
  return done;
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::retune(Actor& actor) {
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

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_SYNC_PROPERTY_ACTS_H_
