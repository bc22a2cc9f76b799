// Work for CPUs that have none, and the most urgent first on all. Included by scheduler.h, and by
// nothing else.
//
// Every CPU looks for itself, in the interrupt of its balancer's timer, as long as it has something
// to do: a floating task that waits here goes to a CPU that is idle; under a policy that ranks also
// to one that runs somebody less urgent, as that one said when it looked last. One task at a time.
// A CPU that becomes idle asks the one that has had the most to do: that one looks at once then. So
// a floating task waits while a CPU is idle for no longer than a period for each that is before it,
// and a kick and its interrupt on either side; and of the most urgent there are, as many as there
// are CPUs run after a period for each of them that has to go, and one more, for what a CPU has
// said of what it runs is that old. A look is O(CPUs), times what the policy's `surplus` does.
//
// Whom a CPU's policy has refused it is offered again after `kPatience` periods: looks go to those
// who may have it, and the refused is not on its way all the time.
//
// How much a CPU has to do is an average of what it found each time, 0 for idle, 1 for busy, 2 for
// one that had somebody waiting whom it could have given away; each look counts for a quarter.

#ifndef BATON_SCHED_BALANCE_IMPL_H_
#define BATON_SCHED_BALANCE_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::balance(Balancer& balancer, Duration period)
  requires(kOptions.cpus > 1 && Donates<P>)
{
  const Irq irq = M::mask();
  begin_to_move();
  Cpu& cpu = here();
  balancer.period_ = period;
  cpu.balancer_ = &balancer;
  keep_looking(cpu);
  M::unmask(irq);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::keep_looking(Cpu& cpu) {
  if (!cpu.balancer_->armed()) {
    arm_masked(cpu, *cpu.balancer_, M::now() + cpu.balancer_->period_);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::look(Timer&) {
  Cpu& cpu = here();
  const bool is_busy = cpu.current_ != &cpu.idle_;
  const bool has_surplus = is_busy && donate(cpu);
  const uint32_t sample = is_busy ? has_surplus ? 2 * kBusy : kBusy : 0;
  const uint32_t load = cpu.load_.load(std::memory_order_relaxed);
  cpu.load_.store(load - load / 4 + sample / 4, std::memory_order_relaxed);
  if (is_busy) keep_looking(cpu);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::may_go(const typename P::Entity& entity) {
  Cpu& cpu = here();
  Task& task = const_cast<Task&>(static_cast<const Task&>(entity));
  return task.mark() == Task::Mark::floats && &task != cpu.current_ &&
         task.is_private_to(cpu.privately_mine_) && affinity(task).contains(cpu.donee_) &&
         !refused_by(task).contains(cpu.donee_);
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::refused_by(Task& task) -> CpuSet {
  if constexpr (kDetachesMovers) {
    if (M::now() >= task.baggage_.ask_again) task.baggage_.refused_by = {};
    return task.baggage_.refused_by;
  } else {
    return {};
  }
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::donate(Cpu& cpu) {
  cpu.is_asked_.store(false, std::memory_order_relaxed);
  if (cpu.current_ == &cpu.idle_) return false;
  const Instant now = M::now();
  charge(cpu, now);
  if constexpr (kRanks) {
    cpu.rank_.set(cpu.policy_.claim(*cpu.current_));
  }
  const CpuSet online = Scheduler::online();
  bool has_surplus = false;
  Task* best = nullptr;
  CpuNumber to = cpu.number;
  for (CpuNumber at = 0; at < cpu.count_; ++at) {
    if (at == cpu.number || !online.contains(at)) continue;
    Cpu& other = cpu.cpus_[at];
    cpu.donee_ = at;
    auto* const entity = cpu.policy_.surplus(&may_go, now);
    if (entity == nullptr) continue;
    Task& task = static_cast<Task&>(*entity);
    has_surplus = true;
    if (is_idle(other)) {
      best = &task;
      to = at;
      break;
    }
    if constexpr (kRanks) {
      const Claim rank = other.rank_.get();
      if (P::precedes(cpu.policy_.claim(task), rank) &&
          (best == nullptr || P::precedes(cpu.cpus_[to].rank_.get(), rank))) {
        best = &task;
        to = at;
      }
    }
  }
  if (best != nullptr) {
    if constexpr (kRanks) {
      // Until it says so itself: nobody else is sent there for the same reason.
      cpu.cpus_[to].rank_.set(cpu.policy_.claim(*best));
    }
    leave(cpu, *best, to);
  }
  return has_surplus;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::ask(Cpu& cpu) {
  // Once a period: the answer is work, or none.
  const Instant now = M::now();
  if (now < cpu.ask_again_) return;
  cpu.ask_again_ = now + cpu.balancer_->period_;
  Cpu* most = nullptr;
  for (CpuNumber at = 0; at < cpu.count_; ++at) {
    Cpu& other = cpu.cpus_[at];
    const uint32_t load = other.load_.load(std::memory_order_relaxed);
    if (load <= kBusy || is_idle(other) || !other.mailbox_.is_open()) continue;
    if (most == nullptr || load > most->load_.load(std::memory_order_relaxed)) most = &other;
  }
  if (most == nullptr || most->is_asked_.exchange(true, std::memory_order_relaxed)) return;
  cpu.kicks_.add();
  M::kick(most->number);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::spread(Cpu& cpu, Task& task) {
  // It has just been made ready here, where somebody else runs.
  if (task.stored_state() != State::ready || cpu.current_ == &cpu.idle_ || cpu.current_ == &task) {
    return;
  }
  if constexpr (kRanks) {
    if (cpu.balancer_ != nullptr) cpu.rank_.set(cpu.policy_.claim(*cpu.current_));
  }
  task.last_cpu_.store(cpu.number, std::memory_order_relaxed);
  const CpuNumber to = place_for(cpu, task, Enter::woken);
  if (to != cpu.number) leave(cpu, task, to);
}

}  // namespace sched

#endif  // BATON_SCHED_BALANCE_IMPL_H_
