// Timers, sleeps, and waits that end at an instant. Included by scheduler.h, and by nothing else.

#ifndef BATON_SCHED_TIMER_IMPL_H_
#define BATON_SCHED_TIMER_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::expire(Cpu& cpu, Instant now) {
  // One step an interrupt: what is due besides has its own, at once. So the time masked is the same
  // however much is due.
  if (Timer* const due = cpu.timers_.expire(now).due; due != nullptr) {
    set_place(*due, armed_on(cpu) - kArmed);
    due->fire()(*due);
  }
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
  if constexpr (kMany) {
    const uint32_t place = timer.place().load(std::memory_order_relaxed);
    mine = (place & kArmed) == 0 || place == armed_on(cpu);
  }
  if (mine) {
    cancel_masked(cpu, timer);
    set_place(timer, armed_on(cpu));
    arm_masked(cpu, timer, when);
  }
  M::unmask(irq);
  return mine;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::cancel(Timer& timer) {
  const Irq irq = M::mask();
  const bool in_time = cancel_here(here(), timer);
  M::unmask(irq);
  return in_time;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::cancel_here(Cpu& cpu, Timer& timer) {
  if constexpr (kMany) {
    if (timer.place().load(std::memory_order_relaxed) != armed_on(cpu)) return false;
    set_place(timer, armed_on(cpu) - kArmed);
  }
  return cancel_masked(cpu, timer);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::cancel_anywhere(Timer& timer)
  requires(kOptions.cpus > 1)
{
  const auto place = [&] { return timer.place().load(std::memory_order_relaxed); };
  for (;; relax()) {
    const uint32_t seen = place();
    if (seen == 0) return false;  // it never was armed
    if (seen == kOnItsWay) continue;
    bool is_there = false;
    bool in_time = false;
    call_on(static_cast<CpuNumber>((seen >> 1) - 1), [&] {
      is_there = (place() | kArmed) == (seen | kArmed);
      in_time = cancel_here(here(), timer);
    });
    if (is_there) return in_time;
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::time_out(Timer& timer) {
  Task& task = static_cast<internal::WaitTimer<Task>&>(timer).task;
  end_wait(here(), task, Woken::by_timeout);
  if (may_go_elsewhere(task)) moves(here()).spread(here(), task);
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
    // A wake that is not meant for this wait is kept for the `park` that it is meant for. One that
    // is may come before the server's last step.
    bool permit = task.permit_;
    task.permit_ = false;
    while (!waked || !wait.template await_service<kMany>(&relax)) {
      permit |= waked;
      if (waked && wait.kind.claim_changed != nullptr) {
        // Made ready, it may have got a later deadline: so it is no longer where it was in line.
        wait.kind.claim_changed(wait);
        here().due_ &= ~kPreemption;
      }
      reason = park_timed(task, until);
      if (reason != Woken::by_wake) break;
      waked = true;
    }
    if (permit) task.permit_ = true;
  }
  return reason == Woken::by_wake || wait.close(&relax) ? reason : Woken::by_wake;
}

}  // namespace sched

#endif  // BATON_SCHED_TIMER_IMPL_H_
