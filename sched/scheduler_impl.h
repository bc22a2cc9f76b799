// How `sched::Scheduler` does what scheduler.h promises. Included by it, and by nothing else.
//
// Everything here runs masked unless it says otherwise, on the CPU whose block it is given, and
// leaves by a tail call wherever it ends in a switch.

#ifndef BATON_SCHED_SCHEDULER_IMPL_H_
#define BATON_SCHED_SCHEDULER_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

// ---- Turns ----------------------------------------------------------------------------------

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::charge(Cpu& cpu, Instant now) {
  if constexpr (Charges<P>) {
    // A task that was given other attributes while it ran is queued, not current, until the policy
    // has been asked again: at once, or when a guard ends. What it uses meanwhile is nobody's.
    if ((cpu.due_ & kRequeued) != 0 || now <= cpu.charged_.until) return;
    const Instant since = cpu.charged_.until;
    cpu.charged_.until = now;
    if (cpu.current_ != &cpu.idle_) cpu.policy_.ran(*cpu.current_, since, now);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::arm(Cpu& cpu, Instant when) {
  cpu.armed_ = when;
  M::arm(when);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::ask_by(Cpu& cpu, Instant until) {
  // Lazily: a timer armed for earlier is left alone, fires early, and `on_timer` arms it anew.
  cpu.until_ = until;
  if (until < cpu.armed_) arm(cpu, until);
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::pick(Cpu& cpu, Instant now) -> Pick {
  return picked(cpu, cpu.policy_.pick(now), now);
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::picked(Cpu& cpu, const Choice<typename P::Entity>& choice,
                                       [[maybe_unused]] Instant now) -> Pick {
  const auto [entity, until] = choice;
  if constexpr (Charges<P>) cpu.charged_.until = now;
  if constexpr (kOptions.debug_checks) {
    if (entity != nullptr && until <= now) {
      stop("a policy's `until` has passed already", static_cast<Task&>(*entity));
    }
  }
  return {entity == nullptr ? cpu.idle_ : static_cast<Task&>(*entity), until};
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::switch_between(Cpu& cpu, Task& from, Task& to, Instant until,
                                               Instant now) {
  if (!from.canary_is_intact()) [[unlikely]]
    stop("stack overflow", from);
  from.run_.stop(now);
  to.run_.start(now);
  if constexpr (kOptions.latency) {
    from.latency_.ready_since = now;
    if (&to != &cpu.idle_) {
      const Duration wait = now - to.latency_.ready_since;
      to.latency_.histogram.add(wait);
      cpu.latency_.histogram.add(wait);
    }
  }
  cpu.until_ = until;
  cpu.current_ = &to;
  M::template switch_to<Task::context_offset()>(&from, &to);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::switch_seldom(Cpu& cpu, Task& from, Task& to, Instant until,
                                              Instant now) {
  switch_between(cpu, from, to, until, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::switch_or_stay(Task& from, Task& to, Instant until, Instant now) {
  Cpu& cpu = here_once();
  require_unlocked(cpu);
  ask_by(cpu, until);
  cpu.floor_ = cpu.armed_;
  if (&to != &from) switch_seldom(cpu, from, to, until, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::yield_masked() {
  // Where rescheduling is forbidden `switch_or_stay` stops it, at no cost otherwise; alone it is
  // harmless.
  Cpu& cpu = here_once();
  Task& self = *cpu.current_;
  const Instant floor = cpu.floor_;  // beside `current_`: one load for the two
  const Instant now = M::now();      // before all that follows: to a compiler it is a barrier
  if constexpr (KnowsPeers<P>) {
    if (!cpu.policy_.has_peer(self)) return;
  }
  charge(cpu, now);
  require(cpu.policy_.put_back(self, Pause::yielded, now), self);
  const auto [next, until] = picked(cpu, cpu.policy_.pick(now), now);
  if constexpr (!KnowsPeers<P>) {
    if (&next == &self) return switch_or_stay(self, self, until, now);
  }
  self.yields_.add();
  cpu.voluntary_.add();
  switch_to(cpu, self, {next, until}, floor, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::yield_to_masked(Task& target) {
  if constexpr (YieldsTo<P>) {
    Cpu& cpu = here();
    Task& self = *cpu.current_;
    if (&target != &self && is_private(cpu, target) && target.stored_state() == State::ready) {
      const Instant now = M::now();
      charge(cpu, now);
      require(cpu.policy_.yield_to(self, target, now), self);
      const auto [next, until] = pick(cpu, now);
      if (&next != &self) {
        self.yields_.add();
        cpu.voluntary_.add();
      }
      return switch_or_stay(self, next, until, now);
    }
  }
  yield_masked();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::park_masked(Task& self) {
  require_unlocked(here());
  if (self.permit_) {
    self.permit_ = false;
    return;
  }
  if (self.mark() != Task::Mark::none) [[unlikely]] {
    if (kMany && self.mark() == Task::Mark::floats) return moves(here()).park(here(), self);
    if (!is_deaf(self)) {
      self.woken_ = Woken::by_kill;
      return;
    }
  }
  block(self);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::block(Task& self) {
  // Where rescheduling is forbidden `switch_or_stay` stops it, as in `yield_masked`.
  Cpu& cpu = here_once();
  const Instant floor = cpu.floor_;
  const Instant now = M::now();
  charge(cpu, now);
  set_state(self, State::blocked);
  self.runnable_.stop(now);
  self.parks_.add();
  cpu.voluntary_.add();
  if constexpr (PassesOn<P>) {
    if (!cpu.policy_.leads(self)) [[unlikely]]
      return leave_and_switch(cpu, self, floor, now);
    Choice<typename P::Entity> choice;
    require(cpu.policy_.pass_on(self, now, choice), self);
    switch_to(cpu, self, picked(cpu, choice, now), floor, now);
  } else {
    leave_and_switch(cpu, self, floor, now);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::leave_and_switch(Cpu& cpu, Task& self, Instant floor, Instant now) {
  require(cpu.policy_.dequeue(self, Leave::blocked, now), self);
  switch_to(cpu, self, picked(cpu, cpu.policy_.pick(now), now), floor, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::switch_to(Cpu& cpu, Task& from, const Pick& pick, Instant floor,
                                          Instant now) {
  if (pick.until < floor) [[unlikely]]
    return switch_or_stay(from, pick.task, pick.until, now);
  switch_between(cpu, from, pick.task, pick.until, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::exit(uint64_t value) {
  enter_task("exit with interrupts masked");
  require_unlocked(here());
  Task& self = *here().current_;
  if (self.bonds_word() != 0) [[unlikely]]
    abandon_bonds(self);
  Cpu& cpu = here();
  self.set_bonds(uintptr_t{value});
  const Instant now = M::now();
  charge(cpu, now);
  leave_for_good(cpu, self, now);
  cpu.voluntary_.add();
  // Straight to the idle task, which must be let alone until it has handed this one back.
  cpu.leaving_ = &self;
  lock(cpu);
  switch_between(cpu, self, cpu.idle_, cpu.until_, now);
  stop("a finished task runs", self);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::abandon_bonds(Task& self) {
  while (Bond* const bond = self.bonds()) {
    // Bound meanwhile: until somebody else has it, whoever waits for it lends.
    M::unmask(M::kUnmasked);
    bond->abandon(*bond);
    M::mask();
    unlink(self, *bond);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::unlink(Task& self, const Bond& bond) {
  Bond* at = self.bonds();
  if (at == &bond) {
    self.set_bonds(at->next);
    return true;
  }
  while (at != nullptr && at->next != &bond) at = at->next;
  if (at == nullptr) return false;
  at->next = bond.next;
  return true;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::unbind_old(Task& self, Bond& bond) {
  if (!unlink(self, bond)) stop("unlock of what another task holds, or unbind of its bond", self);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::preempt() {
  Cpu& cpu = here_once();
  if (cpu.due_ != kPreemption) [[unlikely]]
    return (cpu.due_ & ~kPreemption) == kRequeued ? preempt_requeued(cpu) : preempt_seldom(cpu);
  cpu.due_ = kNothing;
  overtake(cpu, *cpu.current_, cpu.preemptions_, M::now());
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::preempt_requeued(Cpu& cpu) {
  const Instant now = M::now();
  charge(cpu, now);
  cpu.due_ = kNothing;
  give_way(cpu, *cpu.current_, cpu.preemptions_, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::preempt_seldom(Cpu& cpu) {
  Task& self = *cpu.current_;
  const Instant now = M::now();
  charge(cpu, now);
  const Due due = cpu.due_;
  cpu.due_ = kNothing;
  const bool is_idle = &self == &cpu.idle_;
  const bool timed_out = (due & kTimeout) != 0;
  if (!is_idle && (due & kRequeued) == 0) {
    const Pause why = timed_out ? Pause::timed_out : Pause::preempted;
    require(cpu.policy_.put_back(self, why, now), self);
  }
  // Whom the sink waits for comes first: the idle task hands him back, and is let alone until then.
  const bool hands_back = (due & kHandBack) != 0;
  if (hands_back) lock(cpu);
  const auto [next, until] = hands_back ? Pick{cpu.idle_, cpu.until_} : pick(cpu, now);
  if (!hands_back) ask_by(cpu, until);
  if (&next == &self) return;
  if (!is_idle) {
    (timed_out ? self.timeouts_ : self.preemptions_).add();
    (timed_out ? cpu.timeouts_ : cpu.preemptions_).add();
  }
  switch_seldom(cpu, self, next, until, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::overtake(Cpu& cpu, Task& self, Counter& count, Instant now) {
  charge(cpu, now);
  require(cpu.policy_.put_back(self, Pause::preempted, now), self);
  give_way(cpu, self, count, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::give_way(Cpu& cpu, Task& self, Counter& count, Instant now) {
  const auto [next, until] = picked(cpu, cpu.policy_.pick(now), now);
  // Whoever was more urgent may have been given other attributes since it came due, or is held
  // back.
  if (&next == &self) [[unlikely]] {
    if (&count == &cpu.overtakes_) cpu.wakes_.add();
    return switch_or_stay(self, self, until, now);
  }
  self.preemptions_.add();
  count.add();
  switch_to(cpu, self, {next, until}, cpu.armed_, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::end_turn_early(Cpu& cpu, Instant now) {
  charge(cpu, now);
  // The idle task asks before it sleeps.
  Task& self = *cpu.current_;
  if (&self == &cpu.idle_ || (cpu.due_ & kRequeued) != 0) return;
  require(cpu.policy_.put_back(self, Pause::preempted, now), self);
  cpu.due_ |= kRequeued;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::honour(Cpu& cpu, bool may_switch) {
  if (cpu.due_ != kNothing) [[unlikely]]
    honour_due(cpu, may_switch);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::honour_due(Cpu& cpu, bool may_switch) {
  if (cpu.locked_ != 0) return;  // the end of the guard or of the interrupt will see to it
  if (may_switch) return preempt();
  kick_self(cpu);  // the caller had interrupts masked: the moment it unmasks them
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::release_masked(bool may_switch) {
  Cpu& cpu = here();
  unlock(cpu);
  honour(cpu, may_switch);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::on_timer() {
  Cpu& cpu = here_once();
  const Instant now = M::now();
  if (now >= cpu.until_) {
    cpu.until_ = never;
    cpu.due_ |= kTimeout;
  }
  if (now >= cpu.expiry_) cpu.expire_(cpu, now);
  arm(cpu, cpu.until_ < cpu.expiry_ ? cpu.until_ : cpu.expiry_);
}

// ---- Timers ---------------------------------------------------------------------------------

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::expire(Cpu& cpu, Instant now) {
  // One step an interrupt: what is due besides has its own, at once. So the time masked is the same
  // however much is due.
  if (Timer* const due = cpu.timers_.expire(now).due; due != nullptr) due->fire()(*due);
  cpu.expiry_ = cpu.timers_.next();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::arm_masked(Cpu& cpu, Timer& timer, Instant when) {
  // The timer is not armed: only one that is before all others changes when the first is due.
  if (when < cpu.expiry_) [[unlikely]]
    return arm_first(cpu, timer, when);
  cpu.timers_.arm(timer, when);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::arm_first(Cpu& cpu, Timer& timer, Instant when) {
  cpu.expire_ = &expire;
  const Instant reached = cpu.timers_.reached();
  cpu.expiry_ = when < reached ? reached : when;
  if (cpu.expiry_ < cpu.armed_) arm(cpu, cpu.expiry_);
  cpu.timers_.arm(timer, when);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::cancel_masked(Cpu& cpu, Timer& timer) {
  if (!timer.armed()) return false;
  cpu.timers_.cancel(timer);
  return timer.when() > cpu.expiry_ || cancelled_first(cpu);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::cancelled_first(Cpu& cpu) {
  cpu.expiry_ = cpu.timers_.next();
  return true;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::arm(Timer& timer, Instant when, Duration slack) {
  if (slack != Duration{}) when = coalesced(when, slack);
  const Irq irq = M::mask();
  Cpu& cpu = here();
  bool mine = true;
  if (timer.armed()) [[unlikely]]
    mine = cpu.timers_.holds(timer) && cancel_masked(cpu, timer);
  if (mine) arm_masked(cpu, timer, when);
  M::unmask(irq);
  return mine;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::cancel(Timer& timer) {
  const Irq irq = M::mask();
  Cpu& cpu = here();
  const bool in_time = cpu.timers_.holds(timer) && cancel_masked(cpu, timer);
  M::unmask(irq);
  return in_time;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::time_out(Timer& timer) {
  Task& task = static_cast<internal::WaitTimer<Task>&>(timer).task;
  end_wait(here(), task, Woken::by_timeout);
  if (kMany && task.mark() == Task::Mark::floats) moves(here()).spread(here(), task);
}

template <hal::Machine M, Policy P, Options kOptions>
Woken Scheduler<M, P, kOptions>::park_timed(Task& self, Instant when) {
  if (when == never) {
    park_masked(self);
    return self.take_reason();
  }
  if (when <= M::now() && !self.permit_) return Woken::by_timeout;
  internal::WaitTimer<Task> timer(self, &time_out);
  arm_masked(here(), timer, when);
  if constexpr (kMany) {
    self.set_timer(&timer);
    self.set(Task::kTimed, true);
  }
  park_masked(self);
  if constexpr (kMany) self.set(Task::kTimed, false);
  cancel_masked(here(), timer);
  return self.take_reason();
}

template <hal::Machine M, Policy P, Options kOptions>
Woken Scheduler<M, P, kOptions>::park_until(Instant when) {
  enter_task("park with interrupts masked");
  require_unlocked(here());
  const Woken reason = park_timed(*here().current_, when);
  M::unmask(M::kUnmasked);
  return reason;
}

template <hal::Machine M, Policy P, Options kOptions>
Waited Scheduler<M, P, kOptions>::sleep_until(Instant when) {
  enter_task("sleep with interrupts masked");
  require_unlocked(here());
  Task& self = *here().current_;
  // Wakes are kept for whoever waits for them.
  bool permit = self.permit_;
  self.permit_ = false;
  // Nobody serves it; by it a cancel finds the task also where a wake has just made it ready.
  internal::Wait wait;
  begin_wait(self, wait);
  Woken reason;
  while ((reason = park_timed(self, when)) == Woken::by_wake) permit = true;
  end_wait(self, wait);
  self.permit_ = permit;
  M::unmask(M::kUnmasked);
  return waited(reason);
}

template <hal::Machine M, Policy P, Options kOptions>
Woken Scheduler<M, P, kOptions>::Masked::park(Task& self, internal::Wait& wait,
                                              Instant until) const {
  if (irq_ != M::kUnmasked) [[unlikely]]
    stop_masked();
  // The common case in one piece: nobody has asked anything of the task before, and nobody does
  // while it waits. Otherwise it begins again, which may be to look why it has ended.
  if (until != never || self.permit_ || self.mark() != Task::Mark::none) [[unlikely]]
    return park_again(wait, until, false);
  block(self);
  if (!wait.template is_served<kMany>()) [[unlikely]]
    return look_again(wait);
  return Woken::by_wake;
}

template <hal::Machine M, Policy P, Options kOptions>
Woken Scheduler<M, P, kOptions>::look_again(internal::Wait& wait) {
  return park_again(wait, never, true);
}

template <hal::Machine M, Policy P, Options kOptions>
Woken Scheduler<M, P, kOptions>::park_again(internal::Wait& wait, Instant until, bool waked) {
  require_unlocked(here());
  Task& task = *here().current_;
  Woken reason = task.take_reason();
  if (reason == Woken::by_wake) {
    // A wake that is not meant for this wait is kept for the `park` that it is meant for.
    bool permit = waked || task.permit_;
    task.permit_ = false;
    do {
      if (waked && wait.kind.claim_changed != nullptr) {
        // Made ready, it may have got a later deadline: so it is no longer where it was in line.
        wait.kind.claim_changed(wait);
        here().due_ &= ~kPreemption;
      }
      reason = park_timed(task, until);
      waked = reason == Woken::by_wake && !wait.is_served();
      permit |= waked;
    } while (waked);
    if (permit) task.permit_ = true;
  }
  return reason == Woken::by_wake || wait.close() ? reason : Woken::by_wake;
}

// ---- One task of this CPU -------------------------------------------------------------------

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
    const Instant until = cpu.policy_.contend(task, *cpu.current_, now);
    if (until <= now) {
      cpu.due_ |= kPreemption;
    } else if (until < cpu.until_) {
      ask_by(cpu, until);
    }
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
    if (wait.is_over() || !wait.close()) return;  // served: the wake is on its way
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
    post(cpu, task, task.ownership(), request::suspend);
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
    require(cpu.policy_.dequeue(task, Leave::inherited, now), task);
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

// ---- Requests and mail ----------------------------------------------------------------------

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::may_touch(const Cpu& cpu, Ownership seen) {
  return seen.owner() == cpu.number && (seen.pending() & request::arrive) == 0;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::wake_masked(Task& task, Irq irq) {
  // The common case in one piece: a blocked task of this CPU. The others are in `request_masked`.
  Cpu& cpu = here_once();
  if (!is_private(cpu, task) || task.stored_state() != State::blocked) [[unlikely]] {
    return request_masked(present(task), request::wake, irq == M::kUnmasked);
  }
  const Instant now = M::now();
  charge(cpu, now);
  begin_to_wait(task, now);
  require(cpu.policy_.enqueue(task, Enter::woken, now), task);
  if constexpr (Contends<P>) {
    Task& self = *cpu.current_;
    if (&self != &cpu.idle_ && !is_asked_anyway(cpu)) {
      const Instant until = cpu.policy_.contend(task, self, now);
      if (until <= now) {
        if (cpu.locked_ == 0) {
          if (irq == M::kUnmasked) return overtake(cpu, self, cpu.overtakes_, now);
          kick_self(cpu);  // see `honour`
        }
        cpu.due_ |= kPreemption;
      } else if (until != never && until < cpu.until_) {
        ask_by(cpu, until);
      }
    }
  }
  cpu.wakes_.add();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::wake_and_settle_masked(Task& task, bool may_switch) {
  Cpu& cpu = here();
  if (!is_private(cpu, task) || task.stored_state() != State::blocked) [[unlikely]] {
    request_masked(present(task), request::wake, may_switch);
    // Not even if that was mail is what changed here let lie.
    return honour(here(), may_switch);
  }
  cpu.wakes_.add();
  make_ready(cpu, task, Enter::woken, M::now());
  honour(cpu, may_switch);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::request_masked(Life life, Requests requests, bool may_switch) {
  Cpu& cpu = here_once();
  Task& task = *life.task;
  const Ownership seen = task.ownership();
  if (!may_touch(cpu, seen) || seen.generation() != life.generation) {
    const Ownership wanted(life.generation, seen.owner(), 0);
    if (!kMany || seen.owner() != kFloating || !moves(cpu).claim(cpu, task, wanted, requests)) {
      return post(cpu, task, wanted, requests);
    }
    return honour(cpu, may_switch);
  }
  handle(cpu, task, requests);
  honour(cpu, may_switch);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::request(Life life, Requests requests) {
  const Irq irq = M::mask();
  request_masked(life, requests, irq == M::kUnmasked);
  M::unmask(irq);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::kill_masked(Life life, bool may_switch) {
  Cpu& cpu = here_once();
  Task& task = *life.task;
  const Ownership seen = task.ownership();
  if (!may_touch(cpu, seen) || seen.generation() != life.generation) {
    return post(cpu, task, Ownership(life.generation, seen.owner(), 0), request::kill);
  }
  kill_private(cpu, task, may_switch);
  honour(cpu, may_switch);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::kill(Life life) {
  const Irq irq = M::mask();
  kill_masked(life, irq == M::kUnmasked);
  M::unmask(irq);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::retune_masked(Task& task, const Attributes& attributes, Irq irq) {
  Cpu& cpu = here();
  const Ownership seen = task.ownership();
  if (!seen.is_alive()) return false;
  // One that goes on until a kick comes may wait before: queued anew it would be no more what the
  // policy calls current, and whoever ran then would be taken for it.
  const bool goes_on = &task == cpu.current_ && cpu.locked_ == 0 && irq != M::kUnmasked;
  if (!may_touch(cpu, seen) || goes_on) {
    task.new_attributes_.store(attributes,
                               [&] { return task.ownership().generation() == seen.generation(); });
    post(cpu, task, seen, request::retune);
    return true;
  }
  return retune_private(cpu, task, attributes);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::post(Cpu& cpu, Task& task, Ownership seen, Requests requests) {
  const Ownership before = task.post(requests, seen.generation(), cpu.number);
  if (before.generation() != seen.generation() || !before.is_alive()) {
    cpu.stale_.add();
  } else if (kMany && before.owner() == kFloating) {
    moves(cpu).place(cpu, task);
  } else if (before.pending() == request::none) {
    send(before.owner(), task);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::send(CpuNumber to, Task& task) {
  Cpu& cpu = here();
  switch (cpu.cpus_[to].mailbox_.push(task)) {
    case Mailbox::Pushed::quiet: return;
    case Mailbox::Pushed::kick: cpu.kicks_.add(); return M::kick(to);
    case Mailbox::Pushed::watched: return cpu.spared_.add();
    case Mailbox::Pushed::closed:
      if (kMany && cpu.cpus_->moves_.load(std::memory_order_relaxed) != nullptr) {
        return moves(cpu).take_from(cpu, to, task);
      }
      stop("mail to a CPU that has not started", task);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::on_kick() {
  // One task an interrupt, or the switch that became due by it: what interrupts are masked for
  // stays bounded however much has come.
  // The mailbox counts as more: mail that came while a kick of our own was pending has kicked, too,
  // but the two may have merged into this one.
  Cpu& cpu = here_once();
  if (kMany && cpu.is_leaving()) [[unlikely]]
    cpu.due_ |= kHandBack;  // the idle task has to clear this CPU
  if (kMany && cpu.is_asked_.load(std::memory_order_relaxed)) [[unlikely]]
    cpu.balancer_->balance_.donate(cpu);
  if ((cpu.due_ & kLater) != 0) {
    cpu.due_ ^= kLater;
  } else if (!next_mail(cpu)) {
    return;
  } else if (cpu.due_ != kNothing && (cpu.due_ & kRequeued) == 0) {
    // Not where the current task was suspended or retuned, see `requeued`.
    cpu.due_ |= kLater;
    return kick_self(cpu);
  }
  if (!cpu.reversing_.empty() || !cpu.inbox_.empty() || !cpu.mailbox_.empty()) {
    kick_self(cpu);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::next_mail(Cpu& cpu) {
  // A mailbox gives its tasks youngest first; handled they are oldest first, which keeps the order
  // of each poster. One call either turns a part of a line round or handles a task; both only for
  // a wake that came alone, which is the shortest, and the one that somebody waits for.
  if (cpu.inbox_.empty() || !cpu.reversing_.empty()) {
    if (cpu.reversing_.empty()) cpu.reversing_ = cpu.mailbox_.take_all();
    if (cpu.reversing_.empty()) return false;
    Postable& youngest = *cpu.reversing_.pop_front();
    cpu.inbox_.push_front(youngest);
    if (!cpu.reversing_.empty() || youngest.ownership().pending() != request::wake) {
      for (int i = 1; i < kReversals && !cpu.reversing_.empty(); ++i) {
        cpu.inbox_.push_front(*cpu.reversing_.pop_front());
      }
      return true;
    }
  }
  Task& task = static_cast<Task&>(*cpu.inbox_.pop_front());
  const Ownership seen = task.ownership();
  if (task.stored_state() == State::finished && !(seen.pending() & request::arrive)) {
    if (task.take(seen.after_death()) != request::none) cpu.stale_.add();
    bury(cpu, task);
  } else if (!kMany || !(seen.pending() & request::arrive) || !task.has_moved() ||
             moves(cpu).admit(cpu, task)) {
    handle(cpu, task, task.take(seen.with_pending(request::none)));
  }
  return true;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::handle(Cpu& cpu, Task& task, Requests requests) {
  if (requests & request::arrive) {
    if (kMany && task.has_moved()) {
      moves(cpu).arrive(cpu, task);
    } else if (!admit(cpu, task, *reinterpret_cast<const Attributes*>(task.arrival_attributes()))) {
      task.set_unborn(internal::TaskBits::Unborn::refused);
      task.state_.store(State::finished, std::memory_order_relaxed);
      if (retire(cpu, task)) bury(cpu, task);
      return;
    }
  }
  if (requests & request::wake) wake_private(cpu, task);
  if (requests & (request::cancel | request::suspend | request::inherit)) [[unlikely]]
    handle_seldom(cpu, task, requests);
  if (requests & request::kill) kill_private(cpu, task, false);
  if ((requests & request::retune) != 0 &&
      !retune_private(cpu, task, task.new_attributes_.load())) {
    cpu.stale_.add();
  }
  // Last: it may be another CPU's then.
  if constexpr (kMany) {
    if (requests >= request::bind) [[unlikely]] {
      moves(cpu).settle(cpu, task, requests);
    }
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::handle_seldom(Cpu& cpu, Task& task, Requests requests) {
  if (requests & request::cancel) cancel_private(cpu, task);
  if (requests & request::suspend) settle_suspension(cpu, task);
  if (requests & request::inherit) cpu.cpus_->graph_.settle(task);
}

// ---- Beginning and end ----------------------------------------------------------------------

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::start(std::span<Cpu> cpus, CpuNumber number, Sink sink) {
  Cpu& cpu = cpus[number];
  if (cpus.size() > kOptions.cpus) stop("more CPUs than the options allow", cpu.idle_);
  M::start_cpu(cpu, number);
  cpu.cpus_ = cpus.data();
  cpu.count_ = cpus.size();
  cpu.sink_ = sink;
  cpu.privately_mine_ = Postable::privately(number);
  cpu.idle_canary_ = reinterpret_cast<uintptr_t>(&cpu.idle_canary_);
  cpu.idle_.canary_ = &cpu.idle_canary_;
  cpu.idle_.state_.store(State::ready, std::memory_order_relaxed);
  cpu.started_ = M::now();
  cpu.idle_.run_.start(cpu.started_);
  cpu.current_ = &cpu.idle_;
  if constexpr (HearsOfCpu<P>) cpu.policy_.online(cpu.started_);
  lock(cpu);  // until `run`
  cpu.mailbox_.open();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::run() {
  M::mask();
  Cpu& cpu = here();
  for (;;) {
    hand_back(cpu);
    if (kMany && cpu.is_leaving()) [[unlikely]]
      moves(cpu).be_offline(cpu);
    if (!next_mail(cpu)) {
      cpu.due_ = kNothing;
      const Instant now = M::now();
      const auto [next, until] = pick(cpu, now);
      if (&next != &cpu.idle_) {
        if (kMany && cpu.balancer_ != nullptr) cpu.balancer_->balance_.keep_looking(cpu);
        switch_or_stay(cpu.idle_, next, until, now);
        cpu.due_ = kNothing;  // left by whoever ran last, if the kick for it is late
      } else {
        cpu.until_ = until;
        // Exactly: no early interrupt.
        const Instant next = until < cpu.expiry_ ? until : cpu.expiry_;
        if (cpu.armed_ != next) arm(cpu, next);
        if (kMany && cpu.balancer_ != nullptr) cpu.balancer_->balance_.ask(cpu);
        if (kOptions.polls == 0 || !watch(cpu)) M::wait();
      }
    }
    M::unmask(M::kUnmasked);
    M::mask();
  }
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::watch(Cpu& cpu) {
  if (!cpu.mailbox_.begin_watch()) return true;
  cpu.floor_ = cpu.armed_;  // an interrupt shows by it
  for (unsigned i = 0; i < kOptions.polls && cpu.mailbox_.is_watched(); ++i) {
    relax();
    M::unmask(M::kUnmasked);
    M::mask();
    if (cpu.floor_ == kLocked) break;
  }
  return !cpu.mailbox_.end_watch() || cpu.floor_ == kLocked;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::hand_back(Cpu& cpu) {
  // Locked already by whoever sent the idle task here (`exit`, `preempt`, `start`), or not at all.
  if (cpu.locked_ == 0) lock(cpu);
  if constexpr (kMany) {
    if (Task* const task = cpu.emigrant_; task != nullptr) [[unlikely]] {
      cpu.emigrant_ = nullptr;
      moves(cpu).settle(cpu, *task, request::place);
    }
  }
  if (Task* const task = cpu.leaving_; task != nullptr) {
    cpu.leaving_ = nullptr;
    if (retire(cpu, *task)) give_to_sink(cpu, *task);
  }
  while (!cpu.retired_.empty()) give_to_sink(cpu, static_cast<Task&>(*cpu.retired_.pop_front()));
  unlock(cpu);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::give_to_sink(Cpu& cpu, Task& task) {
  task.last_cpu_.store(cpu.number, std::memory_order_relaxed);
  Graph& graph = cpu.cpus_->graph_;
  graph.acquire();
  internal::Joiner* const joiners = task.joiners_;
  if (joiners != nullptr) [[unlikely]] {
    const internal::Joiner::Give give = joiners->give;  // who gives up meanwhile takes it along
    graph.release();
    return give(&cpu, task);
  }
  task.joiners_ = internal::Joiner::closed();
  graph.release();
  M::unmask(M::kUnmasked);
  task.hand_back();  // last of all: what an interrupt does to it before is still too early
  cpu.sink_(task);
  M::mask();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::give_joined(void* block, Postable& postable) {
  // The same for a task that others wait for the end of.
  Cpu& cpu = *static_cast<Cpu*>(block);
  Task& task = static_cast<Task&>(postable);
  const uint64_t value = task.bonds_word();
  const bool never_ran = task.never_ran();
  internal::Joiner* joiners;
  {
    GraphGuard guard(cpu.cpus_->graph_);
    joiners = task.joiners_;
    if (joiners != nullptr) joiners->link = &joiners;
    task.joiners_ = internal::Joiner::closed();
  }
  M::unmask(M::kUnmasked);
  task.hand_back();
  cpu.sink_(task);
  M::mask();
  while (tell_joiner(cpu, joiners, value, never_ran)) {
    M::unmask(M::kUnmasked);
    M::mask();
  }
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::tell_joiner(Cpu& cpu, internal::Joiner*& joiners, uint64_t value,
                                            bool never_ran) {
  // One at a time. Who gives up meanwhile takes itself out.
  Task* served = nullptr;
  {
    GraphGuard guard(cpu.cpus_->graph_);
    internal::Joiner* const joiner = joiners;
    if (joiner == nullptr) return false;
    joiner->leave();
    if (joiner->wait.begin_to_serve()) {
      served = static_cast<Task*>(&joiner->task);
      joiner->value = value;
      joiner->never_ran = never_ran;
      joiner->wait.serve(joiner);
    }
  }
  if (served != nullptr) request_masked(present(*served), request::wake, false);
  return true;
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::join(Life life, Instant until)
    -> std::expected<uint64_t, JoinError> {
  Masked masked;
  Task& task = *life.task;
  Task& self = masked.self();
  if (&task == &self) return std::unexpected(JoinError::itself);
  Graph& graph = here().cpus_->graph_;
  internal::Wait wait;
  internal::Joiner joiner(wait, self, &give_joined);
  {
    GraphGuard guard(graph);
    const Ownership seen = task.ownership(std::memory_order_acquire);
    const bool is_alive = seen.is_alive() && seen.generation() == life.generation;
    const bool is_over = is_dead(seen, life);
    // Dead, its list is open until it is on its way to the sink. Then the next life may begin,
    // which has a list of its own: the look counts only if it was not so far meanwhile.
    const bool is_open = is_over && seen.owner() == kDead &&
                         task.seen_joiners() != internal::Joiner::closed() &&
                         task.ownership(std::memory_order_acquire) == seen;
    if (!is_alive && !is_open) {
      const uint64_t value = task.bonds_word();
      const bool never_ran = task.never_ran();
      // Only if nobody has begun another life meanwhile: that is looked at last.
      std::atomic_thread_fence(std::memory_order_acquire);
      if (!is_over || !is_dead(task.ownership(std::memory_order_acquire), life)) {
        return std::unexpected(JoinError::not_alive);
      }
      if (never_ran) return std::unexpected(JoinError::never_ran);
      return value;
    }
    joiner.enter(task.joiners_);
  }
  begin_wait(self, wait);
  const Woken reason = masked.park(self, wait, until);
  end_wait(self, wait);
  if (reason != Woken::by_wake) {
    GraphGuard guard(graph);
    joiner.leave();
  }
  switch (reason) {
    case Woken::by_wake:
      if (joiner.never_ran) return std::unexpected(JoinError::never_ran);
      return joiner.value;
    case Woken::by_timeout: return std::unexpected(JoinError::timed_out);
    case Woken::by_cancel: return std::unexpected(JoinError::cancelled);
    case Woken::by_kill: return std::unexpected(JoinError::killed);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::spawn_on(CpuNumber to, Task& task, std::span<std::byte> stack,
                                         hal::Entry entry, void* argument,
                                         const Attributes& attributes)
    -> std::expected<void, SpawnError> {
  // Unmasked: "this CPU" may as well be the one before, and the array is the same on every CPU.
  if (to == kThisCpu) {
    to = here().number;
  } else if (to >= here().count_ || !here().cpus_[to].mailbox_.is_open()) {
    return std::unexpected(SpawnError::cpu_not_started);
  }
  const auto prepared = prepare(task, stack, entry, argument);
  if (!prepared.has_value()) [[unlikely]]
    return prepared;
  return launch(to, task, attributes);
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::prepare(Task& task, std::span<std::byte> stack, hal::Entry entry,
                                        void* argument) -> std::expected<void, SpawnError> {
  constexpr uintptr_t kAlignment = 16;
  const uintptr_t low =
      (reinterpret_cast<uintptr_t>(stack.data()) + kAlignment - 1) & ~(kAlignment - 1);
  const uintptr_t high =
      reinterpret_cast<uintptr_t>(stack.data() + stack.size()) & ~(kAlignment - 1);
  using Start = Task::Start;
  static_assert(alignof(Attributes) <= kAlignment);
  if (stack.size() < 2 * M::kContextBytes + sizeof(Start) + 2 * kAlignment + sizeof(Attributes))
      [[unlikely]] {
    return std::unexpected(SpawnError::stack_too_small);
  }

  const Ownership free = task.ownership();
  if (!free.is_free() || !task.change(free, free.before_birth())) [[unlikely]] {
    return std::unexpected(SpawnError::already_spawned);
  }
  // Whoever sees anything of the new life sees that the old one is no more: for `join`, which looks
  // at the word last.
  std::atomic_thread_fence(std::memory_order_release);
  uintptr_t* const canary = reinterpret_cast<uintptr_t*>(low);
  *canary = low;
  task.begin_life(canary);
  *task.start() = {entry, argument};
  task.context_ = M::make_context({reinterpret_cast<std::byte*>(low), high - low}, begin, &task);
  return {};
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::launch(CpuNumber to, Task& task, const Attributes& attributes)
    -> std::expected<void, SpawnError> {
  std::expected<void, SpawnError> result;
  const Irq irq = M::mask();
  Cpu& cpu = here_once();
  if (cpu.number != to) [[unlikely]] {
    ::new (task.arrival_attributes()) Attributes(attributes);
    task.be_born(to, request::arrive);
    send(to, task);
  } else if (!admit(cpu, task, attributes)) [[unlikely]] {
    task.hand_back();
    result = std::unexpected(SpawnError::bad_attributes);
  } else {
    task.be_born(to, request::none);
    honour(cpu, irq == M::kUnmasked);
  }
  M::unmask(irq);
  return result;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::begin(void* task) {
  Task& self = *static_cast<Task*>(task);
  self.set_unborn(internal::TaskBits::Unborn::no);
  // A copy: the task may use all of its stack.
  const typename Task::Start start = *self.start();
  start.entry(start.argument);
  exit();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::stop_locked(const Cpu& cpu) {
  stop(cpu.locked_ >= kInInterrupt ? "yield, park or exit in an interrupt"
                                   : "yield, park or exit while a guard forbids rescheduling",
       *cpu.current_);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::stop_masked() {
  require_unlocked(here());  // the better diagnosis in an interrupt, which is masked too
  stop("waiting with interrupts masked", *here().current_);
}

// ---- Statistics -----------------------------------------------------------------------------

template <hal::Machine M, Policy P, Options kOptions>
Usage Scheduler<M, P, kOptions>::usage(const Task& task) {
  const Instant now = M::now();
  const Ownership seen = task.ownership();
  const Duration run = task.run_.read(now);
  const Duration runnable = task.runnable_.read(now);
  const State state = task.stored_state();
  const bool ended_by_itself = state == State::finished && !task.never_ran();
  const bool waits = state == State::blocked || state == State::suspended_blocked;
  const uint64_t parks = task.parks_.read();
  const uint64_t preemptions = task.preemptions_.read();
  return {.run = run,
          .wait = runnable > run ? Duration{runnable.ticks - run.ticks} : Duration{},
          .voluntary = task.yields_.read() + parks + (ended_by_itself ? 1 : 0),
          .involuntary = task.timeouts_.read() + preemptions,
          .preemptions = preemptions,
          .wakes = parks - (waits && parks != 0 ? 1 : 0),
          .cpu = seen.is_alive() && seen.owner() != kFloating
                     ? seen.owner()
                     : task.last_cpu_.load(std::memory_order_relaxed)};
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::usage(const Cpu& cpu) -> CpuUsage {
  const Instant now = M::now();
  const Duration idle = cpu.idle_.run_.read(now);
  const uint64_t overtakes = cpu.overtakes_.read();
  const uint64_t preemptions = cpu.preemptions_.read() + overtakes;
  uint64_t clock_steps_back = 0;
  if constexpr (requires { cpu.steps_back; }) {
    clock_steps_back = cpu.steps_back.load(std::memory_order_relaxed);
  }
  return {.busy = now - Instant{cpu.started_.ticks + idle.ticks},
          .idle = idle,
          .voluntary = cpu.voluntary_.read(),
          .involuntary = cpu.timeouts_.read() + preemptions,
          .preemptions = preemptions,
          .wakes = cpu.wakes_.read() + overtakes,
          .stale = cpu.stale_.read(),
          .clock_steps_back = clock_steps_back,
          .departures = cpu.departures_.read(),
          .arrivals = cpu.arrivals_.read(),
          .kicks = cpu.kicks_.read(),
          .spared = cpu.spared_.read(),
          .unhoused = cpu.unhoused_.read(),
          .misplaced = cpu.misplaced_.read()};
}

}  // namespace sched

#endif  // BATON_SCHED_SCHEDULER_IMPL_H_
