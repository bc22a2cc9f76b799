// The example of docs/writing_a_policy.md: last in, first out.

#ifndef BATON_TESTS_DOCS_LIFO_H_
#define BATON_TESTS_DOCS_LIFO_H_

#include "sched/policy/policy.h"
#include "sched/policy/ring.h"

/// Whoever came last runs, and whoever comes preempts.
class Lifo {
 public:
  struct Entity : sched::RingLink<Lifo> {};
  struct Attributes {};

  bool attach(sched::Detached<Entity>, const Attributes&) { return true; }
  Attributes attributes(const Entity&) const { return {}; }

  sched::Links enqueue(Entity& entity, sched::Enter, hal::Instant) {
    return ring_.push_front(entity);
  }
  sched::Links dequeue(Entity& entity, sched::Leave, hal::Instant) { return ring_.remove(entity); }

  sched::Links put_back(Entity& entity, sched::Pause why, hal::Instant) {
    if (why != sched::Pause::yielded) return sched::Links::intact;
    if (ring_.remove(entity) == sched::Links::corrupt) return sched::Links::corrupt;
    return ring_.push_back(entity);
  }

  sched::Choice<Entity> pick(hal::Instant) {
    if (ring_.empty()) return {};
    return {&ring_.front(), hal::never};
  }

  hal::Instant contend(Entity&, Entity&, hal::Instant now) { return now; }

 private:
  sched::Ring<Entity, Lifo> ring_;
};

static_assert(sched::Contends<Lifo>);

#endif  // BATON_TESTS_DOCS_LIFO_H_
