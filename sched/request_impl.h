// What is asked of a task that may be another CPU's, and how mail is handled. Included by
// scheduler.h, and by nothing else.

#ifndef BATON_SCHED_REQUEST_IMPL_H_
#define BATON_SCHED_REQUEST_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::may_touch(const Cpu& cpu, Ownership seen) {
  return seen.owner() == cpu.number && (seen.pending() & request::arrive) == 0;
}

template <hal::Machine M, Policy P, Options kOptions>
template <bool kMayTouch>
void Scheduler<M, P, kOptions>::wake_masked(Task& task, Irq irq) {
  // The common case in one piece: a blocked task of this CPU. The others are in `request_masked`.
  Cpu& cpu = here_once();
  if ((!kMayTouch && !is_private(cpu, task)) || task.stored_state() != State::blocked ||
      (kDetachesMovers && may_go_elsewhere(task))) [[unlikely]] {
    return request_masked(present(task), request::wake, irq == M::kUnmasked);
  }
  const Instant now = M::now();
  charge(cpu, now);
  begin_to_wait(task, now);
  require(cpu.policy_.enqueue(task, Enter::woken, now), task);
  tell_others(cpu);
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
  if (!is_private(cpu, task) || task.stored_state() != State::blocked ||
      (kDetachesMovers && may_go_elsewhere(task))) [[unlikely]] {
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
  if (may_go_elsewhere(task)) requests |= request::place;
  const Ownership seen = task.ownership();
  if (may_touch(cpu, seen) && seen.generation() == life.generation) {
    handle(cpu, task, requests);
  } else {
    post(cpu, task, life.generation, requests, true);
  }
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
  if (may_touch(cpu, seen) && seen.generation() == life.generation) {
    kill_private(cpu, task, may_switch);
  } else {
    post(cpu, task, life.generation, request::kill);
  }
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
    post(cpu, task, seen.generation(), request::retune);
    return true;
  }
  return retune_private(cpu, task, attributes);
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::post(Cpu& cpu, Task& task, uint32_t generation, Requests requests,
                                     bool may_handle) {
  const Ownership before = task.post(requests, generation, cpu.number);
  if (before.generation() != generation || !before.is_alive()) return cpu.stale_.add();
  deliver(cpu, task, recipient(before), may_handle);
}

template <hal::Machine M, Policy P, Options kOptions>
CpuNumber Scheduler<M, P, kOptions>::recipient(Ownership before) {
  const bool is_first = before.owner() == kFloating || before.pending() == request::none;
  return is_first ? before.owner() : kNoOwner;
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::deliver(Cpu& cpu, Task& task, CpuNumber to, bool may_handle) {
  if (to == kNoOwner) return;
  if (kMany && to == kFloating) return moves(cpu).place(cpu, task, may_handle);
  send(to, task);
}

template <hal::Machine M, Policy P, Options kOptions>
auto Scheduler<M, P, kOptions>::promise_elsewhere(Task& task) -> Served {
  Cpu& cpu = here();
  const Ownership seen = task.ownership();
  if (may_touch(cpu, seen)) return Served(task);
  const Requests requests = may_go_elsewhere(task) ? request::wake | request::place : request::wake;
  return Served(task, recipient(task.post(requests, seen.generation(), cpu.number)));
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::deliver_masked(const Served& served, bool may_switch) {
  Cpu& cpu = here();
  deliver(cpu, *served.task_, served.to(), true);
  honour(cpu, may_switch);
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
  // One task an interrupt, or one call, or the switch that became due by it: what interrupts are
  // masked for stays bounded however much has come. The mailbox counts as more: mail that came
  // while a kick of our own was pending has kicked, too, but the two may have merged into this one.
  Cpu& cpu = here_once();
  if (kMany && cpu.is_leaving()) [[unlikely]]
    cpu.due_ |= kHandBack;  // the idle task has to clear this CPU
  if (kMany && cpu.is_asked_.load(std::memory_order_relaxed)) [[unlikely]]
    cpu.balancer_->balance_.donate(cpu);
  heed(cpu);
  // The idle task looks for what has come by itself.
  if (cpu.current_ == &cpu.idle_) return;
  if ((cpu.due_ & kLater) != 0) {
    cpu.due_ ^= kLater;
    if (has_pieces(cpu)) kick_self(cpu);
    return;
  }
  if (kMany && !cpu.mail_share_.has_turn()) [[unlikely]] {
    if (weigh(cpu)) kick_self(cpu);
    return;
  }
  if (!next_piece(cpu)) return;
  const bool more = has_pieces(cpu);
  measure(cpu, more);
  if (cpu.due_ != kNothing && (cpu.due_ & kRequeued) == 0) {
    // Not where the current task was suspended or retuned, see `requeued`.
    cpu.due_ |= kLater;
    kick_self(cpu);
  } else if (more) {
    kick_self(cpu);
  }
}

template <hal::Machine M, Policy P, Options kOptions>
void Scheduler<M, P, kOptions>::measure(Cpu& cpu, bool more) {
  if (kMany && (more || cpu.mail_share_.follows())) [[unlikely]]
    cpu.mail_share_.handled(more, M::now());
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::weigh(Cpu& cpu) {
  if (cpu.mail_share_.rests()) return false;
  if (cpu.mail_share_.weigh(M::now())) return true;
  const Instant until = cpu.mail_share_.rests_until();
  if (until < cpu.armed_) arm(cpu, until);
  return false;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::next_piece(Cpu& cpu) {
  if (has_calls(cpu)) [[unlikely]]
    return next_of_both(cpu);
  return next_mail(cpu);
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::next_of_both(Cpu& cpu) {
  // By turns, so that neither keeps the other waiting.
  cpu.was_call_ = !(cpu.was_call_ && has_mail(cpu));
  return cpu.was_call_ ? next_call(cpu) : next_mail(cpu);
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
    Requests requests = task.take(seen.with_pending(request::none));
    // Else a CPU of whose tasks others never stop asking something would never be empty.
    if (kMany && cpu.is_leaving()) requests |= request::place;
    handle(cpu, task, requests);
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

}  // namespace sched

#endif  // BATON_SCHED_REQUEST_IMPL_H_
