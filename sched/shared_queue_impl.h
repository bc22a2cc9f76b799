// Tasks of a queue that all CPUs share (`Shares`: sched/policy/global.h). Included by scheduler.h,
// and by nothing else.
//
// There a task is in one queue with all others, and any CPU may choose it; but it has one owner all
// the same, the CPU that had it last, which alone may touch it. So a CPU that has chosen a task of
// another one asks for it as it would ask anything else (`request::place`), and idles until it has
// come. Meanwhile it is the policy's word that nobody else chooses it. Its owner, once off its
// stack, sends it to whoever has chosen it then, by a move of which the queue sees nothing. Nobody
// waits for anybody, and no task is in the hands of two.
//
// Whoever is chosen by a CPU that may not have it yet may be taken out of the queue by its owner
// before it is asked for, and may be gone: so it is asked with the queue locked.

#ifndef BATON_SCHED_SHARED_QUEUE_IMPL_H_
#define BATON_SCHED_SHARED_QUEUE_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::tell_others([[maybe_unused]] Cpu& cpu) {
  if constexpr (Shares<P>) {
    CpuSet told;  // the machine is not called with the queue locked
    cpu.policy_.take_kicks([&](CpuNumber other) { told.insert(other); });
    if (told.empty()) return;
    for (CpuNumber other = 0; other < cpu.count_; ++other) {
      if (!told.contains(other)) continue;
      cpu.kicks_.add();
      M::kick(other);
    }
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::heed([[maybe_unused]] Cpu& cpu) {
  if constexpr (Shares<P>) {
    // The idle task asks before it sleeps again.
    if (cpu.current_ == &cpu.idle_ || is_asked_anyway(cpu)) return;
    const Instant now = M::now();
    ask_again(cpu, cpu.policy_.asked_by(now), now);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::has_come(Cpu& cpu, Task& task)
  requires Shares<P>
{
  bool has_come = false;
  Ownership before;
  cpu.policy_.while_chosen(task, [&] {
    const Ownership seen = task.ownership();
    has_come = may_touch(cpu, seen);
    if (!has_come) before = task.post(request::place, seen.generation());
  });
  // One that is not alive yet is handed over when it is. With something pending it cannot go.
  if (before.is_alive() && before.pending() == request::none) send(before.owner(), task);
  return has_come;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::hand_over([[maybe_unused]] Cpu& cpu, [[maybe_unused]] Task& task) {
  if constexpr (Shares<P>) {
    // While it was not alive it was in the queue, and could be asked for nothing.
    const CpuNumber to = cpu.policy_.chooser(task, cpu.number);
    if (to != cpu.number) leave(cpu, task, to);
  }
}

}  // namespace sched

#endif  // BATON_SCHED_SHARED_QUEUE_IMPL_H_
