// What must hold of the crowd of the property test, recomputed from what its tasks have called and
// what came of it.

#ifndef BATON_TESTS_SCHED_SYNC_PROPERTY_MODEL_H_
#define BATON_TESTS_SCHED_SYNC_PROPERTY_MODEL_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sched/sync/property/crowd.h"

namespace sched::test {

template <typename P, size_t kMostCpus>
std::string Crowd<P, kMostCpus>::story() const {
  std::string text = kernel_.world.trace();
  for (const Actor& actor : actors_) {
    text += actor.thread->text + ": counts for " + as_text(claim(actor)) + ", should for " +
            as_text(effective(actor)) + ", state " + std::to_string(static_cast<int>(state(actor)));
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

template <typename P, size_t kMostCpus>
auto Crowd<P, kMostCpus>::waits_for(const Actor& actor) -> const Task* {
  if (actor.wants == nullptr || !is_blocked(actor)) return nullptr;
  const Task* const before = actor.wants->before(*actor.thread);
  return before == actor.thread ? nullptr : before;
}

template <typename P, size_t kMostCpus>
template <typename T>
auto Crowd<P, kMostCpus>::waiters_of(const T& what) const -> std::vector<const Actor*> {
  std::vector<const Actor*> waiters;
  for (const Actor& actor : actors_) {
    if (waits_for(actor, what)) waiters.push_back(&actor);
  }
  return waiters;
}

template <typename P, size_t kMostCpus>
auto Crowd<P, kMostCpus>::effective(const Actor& actor, int depth) const -> Claim {
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

template <typename P, size_t kMostCpus>
bool Crowd<P, kMostCpus>::leads_back(const Lock& lock, const Actor& self) const {
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

template <typename P, size_t kMostCpus>
template <typename T>
auto Crowd<P, kMostCpus>::first_of(const T& what) const -> std::vector<const Actor*> {
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

template <typename P, size_t kMostCpus>
bool Crowd<P, kMostCpus>::is_vague() const {
  return std::ranges::any_of(actors_, [](const Actor& actor) {
    return actor.woken && actor.wants != nullptr && state(actor) == State::suspended;
  });
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::check() const {
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
  check_queues();
}

template <typename P, size_t kMostCpus>
auto Crowd<P, kMostCpus>::queues_of(const Actor& actor) const -> std::vector<QueueOf<S>> {
  if (actor.wants != nullptr) return actor.wants->queues();
  if (actor.takes != nullptr) return {queue_of<S>(actor.takes->semaphore)};
  switch (actor.call) {
    case Call::flags: return {queue_of<S>(flags_)};
    case Call::send:
    case Call::receive: return {queue_of<S>(messages_)};
    case Call::barrier: return {queue_of<S>(barrier_)};
    case Call::condition: return {queue_of<S>(changed_)};
    case Call::none:
    case Call::gate:
    case Call::join: break;
  }
  return {};
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::check_queues() const {
  std::array<int, kTasks> places{};
  for (const QueueOf<S> queue : queues_) {
    for (auto* waiter = queue->first(); waiter != nullptr; waiter = queue->next(*waiter)) {
      const auto found = std::ranges::find(
          actors_, &waiter->task(), [](const Actor& actor) -> Task* { return actor.thread; });
      ASSERT_NE(found, actors_.end()) << "nobody of the crowd is in a queue";
      const Actor& actor = *found;
      SCOPED_TRACE(actor.thread->text);
      ++places[static_cast<size_t>(actor.number)];
      EXPECT_EQ(std::ranges::count(queues_of(actor), queue), 1) << "it does not wait for this";
      // Who can run is in no queue. (But a condition is entered before the mutex is unlocked, and
      // after a wake that was not for it a task looks, and parks again.) One whose wait has ended
      // otherwise leaves an owner's queue at once; another, which serves it no more, as it runs.
      if (actor.wants != nullptr || !waiter->waiting().is_over()) {
        EXPECT_TRUE(is_blocked(actor) || actor.entered || actor.woken) << "it can run, and waits";
      }
      EXPECT_FALSE(waiter->waiting().is_served()) << "it has what it waits for";
    }
  }
  for (const Actor& actor : actors_) {
    const bool waits = is_blocked(actor) && !queues_of(actor).empty();
    EXPECT_GE(places[static_cast<size_t>(actor.number)], waits ? 1 : 0) << actor.thread->text;
    EXPECT_LE(places[static_cast<size_t>(actor.number)], 1) << actor.thread->text;
  }
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::check_now() const {
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

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::check_turn() const {
  if constexpr (kHasPriorities) {
    if (!is_exact()) return;
    for (const Actor& actor : actors_) {
      if (state(actor) != State::ready) continue;
      EXPECT_LE(S::claim(*actor.thread), S::claim(S::current())) << actor.thread->text;
    }
  }
}

template <typename P, size_t kMostCpus>
bool Crowd<P, kMostCpus>::run_until_quiet() {
  const auto outcome = kernel_.run();
  if (testing::Test::HasFailure()) return false;
  EXPECT_EQ(outcome, End::quiet);
  if (outcome.end != End::quiet) return false;
  check_quiet();
  return !testing::Test::HasFailure();
}

template <typename P, size_t kMostCpus>
void Crowd<P, kMostCpus>::check_quiet() const {
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

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_SYNC_PROPERTY_MODEL_H_
