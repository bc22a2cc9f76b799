// A task's beginning, its end, who is told of it, and the idle task's round. Included by
// scheduler.h, and by nothing else.

#ifndef BATON_SCHED_LIFE_IMPL_H_
#define BATON_SCHED_LIFE_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

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
  if constexpr (kSharesQueue) begin_to_move();
  if constexpr (HearsOfCpu<P>) cpu.policy_.online(cpu.started_);
  lock(cpu);  // until `run`
  cpu.mailbox_.open();
  if constexpr (kMany) cpu.calls_.open();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::run() {
  M::mask();
  Cpu& cpu = here();
  for (;;) {
    hand_back(cpu);
    if (kMany && cpu.is_leaving()) [[unlikely]]
      moves(cpu).be_offline(cpu);
    if (is_mails_turn(cpu) && next_piece(cpu)) {
      measure(cpu, has_pieces(cpu));
    } else {
      cpu.due_ = kNothing;
      const Instant now = M::now();
      const auto [next, until] = pick(cpu, now);
      if (&next != &cpu.idle_) {
        if (kMany && cpu.balancer_ != nullptr) cpu.balancer_->balance_.keep_looking(cpu);
        switch_or_stay(cpu.idle_, next, until, now);
        cpu.due_ = kNothing;  // left by whoever ran last, if the kick for it is late
      } else if (kMany && cpu.mail_share_.rests()) {
        cpu.mail_share_.end_rest();  // nobody wants the time
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
  // One at a time. Who gives up meanwhile takes itself out. Masked before: it is no switch's place.
  const Masked masked;
  Served served;
  {
    GraphGuard guard(cpu.cpus_->graph_);
    internal::Joiner* const joiner = joiners;
    if (joiner == nullptr) return false;
    joiner->leave();
    if (joiner->wait.begin_to_serve()) {
      joiner->value = value;
      joiner->never_ran = never_ran;
      served = Masked::promise(static_cast<Task&>(joiner->task));
      joiner->wait.serve(joiner);
    }
  }
  if (served) masked.wake(served);
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
    hand_over(cpu, task);
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

}  // namespace sched

#endif  // BATON_SCHED_LIFE_IMPL_H_
