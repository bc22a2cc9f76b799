// A policy of one's own, put through Baton's conformance kit: who came last runs until it stops.

#include "sched/policy/policy.h"
#include "sched/policy/ring.h"
#include "tests/conformance/conformance.h"

namespace {

class NewestFirst {
 public:
  struct Entity : sched::RingLink<NewestFirst> {};
  struct Attributes {};

  bool attach(sched::Detached<Entity>, const Attributes&) { return true; }
  Attributes attributes(const Entity&) const { return {}; }
  sched::Links enqueue(Entity& entity, sched::Enter, sched::Instant) {
    return ring_.push_front(entity);
  }
  sched::Links dequeue(Entity& entity, sched::Leave, sched::Instant) {
    return ring_.remove(entity);
  }
  sched::Links put_back(Entity& entity, sched::Pause why, sched::Instant) {
    if (why != sched::Pause::yielded) return sched::Links::intact;
    return ring_.rotate(entity);
  }
  sched::Choice<Entity> pick(sched::Instant) {
    if (ring_.empty()) return {};
    return {&ring_.front(), sched::never};
  }
  sched::Instant contend(Entity&, Entity&, sched::Instant now) { return now; }

 private:
  sched::Ring<Entity, NewestFirst> ring_;
};

struct NewestFirstSubject : sched::conformance::Subject<NewestFirst> {};

const bool kDone = sched::conformance::put_through<NewestFirstSubject>("newest_first");

}  // namespace
