// What the tests of earliest deadline first share.

#ifndef BATON_TESTS_SCHED_POLICY_EDF_KIT_H_
#define BATON_TESTS_SCHED_POLICY_EDF_KIT_H_

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"
#include "sched/policy/edf.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {

using Attributes = Edf::Attributes;

constexpr Attributes server(uint64_t runtime, uint64_t period, uint64_t deadline = 0,
                            Overrun overrun = Overrun::throttle) {
  return {.runtime = ticks(runtime),
          .deadline = ticks(deadline),
          .period = ticks(period),
          .overrun = overrun};
}

constexpr Attributes soft(uint64_t runtime, uint64_t period) {
  return server(runtime, period, 0, Overrun::postpone);
}

// One that a test drives by hand.
template <typename Kind>
class Drive : public Harness<Kind> {
 public:
  typename Kind::Entity& entity(int e) { return this->entities[static_cast<size_t>(e)]; }
  void create(int e, const typename Kind::Attributes& attributes, Instant now) {
    ASSERT_TRUE(this->attach(e, attributes));
    ASSERT_EQ(this->enqueue(e, Enter::created, now), Links::intact);
  }
  void wake(int e, Instant now) { ASSERT_EQ(this->enqueue(e, Enter::woken, now), Links::intact); }
  void block(int e, Instant now) {
    ASSERT_EQ(this->dequeue(e, Leave::blocked, now), Links::intact);
  }
  void end_turn(int e, Pause why, Instant now) {
    ASSERT_EQ(this->put_back(e, why, now), Links::intact);
  }
  Instant deadline(int e) { return this->policy.deadline(entity(e)); }
  Duration budget(int e) { return this->policy.budget(entity(e)); }
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_POLICY_EDF_KIT_H_
