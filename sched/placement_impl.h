// Where a task runs that may run in several places. Included by scheduler.h, and by nothing else.
//
// A place is looked for when a task is new (`spawn_in`), when it must leave its CPU, and at each
// wake of a task that floats. In this order: what the policy says (`Places`); the CPU it was on, if
// that is idle, for what it has in its caches; the nearest idle one; where it will run soonest, as
// far as the CPUs' balancers have told; the CPU it was on. A CPU is taken for idle when its idle
// task runs and its mailbox is empty: both are there to be read, and keeping them costs nobody
// anything. It may have changed by the time the task arrives. CPUs that have refused the task of
// late are left out, as long as there are others.
//
// Soonest is at once, under a policy that ranks: where somebody less urgent runs, on the CPU it was
// on if that is such a one, else on the one whose is the least urgent of all. Otherwise it is where
// there has been less to do, by at least half of what one task is; less would make tasks wander.
//
// A task that floats gives itself up when it blocks: on the idle task's stack, once its own has
// been left, its word says that nobody owns it. So it costs a detour by the idle task and an atomic
// to block, and one to claim it at the wake: by its waker, for the CPU that the place is. Under a
// policy that has given out something for it, and while it waits with a timer, it stays its CPU's:
// that one makes it ready, only then knows what it counts for, and sends it on (`spread`).

#ifndef BATON_SCHED_PLACEMENT_IMPL_H_
#define BATON_SCHED_PLACEMENT_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::is_idle(const Cpu& cpu) {
  return cpu.idle_.run_.running() && cpu.mailbox_.empty();
}

template <hal::Machine M, Policy P, Options kOptions>
CpuNumber Scheduler<M, P, kOptions>::nearest(const Cpu& cpu, CpuNumber from, const CpuSet& idle) {
  CpuNumber best = from;
  for (CpuNumber to = 0; to < cpu.count_; ++to) {
    if (!idle.contains(to)) continue;
    if (best == from) {
      best = to;
      continue;
    }
    if constexpr (hal::HasTopology<M>) {
      const unsigned distance = M::distance(from, to);
      const unsigned least = M::distance(from, best);
      if (distance < least || (distance == least && M::capacity(to) > M::capacity(best))) best = to;
    }
  }
  return best;
}

template <hal::Machine M, Policy P, Options kOptions>
CpuNumber Scheduler<M, P, kOptions>::place_for(Cpu& cpu, Task& task, Enter why) {
  const CpuSet online = Scheduler::online();
  CpuSet allowed = affinity(task) & online;
  if (allowed.empty()) {
    // The last one of them has gone. It is forgotten what they were.
    task.set(Task::kBound, false);
    cpu.unhoused_.add();
    allowed = online;
  } else if (why == Enter::woken && may_go_elsewhere(task)) {
    const CpuSet willing = allowed - refused_by(task);
    if (!willing.empty()) allowed = willing;
  }
  CpuSet idle;
  CpuNumber first = kNoOwner;
  for (CpuNumber at = 0; at < cpu.count_; ++at) {
    if (!allowed.contains(at)) continue;
    if (first == kNoOwner) first = at;
    if (is_idle(cpu.cpus_[at])) idle.insert(at);
  }
  CpuNumber previous = task.last_cpu_.load(std::memory_order_relaxed);
  if (why == Enter::created || previous >= cpu.count_) previous = cpu.number;
  if constexpr (Places<P, CpuSet>) {
    const Place place =
        cpu.policy_.place(task, Arrival<CpuSet>{.why = why,
                                                .previous = previous,
                                                .waker = cpu.number,
                                                .waker_is_parking = false,
                                                .from_interrupt = cpu.locked_ >= kInInterrupt,
                                                .allowed = allowed,
                                                .idle = idle});
    if (allowed.contains(place.cpu)) return place.cpu;
    cpu.misplaced_.add();
  } else {
    if (idle.contains(previous)) return previous;
    if (!idle.empty()) return nearest(cpu, previous, idle);
  }
  return soonest(cpu, task, why, allowed, allowed.contains(previous) ? previous : first);
}

template <hal::Machine M, Policy P, Options kOptions>
CpuNumber Scheduler<M, P, kOptions>::soonest(Cpu& cpu, const Task& task, Enter why,
                                             const CpuSet& allowed, CpuNumber usual) {
  CpuNumber best = usual;
  if constexpr (kRanks) {
    // A new task is not in the policy's hands yet. Where an object has its own, one on its way is
    // in nobody's, and what one that is blocked will count for is known when it is queued.
    const bool has_claim =
        kDetachesMovers ? task.stored_state() == State::ready && may_touch(cpu, task.ownership())
                        : why != Enter::created;
    if (has_claim) {
      const Claim claim = cpu.policy_.claim(task);
      Claim least = cpu.cpus_[usual].rank_.get();
      if (P::precedes(claim, least)) return usual;
      for (CpuNumber at = 0; at < cpu.count_; ++at) {
        if (!allowed.contains(at)) continue;
        const Claim rank = cpu.cpus_[at].rank_.get();
        if (!P::precedes(least, rank)) continue;
        best = at;
        least = rank;
      }
      if (P::precedes(claim, least)) {
        // Until it says so itself: nobody else is sent there for the same reason.
        cpu.cpus_[best].rank_.set(claim);
        return best;
      }
      best = usual;
    }
  }
  // What there may be to do elsewhere.
  int most = static_cast<int>(load(cpu.cpus_[usual])) - static_cast<int>(kBusy / 2);
  for (CpuNumber at = 0; at < cpu.count_; ++at) {
    if (!allowed.contains(at)) continue;
    const int there = static_cast<int>(load(cpu.cpus_[at]));
    if (there > most) continue;
    best = at;
    most = there - 1;
  }
  return best;
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::spawn_in(const Where& where, Task& task, std::span<std::byte> stack,
                                         hal::Entry entry, void* argument,
                                         const Attributes& attributes)
    -> std::expected<void, SpawnError>
  requires(kHasPlaces)
{
  if ((where.cpus & online()).empty()) return std::unexpected(SpawnError::cpu_not_started);
  begin_to_move();
  const auto prepared = prepare(task, stack, entry, argument);
  if (!prepared.has_value()) return prepared;
  const Irq irq = M::mask();
  if (where.cpus != CpuSet::all()) {
    task.new_attributes_.locked([&] { task.affinity_.cpus = where.cpus; });
    task.set(Task::kBound, true);
  }
  if (where.floats) {
    task.mark_.store(Task::Mark::floats, std::memory_order_relaxed);
    if constexpr (kDetachesMovers) task.baggage_.refused_by = {};
  }
  const CpuNumber to = place_for(here(), task, Enter::created);
  const auto launched = launch(to, task, attributes);
  M::unmask(irq);
  return launched;
}

// ---- Tasks that float -----------------------------------------------------------------------

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::park_floating(Cpu& cpu, Task& self) {
  const Instant now = M::now();
  charge(cpu, now);
  set_state(self, State::blocked);
  require(cpu.policy_.dequeue(self, Leave::blocked, now), self);
  self.runnable_.stop(now);
  self.parks_.add();
  cpu.voluntary_.add();
  // As at its end: the idle task lets it go once this stack has been left.
  Task* const before = std::exchange(cpu.emigrant_, &self);
  if (before != nullptr && before != &self) settle_place(cpu, *before, request::place);
  lock(cpu);
  switch_seldom(cpu, self, cpu.idle_, cpu.until_, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::let_float(Cpu& cpu, Task& task) {
  // What a policy has given out it wants back from the CPU where it is: under one that does, a task
  // stays there, and so does one whose timer runs there.
  if (kDetachesMovers || task.mark() != Task::Mark::floats || task.has(Task::kTimed) ||
      task.stored_state() != State::blocked || &task == cpu.current_) {
    return;
  }
  if constexpr (requires { M::leave_cpu(task.context_); }) M::leave_cpu(task.context_);
  task.last_cpu_.store(cpu.number, std::memory_order_relaxed);
  const Ownership mine = task.ownership();
  // If something has been asked of it meanwhile it is this CPU's mail.
  if (task.is_private_to(cpu.privately_mine_)) task.change(mine, mine.with_owner(kFloating));
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::place(Cpu& cpu, Task& task, bool may_handle) {
  const CpuNumber to = place_for(cpu, task, Enter::woken);
  if (to != cpu.number || !may_handle) {
    task.redirect(to);
    send(to, task);
  } else if (admit_moved(cpu, task)) {
    handle(cpu, task, task.take(task.ownership().with_pending(request::none)));
  }
}

}  // namespace sched

#endif  // BATON_SCHED_PLACEMENT_IMPL_H_
