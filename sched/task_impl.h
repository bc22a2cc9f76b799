// What happens to one task, on the CPU that owns it. Included by scheduler.h, and by nothing else.

#ifndef BATON_SCHED_TASK_IMPL_H_
#define BATON_SCHED_TASK_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::is_asked_anyway([[maybe_unused]] const Cpu& cpu) {
  // The current task is queued, and so is nobody the newcomer could contend with. Only a policy
  // that keeps accounts of a turn can tell.
  if constexpr (Charges<P>) return (cpu.due_ & kRequeued) != 0;
  return false;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::requeued(Cpu& cpu) {
  // At this interrupt's end, even if there is a kick for something else on its way: that may come
  // late, and what is current no more, or suspended, must not run on.
  cpu.due_ = static_cast<Due>((cpu.due_ | kRequeued) & ~kLater);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::contend(Cpu& cpu, Task& task, Instant now) {
  if constexpr (Contends<P>) {
    if (cpu.current_ == &cpu.idle_ || is_asked_anyway(cpu)) return;
    ask_again(cpu, cpu.policy_.contend(task, *cpu.current_, now), now);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::ask_again(Cpu& cpu, Instant until, Instant now) {
  if (until <= now) {
    cpu.due_ |= kPreemption;
  } else if (until < cpu.until_) {
    ask_by(cpu, until);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::begin_to_wait(Task& task, Instant now) {
  set_state(task, State::ready);
  task.runnable_.start(now);
  if constexpr (kOptions.latency) task.latency_.ready_since = now;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::dequeue(Cpu& cpu, Task& task, Leave why, Instant now) {
  // The seldom ways out of the queue; the common one is in `block`.
  require(cpu.policy_.dequeue(task, why, now), task);
  tell_others(cpu);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::make_ready(Cpu& cpu, Task& task, Enter why, Instant now) {
  begin_to_wait(task, now);
  queue(cpu, task, why, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::queue(Cpu& cpu, Task& task, Enter why, Instant now) {
  charge(cpu, now);
  require(cpu.policy_.enqueue(task, why, now), task);
  tell_others(cpu);
  if (&task == cpu.current_) {
    requeued(cpu);
  } else {
    contend(cpu, task, now);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::end_wait(Cpu& cpu, Task& task, Woken reason) {
  const State state = task.stored_state();
  const bool is_blocked = state == State::blocked || state == State::suspended_blocked;
  if (reason != Woken::by_wake && task.is_waiting()) {
    // Also of one that a wake which was not meant for this wait has made ready: it is about to look
    // and to park again, and would not know.
    internal::Wait& wait = task.wait();
    if (wait.is_over() || !wait.close(&relax)) return;  // served: the wake is on its way
    if (wait.kind.gave_up != nullptr) wait.kind.gave_up(wait);
    task.woken_ = reason;
  }
  if (!is_blocked) return;
  task.woken_ = reason;
  cpu.wakes_.add();
  if (state == State::suspended_blocked) return set_state(task, State::suspended);
  make_ready(cpu, task, Enter::woken, M::now());
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::wake_private(Cpu& cpu, Task& task) {
  switch (task.stored_state()) {
    case State::blocked:
    case State::suspended_blocked: return end_wait(cpu, task, Woken::by_wake);
    case State::ready:
    case State::suspended: task.permit_ = true; return;
    default: return cpu.stale_.add();
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::cancel_private(Cpu& cpu, Task& task) {
  // A finished one has its exit value where `is_deaf` looks.
  if (task.stored_state() == State::finished) return cpu.stale_.add();
  if (!is_deaf(task)) end_wait(cpu, task, Woken::by_cancel);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::settle_suspension(Cpu& cpu, Task& task) {
  const bool wanted = task.suspensions_.load(std::memory_order_relaxed) != 0;
  switch (task.stored_state()) {
    case State::ready: {
      if (!wanted) return;
      const Instant now = M::now();
      charge(cpu, now);
      set_state(task, State::suspended);
      dequeue(cpu, task, Leave::blocked, now);
      task.runnable_.stop(now);
      // It is neither current any more nor queued: as little to be put back as one that is.
      if (&task == cpu.current_) requeued(cpu);
      return;
    }
    case State::blocked:
      if (wanted) set_state(task, State::suspended_blocked);
      return;
    case State::suspended:
      if (!wanted) make_ready(cpu, task, Enter::woken, M::now());
      return;
    case State::suspended_blocked:
      if (!wanted) set_state(task, State::blocked);
      return;
    default: return;
  }
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::suspend(Task& task) {
  if (!task.ownership().is_alive()) return false;
  uint8_t count = task.suspensions_.load(std::memory_order_relaxed);
  do {
    if (count == UINT8_MAX) return false;
  } while (!task.suspensions_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed));
  const Irq irq = M::mask();
  Cpu& cpu = here();
  if (&task == cpu.current_ && cpu.locked_ == 0 && irq != M::kUnmasked) [[unlikely]] {
    // It goes on until a kick comes, and may wait or end before: so it is in its queue until then.
    post(cpu, task, task.ownership().generation(), request::suspend);
  } else {
    request_masked(present(task), request::suspend, irq == M::kUnmasked);
  }
  M::unmask(irq);
  return true;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::resume(Task& task) {
  uint8_t count = task.suspensions_.load(std::memory_order_relaxed);
  do {
    if (count == 0) return false;
  } while (!task.suspensions_.compare_exchange_weak(count, count - 1, std::memory_order_relaxed));
  request(present(task), request::suspend);
  return true;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::inherit(Cpu& cpu, Task& task, const Claim* claims) {
  if constexpr (Inherits<P>) {
    if (claims == nullptr && !task.has(Task::kInherits)) return;
    task.set(Task::kInherits, claims != nullptr);
    const Detached<typename P::Entity> entity = detached(static_cast<P::Entity&>(task));
    if (task.stored_state() != State::ready) return cpu.policy_.inherit(entity, claims);
    const Instant now = M::now();
    charge(cpu, now);
    // Not `dequeue`: this is a part of each wait for an owner who is ready.
    require(cpu.policy_.dequeue(task, Leave::inherited, now), task);
    tell_others(cpu);
    cpu.policy_.inherit(entity, claims);
    queue(cpu, task, Enter::inherited, now);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::kill_private(Cpu& cpu, Task& task, bool may_switch) {
  if (task.stored_state() == State::finished) return cpu.stale_.add();
  task.mark_.store(internal::TaskBits::Mark::killed, std::memory_order_relaxed);
  task.suspensions_.store(0, std::memory_order_relaxed);
  // By its state, not by the count: the last `resume` may still be on its way as mail.
  if (task.stored_state() >= State::suspended) [[unlikely]]
    settle_suspension(cpu, task);
  if (task.stored_state() == State::blocked) {
    if (!is_deaf(task)) end_wait(cpu, task, Woken::by_kill);
    return;
  }
  if (!task.never_ran() || &task == cpu.current_) return;
  const Instant now = M::now();
  charge(cpu, now);
  leave_for_good(cpu, task, now);
  if (!retire(cpu, task)) return;
  if (may_switch && cpu.locked_ == 0) {
    // On nobody's stack: no need to go to the idle task's.
    lock(cpu);
    give_to_sink(cpu, task);
    unlock(cpu);
  } else {
    bury(cpu, task);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::bury(Cpu& cpu, Task& task) {
  cpu.retired_.push_front(task);
  cpu.due_ |= kHandBack;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::retune_private(Cpu& cpu, Task& task, const Attributes& attributes) {
  const State state = task.stored_state();
  if (state == State::finished) return false;
  const Instant now = M::now();
  if (state == State::ready) {
    charge(cpu, now);
    dequeue(cpu, task, Leave::retuned, now);
  }
  const bool admitted = cpu.policy_.attach(detached(static_cast<P::Entity&>(task)), attributes);
  if (state == State::ready) queue(cpu, task, Enter::retuned, now);
  if constexpr (Inherits<P>) {
    if (task.is_waiting() && task.wait().kind.claim_changed != nullptr) {
      task.wait().kind.claim_changed(task.wait());
    }
  }
  return admitted;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::admit(Cpu& cpu, Task& task, const Attributes& attributes) {
  if (!cpu.policy_.attach(detached(static_cast<P::Entity&>(task)), attributes)) return false;
  make_ready(cpu, task, Enter::created, M::now());
  return true;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::leave_for_good(Cpu& cpu, Task& task, Instant now) {
  set_state(task, State::finished);
  dequeue(cpu, task, Leave::exited, now);
  if constexpr (Detaches<P>) cpu.policy_.detach(detached(static_cast<P::Entity&>(task)));
  task.runnable_.stop(now);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::retire(const Cpu& cpu, Task& task) {
  // With a request pending the task is in a mailbox, or on its way there: this CPU will find it
  // there, and retire it then (`next_mail`).
  const Ownership seen = task.ownership();
  return is_private(cpu, task) && task.change(seen, seen.after_death());
}

}  // namespace sched

#endif  // BATON_SCHED_TASK_IMPL_H_
