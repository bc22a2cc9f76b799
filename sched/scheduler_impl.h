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
  const auto [entity, until] = cpu.policy_.pick(now);
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
  Cpu& cpu = here();
  require_unlocked(cpu);
  ask_by(cpu, until);
  cpu.floor_ = cpu.armed_;
  if (&to != &from) switch_seldom(cpu, from, to, until, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::yield_masked() {
  // Where rescheduling is forbidden `switch_or_stay` stops it, at no cost otherwise; alone it is
  // harmless.
  Cpu& cpu = here();
  Task& self = *cpu.current_;
  const Instant floor = cpu.floor_;  // beside `current_`: one load for the two
  const Instant now = M::now();      // before all that follows: to a compiler it is a barrier
  if constexpr (KnowsPeers<P>) {
    if (!cpu.policy_.has_peer(self)) return;
  }
  charge(cpu, now);
  require(cpu.policy_.put_back(self, Pause::yielded, now), self);
  const auto [next, until] = pick(cpu, now);
  if constexpr (!KnowsPeers<P>) {
    if (&next == &self) return switch_or_stay(self, self, until, now);
  }
  self.yields_.add();
  cpu.voluntary_.add();
  if (until < floor) [[unlikely]]
    return switch_or_stay(self, next, until, now);
  switch_between(cpu, self, next, until, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::yield_to_masked(Task& target) {
  if constexpr (YieldsTo<P>) {
    Cpu& cpu = here();
    Task& self = *cpu.current_;
    if (&target != &self && target.is_private_to(cpu.privately_mine_) &&
        target.stored_state() == State::ready) {
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
void Scheduler<M, P, kOptions>::park_masked() {
  Cpu& cpu = here();
  require_unlocked(cpu);
  Task& self = *cpu.current_;
  if (self.permit_ || self.kill_requested()) {
    self.permit_ = false;
    return;
  }
  const Instant now = M::now();
  charge(cpu, now);
  set_state(self, State::blocked);
  require(cpu.policy_.dequeue(self, Leave::blocked, now), self);
  self.runnable_.stop(now);
  self.parks_.add();
  cpu.voluntary_.add();
  const auto [next, until] = pick(cpu, now);
  switch_or_stay(self, next, until, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::exit() {
  enter_task("exit with interrupts masked");
  Cpu& cpu = here();
  require_unlocked(cpu);
  Task& self = *cpu.current_;
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
void Scheduler<M, P, kOptions>::preempt() {
  Cpu& cpu = here();
  if (cpu.due_ != kPreemption) [[unlikely]]
    return preempt_seldom(cpu);
  cpu.due_ = kNothing;
  overtake(cpu, *cpu.current_, cpu.preemptions_, M::now());
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
  const auto [next, until] = pick(cpu, now);
  // Whoever was more urgent may have been given other attributes since it came due, or is held
  // back.
  if (&next == &self) [[unlikely]] {
    if (&count == &cpu.overtakes_) cpu.wakes_.add();
    return switch_or_stay(self, self, until, now);
  }
  self.preemptions_.add();
  count.add();
  if (until < cpu.armed_) [[unlikely]]
    return switch_or_stay(self, next, until, now);
  switch_between(cpu, self, next, until, now);
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
  M::kick(cpu.number);  // the caller had interrupts masked: the moment it unmasks them
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::release_masked(bool may_switch) {
  Cpu& cpu = here();
  unlock(cpu);
  honour(cpu, may_switch);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::on_timer() {
  Cpu& cpu = here();
  if (M::now() >= cpu.until_) {
    cpu.until_ = never;
    cpu.due_ |= kTimeout;
  }
  arm(cpu, cpu.until_);
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
void Scheduler<M, P, kOptions>::make_ready(Cpu& cpu, Task& task, Enter why, Instant now) {
  begin_to_wait(task, now);
  queue(cpu, task, why, now);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::queue(Cpu& cpu, Task& task, Enter why, Instant now) {
  charge(cpu, now);
  require(cpu.policy_.enqueue(task, why, now), task);
  if (&task == cpu.current_) {
    cpu.due_ |= kRequeued;
  } else {
    contend(cpu, task, now);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::wake_private(Cpu& cpu, Task& task) {
  switch (task.stored_state()) {
    case State::blocked: cpu.wakes_.add(); return make_ready(cpu, task, Enter::woken, M::now());
    case State::ready: task.permit_ = true; return;
    default: return cpu.stale_.add();
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::kill_private(Cpu& cpu, Task& task, bool may_switch) {
  const State state = task.stored_state();
  if (state == State::finished) return cpu.stale_.add();
  task.killed_.store(true, std::memory_order_relaxed);
  if (state == State::blocked) return wake_private(cpu, task);
  if (task.unborn_ == Task::Unborn::no || &task == cpu.current_) return;
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
  if (task.stored_state() == State::finished) return false;
  if (task.stored_state() != State::ready) {
    return cpu.policy_.attach(detached(static_cast<P::Entity&>(task)), attributes);
  }
  const Instant now = M::now();
  charge(cpu, now);
  require(cpu.policy_.dequeue(task, Leave::retuned, now), task);
  const bool admitted = cpu.policy_.attach(detached(static_cast<P::Entity&>(task)), attributes);
  queue(cpu, task, Enter::retuned, now);
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
  require(cpu.policy_.dequeue(task, Leave::exited, now), task);
  if constexpr (Detaches<P>) cpu.policy_.detach(detached(static_cast<P::Entity&>(task)));
  task.runnable_.stop(now);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::retire(const Cpu& cpu, Task& task) {
  // With a request pending the task is in a mailbox, or on its way there: this CPU will find it
  // there, and retire it then (`next_mail`).
  const Ownership seen = task.ownership();
  return task.is_private_to(cpu.privately_mine_) && task.change(seen, seen.after_death());
}

// ---- Requests and mail ----------------------------------------------------------------------

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::may_touch(const Cpu& cpu, Ownership seen) {
  return seen.owner() == cpu.number && (seen.pending() & request::arrive) == 0;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::wake_masked(Task& task, Irq irq) {
  // The common case in one piece: a blocked task of this CPU. The others are in `request_masked`.
  Cpu& cpu = here();
  if (!task.is_private_to(cpu.privately_mine_) || task.stored_state() != State::blocked)
      [[unlikely]] {
    return request_masked(task, request::wake, irq == M::kUnmasked);
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
          M::kick(cpu.number);  // see `honour`
        }
        cpu.due_ |= kPreemption;
      } else if (until < cpu.until_) {
        ask_by(cpu, until);
      }
    }
  }
  cpu.wakes_.add();
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::request_masked(Task& task, Requests requests, bool may_switch) {
  Cpu& cpu = here();
  const Ownership seen = task.ownership();
  if (!may_touch(cpu, seen)) return post(cpu, task, seen, requests);
  handle(cpu, task, requests);
  honour(cpu, may_switch);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::kill_masked(Task& task, bool may_switch) {
  Cpu& cpu = here();
  const Ownership seen = task.ownership();
  if (!may_touch(cpu, seen)) return post(cpu, task, seen, request::kill);
  kill_private(cpu, task, may_switch);
  honour(cpu, may_switch);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::retune_masked(Task& task, const Attributes& attributes) {
  Cpu& cpu = here();
  const Ownership seen = task.ownership();
  if (!seen.is_alive()) return false;
  if (!may_touch(cpu, seen)) {
    task.new_attributes_.store(attributes,
                               [&] { return task.ownership().generation() == seen.generation(); });
    post(cpu, task, seen, request::retune);
    return true;
  }
  return retune_private(cpu, task, attributes);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::post(Cpu& cpu, Task& task, Ownership seen, Requests requests) {
  const Ownership before = task.post(requests, seen.generation());
  if (before.generation() != seen.generation() || !before.is_alive()) {
    cpu.stale_.add();
  } else if (before.pending() == request::none) {
    send(before.owner(), task);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::send(CpuNumber to, Task& task) {
  switch (here().cpus_[to].mailbox_.push(task)) {
    case Mailbox::Pushed::quiet: return;
    case Mailbox::Pushed::kick: return M::kick(to);
    case Mailbox::Pushed::closed: stop("mail to a CPU that has not started", task);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::on_kick() {
  // One task an interrupt, or the switch that became due by it: what interrupts are masked for
  // stays bounded however much has come.
  // The mailbox counts as more: mail that came while a kick of our own was pending has kicked, too,
  // but the two may have merged into this one.
  Cpu& cpu = here();
  if ((cpu.due_ & kLater) != 0) {
    cpu.due_ ^= kLater;
  } else if (!next_mail(cpu)) {
    return;
  } else if (cpu.due_ != kNothing) {
    cpu.due_ |= kLater;
    return M::kick(cpu.number);
  }
  if (!cpu.reversing_.empty() || !cpu.inbox_.empty() || !cpu.mailbox_.empty()) {
    M::kick(cpu.number);
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
  } else {
    handle(cpu, task, task.take(seen.with_pending(request::none)));
  }
  return true;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::handle(Cpu& cpu, Task& task, Requests requests) {
  if (requests & request::arrive) {
    if (!admit(cpu, task, *reinterpret_cast<const Attributes*>(task.arrival_attributes()))) {
      task.unborn_ = Task::Unborn::refused;
      task.state_.store(State::finished, std::memory_order_relaxed);
      if (retire(cpu, task)) bury(cpu, task);
      return;
    }
  }
  if (requests & request::wake) wake_private(cpu, task);
  if (requests & request::kill) kill_private(cpu, task, false);
  if ((requests & request::retune) != 0 &&
      !retune_private(cpu, task, task.new_attributes_.load())) {
    cpu.stale_.add();
  }
}

// ---- Beginning and end ----------------------------------------------------------------------

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::start(std::span<Cpu> cpus, CpuNumber number, Sink sink) {
  Cpu& cpu = cpus[number];
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
    if (!next_mail(cpu)) {
      cpu.due_ = kNothing;
      const Instant now = M::now();
      const auto [next, until] = pick(cpu, now);
      if (&next != &cpu.idle_) {
        switch_or_stay(cpu.idle_, next, until, now);
        cpu.due_ = kNothing;  // left by whoever ran last, if the kick for it is late
      } else {
        cpu.until_ = until;
        if (cpu.armed_ != until) arm(cpu, until);  // exactly: no early interrupt
        M::wait();
      }
    }
    M::unmask(M::kUnmasked);
    M::mask();
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::hand_back(Cpu& cpu) {
  // Locked already by whoever sent the idle task here (`exit`, `preempt`, `start`), or not at all.
  if (cpu.locked_ == 0) lock(cpu);
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
  M::unmask(M::kUnmasked);
  task.hand_back();  // last of all: what an interrupt does to it before is still too early
  cpu.sink_(task);
  M::mask();
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
  uintptr_t* const canary = reinterpret_cast<uintptr_t*>(low);
  *canary = low;
  task.begin_life(canary);
  *task.start() = {entry, argument};
  task.context_ = M::make_context({reinterpret_cast<std::byte*>(low), high - low}, begin, &task);
  return launch(to, task, attributes);
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::launch(CpuNumber to, Task& task, const Attributes& attributes)
    -> std::expected<void, SpawnError> {
  std::expected<void, SpawnError> result;
  const Irq irq = M::mask();
  Cpu& cpu = here();
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
  self.unborn_ = Task::Unborn::no;
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

// ---- Statistics -----------------------------------------------------------------------------

template <hal::Machine M, Policy P, Options kOptions>
Usage Scheduler<M, P, kOptions>::usage(const Task& task) {
  const Instant now = M::now();
  const Ownership seen = task.ownership();
  const Duration run = task.run_.read(now);
  const Duration runnable = task.runnable_.read(now);
  const State state = task.stored_state();
  const bool ended_by_itself = state == State::finished && !task.never_ran();
  const uint64_t parks = task.parks_.read();
  const uint64_t preemptions = task.preemptions_.read();
  return {.run = run,
          .wait = runnable > run ? Duration{runnable.ticks - run.ticks} : Duration{},
          .voluntary = task.yields_.read() + parks + (ended_by_itself ? 1 : 0),
          .involuntary = task.timeouts_.read() + preemptions,
          .preemptions = preemptions,
          .wakes = parks - (state == State::blocked && parks != 0 ? 1 : 0),
          .cpu = seen.is_alive() ? seen.owner() : task.last_cpu_.load(std::memory_order_relaxed)};
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::usage(const Cpu& cpu) -> CpuUsage {
  const Instant now = M::now();
  const Duration idle = cpu.idle_.run_.read(now);
  const uint64_t overtakes = cpu.overtakes_.read();
  const uint64_t preemptions = cpu.preemptions_.read() + overtakes;
  return {.busy = now - Instant{cpu.started_.ticks + idle.ticks},
          .idle = idle,
          .voluntary = cpu.voluntary_.read(),
          .involuntary = cpu.timeouts_.read() + preemptions,
          .preemptions = preemptions,
          .wakes = cpu.wakes_.read() + overtakes,
          .stale = cpu.stale_.read()};
}

}  // namespace sched

#endif  // BATON_SCHED_SCHEDULER_IMPL_H_
