// The example of docs/sync.md: a primitive of one's own. Tasks pass a gate while it is open.

#ifndef BATON_TESTS_DOCS_GATE_H_
#define BATON_TESTS_DOCS_GATE_H_

#include "sched/scheduler.h"
#include "sched/wait.h"

/// Who waits while it opens has passed, even if it is closed again before it runs.
template <typename S>
class Gate {
 public:
  sched::Waited pass_until(sched::Instant until) {
    typename S::Masked masked;
    masked.require_task();
    waiters_.lock();
    if (open_) {  // the last look, under the lock under which it changes
      waiters_.unlock();
      return sched::Waited::done;
    }
    sched::Waiting<S> waiting(masked);
    sched::Waiter<S> waiter(waiting);
    waiters_.insert(waiter);
    waiters_.unlock();
    return waiters_.wait(masked, waiting, waiter, until, [] {});
  }

  void close() { set(false); }

  void open() {
    set(true);
    while (serve_one()) continue;  // unmasked in between, however many wait
  }

 private:
  void set(bool open) {
    const typename S::Masked masked;
    waiters_.lock();
    open_ = open;
    waiters_.unlock();
  }

  bool serve_one() {
    const typename S::Masked masked;
    waiters_.lock();
    const auto served = open_ ? waiters_.serve([](auto&) {}) : typename S::Served();
    waiters_.unlock();
    if (served) masked.wake(served);  // with nothing locked
    return static_cast<bool>(served);
  }

  sched::WaitQueue<S> waiters_;
  bool open_ = false;
};

#endif  // BATON_TESTS_DOCS_GATE_H_
