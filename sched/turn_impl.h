// Who runs next, for how long, and what it is charged. Included by scheduler.h, and by nothing
// else.
//
// Everything here runs masked unless it says otherwise, on the CPU whose block it is given, and
// leaves by a tail call wherever it ends in a switch.

#ifndef BATON_SCHED_TURN_IMPL_H_
#define BATON_SCHED_TURN_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

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
  tell_others(cpu);
  if constexpr (kOptions.debug_checks) {
    if (entity != nullptr && until <= now) {
      stop("a policy's `until` has passed already", static_cast<Task&>(*entity));
    }
  }
  if constexpr (kSharesQueue) {
    // Nobody runs until it has come.
    if (entity != nullptr && !has_come(cpu, static_cast<Task&>(*entity))) return {cpu.idle_, until};
  }
  return {entity == nullptr ? cpu.idle_ : static_cast<Task&>(*entity), until};
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::require_may_run(const Cpu& cpu, const Task& task) {
  if (&task == &cpu.idle_) return;
  // So it runs nowhere else: each CPU runs its own.
  if (!may_touch(cpu, task.ownership())) stop("a task of another CPU is chosen", task);
  if (task.stored_state() != State::ready) stop("a task that cannot run is chosen", task);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::switch_between(Cpu& cpu, Task& from, Task& to, Instant until,
                                               Instant now) {
  if (!from.canary_is_intact()) [[unlikely]]
    stop("stack overflow", from);
  if constexpr (kOptions.debug_checks) require_may_run(cpu, to);
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
  const Due due = std::exchange(cpu.due_, kNothing);
  if (&self == &cpu.idle_) return;  // it looks by itself who comes next, and whether there is mail
  const bool timed_out = (due & kTimeout) != 0;
  if ((due & kRequeued) == 0) {
    const Pause why = timed_out ? Pause::timed_out : Pause::preempted;
    require(cpu.policy_.put_back(self, why, now), self);
  }
  // Whom the sink waits for comes first: the idle task hands him back, and is let alone until then.
  const bool hands_back = (due & kHandBack) != 0;
  if (hands_back) lock(cpu);
  const auto [next, until] = hands_back ? Pick{cpu.idle_, cpu.until_} : pick(cpu, now);
  if (!hands_back) ask_by(cpu, until);
  if (&next == &self) return;
  (timed_out ? self.timeouts_ : self.preemptions_).add();
  (timed_out ? cpu.timeouts_ : cpu.preemptions_).add();
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
  Instant next = cpu.until_ < cpu.expiry_ ? cpu.until_ : cpu.expiry_;
  if constexpr (kMany) {
    if (now >= cpu.mail_share_.rests_until()) {
      cpu.mail_share_.end_rest();
      kick_self(cpu);
    }
    if (cpu.mail_share_.rests_until() < next) next = cpu.mail_share_.rests_until();
  }
  arm(cpu, next);
}

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

#endif  // BATON_SCHED_TURN_IMPL_H_
