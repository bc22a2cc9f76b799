// How a task goes from one CPU to another, and where it may be. Included by scheduler.h, and by
// nothing else.
//
// A task moves in three steps. Its CPU, masked, changes the owner in its word by the compare-and-
// swap that also says `arrive`: that fails if anything is pending, and then the mail, which has the
// task anyway, moves it (`request::place`). From there to the push into the other CPU's mailbox
// nobody else can touch it, and it leaves all that belongs to the old CPU: queue, timers, policy,
// registers. The new CPU takes it over as it drains its mail (`arrive`). Nobody waits for anybody.
//
// The running task has no saved context, and cannot be sent: it is remembered (`emigrant_`) until
// the idle task, which runs on a stack of its own, finds it switched out. That is the next switch,
// due at once.
//
// Everything here is reached from the mechanism by `Moves` alone, which whoever makes the first
// task move sets; a kernel in which none ever does contains nothing of it.

#ifndef BATON_SCHED_AFFINITY_IMPL_H_
#define BATON_SCHED_AFFINITY_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

template <hal::Machine M, Policy P, Options kOptions>
constexpr typename Scheduler<M, P, kOptions>::Moves Scheduler<M, P, kOptions>::kMoves{
    .park = &park_floating,
    .place = &place,
    .take_from = &take_from,
    .be_offline = &be_offline,
    .spread = &spread,
    .admit = &admit_moved,
    .arrive = &arrive,
    .settle = &settle_place};

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::begin_to_move() {
  // Whoever is sent a task finds it by the mailbox's order.
  here().cpus_->moves_.store(&kMoves, std::memory_order_relaxed);
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::online() -> CpuSet {
  // Unmasked: the array is the same on every CPU.
  const Cpu* const cpus = here().cpus_;
  const size_t count = here().count_;
  CpuSet set;
  for (CpuNumber cpu = 0; cpu < count; ++cpu) {
    if (cpus[cpu].mailbox_.is_open() && !cpus[cpu].is_leaving()) set.insert(cpu);
  }
  return set;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::set_affinity(Task& task, const CpuSet& cpus)
  requires(kHasPlaces)
{
  if ((cpus & online()).empty()) return false;
  const Irq irq = M::mask();
  begin_to_move();
  const Life life = present(task);
  bool is_stored = false;
  task.new_attributes_.locked([&] {
    const Ownership seen = task.ownership();
    is_stored = seen.is_alive() && seen.generation() == life.generation;
    if (is_stored) task.affinity_.cpus = cpus;
  });
  if (is_stored) request_masked(life, request::bind, irq == M::kUnmasked);
  // If something has just been asked of the caller it goes with its mail: from somebody who is
  // masked until he has posted it.
  while (irq == M::kUnmasked && &task == here().current_ && here().locked_ == 0 &&
         (task.ownership().pending() != request::none || here().emigrant_ == &task)) {
    M::unmask(irq);
    relax();
    M::mask();
  }
  M::unmask(irq);
  return is_stored;
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::affinity(Task& task) -> CpuSet
  requires(kMany)
{
  CpuSet cpus = CpuSet::all();
  if (task.has(Task::kBound)) task.new_attributes_.locked([&] { cpus = task.affinity_.cpus; });
  return cpus;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::settle_place(Cpu& cpu, Task& task, Requests requests) {
  if (requests & request::carry) return take_over(cpu, task);
  if (task.stored_state() == State::finished) return;
  if (requests & request::bind) {
    task.set(Task::kBound, true);
    if constexpr (HearsOfAffinity<P, CpuSet>) cpu.policy_.allow(task, affinity(task));
  }
  if constexpr (Shares<P>) {
    const CpuNumber to = cpu.policy_.chooser(task, cpu.number);
    if (to == cpu.number) return;
    if (&task != cpu.current_) return leave(cpu, task, to);
  } else if (affinity(task).contains(cpu.number) && !cpu.is_leaving()) {
    if (task.stored_state() == State::blocked) return let_float(cpu, task);
    // Whoever has just been sent here stays; it may have been made ready by what came with it.
    constexpr Requests kMakesReady = request::wake | request::cancel | request::suspend;
    if ((requests & kMakesReady) != 0 && !(requests & request::arrive) && may_go_elsewhere(task)) {
      spread(cpu, task);
    }
    return;
  }
  if (&task == cpu.current_) {
    // One that has been here before, and has stopped without the idle task having run since.
    Task* const before = std::exchange(cpu.emigrant_, &task);
    cpu.due_ |= kHandBack;
    if (before != nullptr && before != &task) settle_place(cpu, *before, request::place);
    return;
  }
  leave(cpu, task, place_for(cpu, task, Enter::moved));
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::leave(Cpu& cpu, Task& task, CpuNumber to) {
  if (cpu.emigrant_ == &task) cpu.emigrant_ = nullptr;
  const Ownership mine = task.ownership();
  if (!task.is_private_to(cpu.privately_mine_) ||
      !task.change(mine, mine.with_owner(to).with_pending(request::arrive))) {
    // Something is pending, and stays so until this CPU handles it: then it goes.
    task.post(request::place, mine.generation());
    return;
  }
  part(cpu, task);
  cpu.departures_.add();
  send(to, task);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::part(Cpu& cpu, Task& task) {
  const Instant now = M::now();
  if (task.stored_state() == State::ready) {
    charge(cpu, now);
    if constexpr (!Shares<P>) require(cpu.policy_.dequeue(task, Leave::moved, now), task);
    task.runnable_.stop(now);
    if constexpr (kOptions.latency) {
      // Clocks differ: what has passed goes along, not since when.
      task.latency_.ready_since = Instant{(now - task.latency_.ready_since).ticks};
    }
  }
  if constexpr (kDetachesMovers) {
    task.baggage_.attributes = cpu.policy_.attributes(task);
    cpu.policy_.detach(detached(static_cast<P::Entity&>(task)));
  }
  if (task.has(Task::kTimed) && !cancel_masked(cpu, *task.timer())) task.set(Task::kTimed, false);
  if constexpr (requires { M::leave_cpu(task.context_); }) M::leave_cpu(task.context_);
  task.last_cpu_.store(cpu.number, std::memory_order_relaxed);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::admit_moved(Cpu& cpu, Task& task) {
  if constexpr (Shares<P>) return true;  // it never left
  const auto attributes = [&] {
    if constexpr (kDetachesMovers) {
      return task.baggage_.attributes;
    } else {
      return cpu.policy_.attributes(task);
    }
  }();
  const CpuNumber back = task.last_cpu_.load(std::memory_order_relaxed);
  if (cpu.policy_.attach(detached(static_cast<P::Entity&>(task)), attributes)) {
    if constexpr (kDetachesMovers) {
      auto& baggage = task.baggage_;
      if (cpu.balancer_ == nullptr || !baggage.refused_by.contains(back)) {
        baggage.refused_by = {};
      } else {
        baggage.ask_again = M::now() + Duration{kPatience * cpu.balancer_->period_.ticks};
      }
    }
    return true;
  }
  // Back with all its mail: where it comes from there was room for it. Should that be taken now it
  // goes to and fro until there is some on either.
  if constexpr (kDetachesMovers) task.baggage_.refused_by.insert(cpu.number);
  task.last_cpu_.store(cpu.number, std::memory_order_relaxed);
  task.redirect(back);
  send(back, task);
  return false;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::arrive(Cpu& cpu, Task& task) {
  const Instant now = M::now();
  cpu.arrivals_.add();
  if (task.has(Task::kTimed)) arm_masked(cpu, *task.timer(), task.timer()->when());
  if (task.stored_state() == State::ready) {
    task.runnable_.start(now);
    if constexpr (kOptions.latency) {
      task.latency_.ready_since = Instant{(now - task.latency_.ready_since).ticks};
    }
    if constexpr (!Shares<P>) queue(cpu, task, Enter::moved, now);
  }
  // A policy that it was detached from has forgotten that.
  if (kDetachesMovers && task.has(Task::kInherits)) cpu.cpus_->graph_.settle(task);
}

}  // namespace sched

#endif  // BATON_SCHED_AFFINITY_IMPL_H_
