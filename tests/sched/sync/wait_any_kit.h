// What the tests of waiting for the first of several things share.

#ifndef BATON_TESTS_SCHED_SYNC_WAIT_ANY_KIT_H_
#define BATON_TESTS_SCHED_SYNC_WAIT_ANY_KIT_H_

#include <cstddef>
#include <expected>
#include <functional>

#include "sched/policy/fixed_priority.h"
#include "sched/sync/wait_any.h"
#include "tests/sched/kernel.h"

namespace sched::test {

using K = Kernel<FixedPriority>;
using S = K::S;
using Index = std::expected<size_t, Waited>;

inline Index ended(Waited how) { return std::unexpected(how); }

// Waits for nothing that ever comes, and lets a test do something in the middle.
struct Nothing {
  using Waiter = sched::Waiter<S>;

  Waiter waiter(Waiting<S>& waiting) { return Waiter(waiting); }
  bool try_now() {
    if (looks) looks();
    return false;
  }
  S::Served enter(Waiter&) {
    if (enters) enters();
    return {};
  }
  void leave(Waiter&) {}

  std::function<void()> looks;
  std::function<void()> enters;
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_SYNC_WAIT_ANY_KIT_H_
