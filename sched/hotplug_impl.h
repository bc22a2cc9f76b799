// CPUs that go, and come back. Included by scheduler.h, and by nothing else.
//
// A CPU that is to go does it itself, in its idle task: it sends away whoever is runnable, then
// whoever waits with a timer, then the timers of the kernel, and handles its mail meanwhile, by
// which tasks go, too. When nothing is left it closes its mailbox, which succeeds only if that is
// empty. Where all CPUs share a queue it first stops choosing from that: who is runnable stays
// there, and goes when another one has chosen him, as ever.
//
// Tasks that are blocked without a timer are in no list, and need not move as long as nobody asks
// anything of them. Whoever does finds the mailbox closed, and with the task in his hands takes it
// from the CPU that is gone to one that is there (`take_from`). A lock keeps that from the moments
// at which a CPU closes and opens.

#ifndef BATON_SCHED_HOTPLUG_IMPL_H_
#define BATON_SCHED_HOTPLUG_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::take_offline(CpuNumber number)
  requires(kMany)
{
  const Irq irq = M::mask();
  begin_to_move();
  Cpu* const cpus = here().cpus_;
  bool goes = false;
  {
    const TicketGuard one_at_a_time(cpus->closing_, &relax);
    const CpuSet online = Scheduler::online();
    goes = online.contains(number) && online.size() > 1;
    if (goes) cpus[number].is_leaving_.store(true, std::memory_order_relaxed);
  }
  if (goes) M::kick(number);
  M::unmask(irq);
  return goes;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::bring_online(CpuNumber number)
  requires(kMany)
{
  const Irq irq = M::mask();
  Cpu& cpu = here();
  const bool comes = number < cpu.count_ && cpu.cpus_[number].is_leaving();
  if (comes) {
    Cpu& comer = cpu.cpus_[number];
    {
      // From here on it is open, or `is_offline` until it is again.
      const TicketGuard guard(comer.closing_, &relax);
      comer.is_leaving_.store(false, std::memory_order_relaxed);
    }
    M::kick(number);
  }
  M::unmask(irq);
  return comes;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::is_offline(CpuNumber number) {
  return !here().cpus_[number].mailbox_.is_open();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::let_in() {
  M::unmask(M::kUnmasked);
  M::mask();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::be_offline(Cpu& cpu) {
  lock(cpu);
  cpu.mail_share_.end_rest();  // its timer will not come
  if constexpr (kSharesQueue) {
    cpu.policy_.offline(M::now());
    tell_others(cpu);
  }
  for (; cpu.is_leaving(); let_in()) {
    if (!clear(cpu) || has_calls(cpu)) continue;
    cpu.until_ = never;
    arm(cpu, never);
    M::wait();
  }
  if (!cpu.mailbox_.is_open()) {
    const TicketGuard guard(cpu.closing_, &relax);
    if constexpr (HearsOfCpu<P> && !kSharesQueue) cpu.policy_.online(M::now());
    cpu.mailbox_.open();
  }
  if constexpr (kSharesQueue) cpu.policy_.online(M::now());
  unlock(cpu);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::clear(Cpu& cpu) {
  // One step, with interrupts let in within; true when there is none left.
  hand_back(cpu);
  lock(cpu);
  if (next_piece(cpu)) let_in();
  const auto [task, until] = pick(cpu, M::now());
  if (&task != &cpu.idle_) {
    require(cpu.policy_.put_back(task, Pause::preempted, M::now()), task);
    leave(cpu, task, place_for(cpu, task, Enter::moved));
    return false;
  }
  if (!cpu.idle_.ownership(std::memory_order_acquire).is_free()) {
    relax();  // it still carries one, and there is nothing else to do
    return false;
  }
  if (Timer* const timer = cpu.timers_.any(); timer != nullptr) {
    carry(cpu, *timer);
    return false;
  }
  if (has_mail(cpu)) return false;
  if (holds_back<P> && until < never) {
    cpu.until_ = until;
    arm(cpu, until);
    if (!has_calls(cpu)) M::wait();
    return false;
  }
  if (!cpu.mailbox_.is_open()) return true;
  if constexpr (requires { M::leave_cpu(); }) M::leave_cpu();
  const TicketGuard guard(cpu.closing_, &relax);
  if (!cpu.is_leaving() || !cpu.mailbox_.close()) return false;  // asked back, or there is mail
  if constexpr (HearsOfCpu<P> && !kSharesQueue) cpu.policy_.offline(M::now());
  return true;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::carry(Cpu& cpu, Timer& timer) {
  if (timer.fire() == &time_out) {
    Task& task = static_cast<internal::WaitTimer<Task>&>(timer).task;
    return leave(cpu, task, place_for(cpu, task, Enter::moved));
  }
  cancel_masked(cpu, timer);
  if (&timer == cpu.balancer_) return;  // looks for this CPU alone, and again when it is back
  set_place(timer, kOnItsWay);
  cpu.orphan_ = &timer;
  // No life of the idle task's: nobody else can ask anything of it.
  const Ownership free = cpu.idle_.ownership();
  cpu.idle_.change(free, free.with_owner(kDead).with_pending(request::carry));
  const CpuSet online = Scheduler::online();
  CpuNumber to = 0;
  while (!online.contains(to)) ++to;
  send(to, cpu.idle_);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::take_over(Cpu& cpu, Task& idle) {
  Cpu* from = cpu.cpus_;
  while (&from->idle_ != &idle) ++from;
  set_place(*from->orphan_, armed_on(cpu));
  arm_masked(cpu, *from->orphan_, from->orphan_->when());
  idle.hand_back();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::take_from(Cpu& cpu, CpuNumber number, Task& task) {
  Cpu& closed = cpu.cpus_[number];
  {
    const TicketGuard guard(closed.closing_, &relax);
    if (closed.mailbox_.is_open()) {
      number = kNoOwner;
    } else if (const Ownership seen = task.ownership(); !(seen.pending() & request::arrive)) {
      if constexpr (kDetachesMovers) {
        task.baggage_.attributes = closed.policy_.attributes(task);
        closed.policy_.detach(detached(static_cast<P::Entity&>(task)));
      }
      task.last_cpu_.store(number, std::memory_order_relaxed);
      task.post(request::arrive, seen.generation());
    }
  }
  if (number == kNoOwner) return send(closed.number, task);  // it is back
  if (task.ownership().owner() == kDead) {
    number = 0;  // an idle task with a timer: to anybody
    while (is_offline(number)) ++number;
    return send(number, task);
  }
  place(cpu, task, false);
}

}  // namespace sched

#endif  // BATON_SCHED_HOTPLUG_IMPL_H_
