// A policy that writes down what it is told, for tests of what a composition tells its parts.

#ifndef BATON_TESTS_SCHED_POLICY_DIARY_H_
#define BATON_TESTS_SCHED_POLICY_DIARY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "sched/policy/fifo.h"
#include "sched/policy/policy.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {

/// First in, first out, with every optional callback; `take` gives what has been noted since the
/// last time. Its turns last 100 ticks.
class Diary {
 public:
  using Entity = Fifo::Entity;
  using Attributes = Fifo::Attributes;

  bool attach(Detached<Entity> e, const Attributes& a) {
    note(refuses ? "refused" : "attach");
    return !refuses && fifo.attach(e, a);
  }
  Attributes attributes(const Entity&) const { return {}; }
  Links enqueue(Entity& e, Enter why, Instant now) {
    constexpr const char* kNames[] = {"+created",   "+woken", "+retuned",
                                      "+inherited", "+moved", "+dispatched"};
    note(kNames[static_cast<size_t>(why)]);
    return fifo.enqueue(e, why, now);
  }
  Links dequeue(Entity& e, Leave why, Instant now) {
    constexpr const char* kNames[] = {"-blocked", "-exited", "-retuned", "-inherited", "-moved"};
    note(kNames[static_cast<size_t>(why)]);
    return fifo.dequeue(e, why, now);
  }
  Links put_back(Entity& e, Pause why, Instant now) {
    constexpr const char* kNames[] = {"yielded", "preempted", "timed_out"};
    note(kNames[static_cast<size_t>(why)]);
    return fifo.put_back(e, why, now);
  }
  Links yield_to(Entity& e, Entity&, Instant now) {
    note("yield_to");
    return fifo.put_back(e, Pause::yielded, now);
  }
  Choice<Entity> pick(Instant now) {
    note("?");
    return {fifo.pick(now).entity, now + ticks(100)};
  }
  void detach(Detached<Entity>) { note("detach"); }
  void online(Instant) { note("online"); }
  void offline(Instant) { note("offline"); }
  void taken(Instant) { note("taken"); }
  void given_back(Instant) { note("given_back"); }
  void dump(const Entity&, auto field) const { field("diary", uint64_t{1}); }

  std::string take() { return std::exchange(text, {}); }

  bool refuses = false;

 private:
  void note(const char* what) {
    if (!text.empty()) text += ' ';
    text += what;
  }

  Fifo fifo;
  std::string text;
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_POLICY_DIARY_H_
