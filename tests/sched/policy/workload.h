// Tasks that work, yield and sleep, on a policy with nothing around it: a mechanism that keeps to
// the head of sched/policy/policy.h, for tests of what comes out of many turns: shares, waits.

#ifndef BATON_TESTS_SCHED_POLICY_WORKLOAD_H_
#define BATON_TESTS_SCHED_POLICY_WORKLOAD_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {

template <Policy P>
class Workload {
 public:
  using H = Harness<P>;
  static constexpr uint64_t kEndless = UINT64_MAX / 4;

  /// What a task does next: it works so many ticks, and then sleeps, or yields if for none.
  struct Burst {
    uint64_t work = kEndless;
    uint64_t sleep = 0;
  };

  struct Task {
    bool is_present = false;
    std::function<Burst()> script;
    Burst burst;
    uint64_t used = 0;
    uint64_t turns = 0;
    uint64_t longest_wait = 0;
    uint64_t waits_since = kNotWaiting;
    uint64_t wakes_at = kNotWaiting;
  };

  /// A task comes, now.
  void spawn(int e, std::function<Burst()> script, const typename H::Attributes& attributes = {}) {
    ASSERT_TRUE(h.attach(e, attributes));
    Task& task = at_index(e);
    task = {};
    task.is_present = true;
    task.script = std::move(script);
    task.burst = task.script();
    arrive(e, Enter::created);
  }
  void spawn(int e, const typename H::Attributes& attributes = {}) {
    spawn(e, [] { return Burst{}; }, attributes);
  }

  /// One that is runnable gets other attributes.
  void retune(int e, const typename H::Attributes& attributes) {
    const bool was_current = e == current_;
    ASSERT_EQ(h.dequeue(e, Leave::retuned, at(now)), Links::intact);
    ASSERT_TRUE(h.attach(e, attributes));
    if (was_current) {
      current_ = H::kNobody;
      at_index(e).waits_since = now;
    }
    ASSERT_EQ(h.enqueue(e, Enter::retuned, at(now)), Links::intact);
    if (current_ == H::kNobody) until_ = now;
  }

  void run(uint64_t ticks) {
    const uint64_t end = now + ticks;
    while (now < end && !testing::Test::HasFatalFailure()) step(end);
  }

  const Task& task(int e) const { return tasks_[static_cast<size_t>(e)]; }
  uint64_t used(int e) const { return task(e).used; }
  int current() const { return current_; }

  H h;
  uint64_t now = 1;
  std::function<void(int)> on_pick = [](int) {};

 private:
  static constexpr uint64_t kNotWaiting = UINT64_MAX;

  Task& at_index(int e) { return tasks_[static_cast<size_t>(e)]; }

  void choose() {
    const auto answer = h.pick(at(now));
    current_ = answer.entity;
    until_ = answer.until.ticks;
    ASSERT_GT(until_, now);
    if (current_ == H::kNobody) return;
    Task& task = at_index(current_);
    if (task.waits_since != kNotWaiting) {
      task.longest_wait = std::max(task.longest_wait, now - task.waits_since);
      task.waits_since = kNotWaiting;
    }
    ++task.turns;
    on_pick(current_);
  }

  void pause(Pause why) {
    at_index(current_).waits_since = now;
    ASSERT_EQ(h.put_back(current_, why, at(now)), Links::intact);
    choose();
  }

  void arrive(int e, Enter why) {
    at_index(e).waits_since = now;
    at_index(e).wakes_at = kNotWaiting;
    ASSERT_EQ(h.enqueue(e, why, at(now)), Links::intact);
    if (current_ == H::kNobody) {
      until_ = now;  // to be chosen from when all who come at this instant are there
      return;
    }
    if constexpr (Contends<P>) {
      const uint64_t by = h.contend(e, current_, at(now)).ticks;
      if (by <= now) return pause(Pause::preempted);
      until_ = std::min(until_, by);
    }
  }

  void step(uint64_t end) {
    if (current_ == H::kNobody && until_ <= now) choose();
    uint64_t next = end;
    for (const Task& task : tasks_) next = std::min(next, task.wakes_at);
    next = std::min(next, until_);
    if (current_ != H::kNobody) next = std::min(next, now + at_index(current_).burst.work);
    if (current_ != H::kNobody && next > now) {
      if constexpr (Charges<P>) h.ran(current_, at(now), at(next));
      at_index(current_).used += next - now;
      at_index(current_).burst.work -= next - now;
    }
    now = next;
    if (current_ != H::kNobody && at_index(current_).burst.work == 0) {
      Task& task = at_index(current_);
      const uint64_t sleep = task.burst.sleep;
      task.burst = task.script();
      if (sleep == 0) {
        pause(Pause::yielded);
      } else {
        task.wakes_at = now + sleep;
        ASSERT_EQ(h.dequeue(current_, Leave::blocked, at(now)), Links::intact);
        current_ = H::kNobody;
        choose();
      }
    } else if (current_ != H::kNobody && now >= until_) {
      pause(Pause::timed_out);
    }
    for (int e = 0; e < H::kEntities; ++e) {
      if (at_index(e).is_present && at_index(e).wakes_at <= now) arrive(e, Enter::woken);
    }
  }

  std::array<Task, H::kEntities> tasks_{};
  int current_ = H::kNobody;
  uint64_t until_ = UINT64_MAX;
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_POLICY_WORKLOAD_H_
