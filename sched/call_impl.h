// Something to be done by another CPU while a task waits. Included by scheduler.h, and by nothing
// else.
//
// The call is on the stack of the task that waits, and goes to that CPU by a list of its own, into
// which many push and from which that CPU takes: a mailbox, in which nothing is a task. It is
// looked into where mail is, and also while the CPU is offline, so the list never closes again.

#ifndef BATON_SCHED_CALL_IMPL_H_
#define BATON_SCHED_CALL_IMPL_H_

#include "sched/scheduler.h"

namespace sched {

template <hal::Machine M, Policy P, Options kOptions>
struct Scheduler<M, P, kOptions>::Call : Postable {
  // Neither kill nor cancel ends it: that CPU has its address.
  static constexpr internal::WaitKind kDeaf{.is_deaf = true};

  Call(Task& caller, void (*run)(Call&)) : caller(caller), answer(&answered), run(run) {}

  static void answered(Call& call) {
    const Masked masked;  // as it is already: it is no switch's place
    call.run(call);
    call.wait.begin_to_serve();
    const Served served = Masked::promise(call.caller);
    call.wait.serve(&call);
    masked.wake(served);
  }

  Task& caller;
  void (*const answer)(Call&);  // so that a kernel that makes no calls does not contain it
  void (*const run)(Call&);
  internal::Wait wait{kDeaf};
};

template <hal::Machine M, Policy P, Options kOptions>
template <typename F>
bool Scheduler<M, P, kOptions>::call_on(CpuNumber number, F f)
  requires(kOptions.cpus > 1)
{
  struct CallOf : Call {
    CallOf(Task& caller, F& f) : Call(caller, &run_it), f(f) {}
    static void run_it(Call& call) { static_cast<CallOf&>(call).f(); }
    F& f;
  };
  const MaskedTask masked;
  Cpu& cpu = here();
  if (number == cpu.number) {
    f();
    return true;
  }
  CallOf call(masked.self(), f);
  if (number >= cpu.count_ || !ask(cpu, number, call)) return false;
  begin_wait(call.caller, call.wait);
  masked.park(call.caller, call.wait, never);
  end_wait(call.caller, call.wait);
  return true;
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::ask(Cpu& cpu, CpuNumber number, Call& call) {
  switch (cpu.cpus_[number].calls_.push(call)) {
    case Mailbox::Pushed::closed: return false;  // it has not started
    case Mailbox::Pushed::kick:
      cpu.kicks_.add();
      M::kick(number);
      return true;
    default: return true;
  }
}

template <hal::Machine M, Policy P, Options kOptions>
bool Scheduler<M, P, kOptions>::next_call(Cpu& cpu) {
  if (cpu.called_.empty()) cpu.called_ = cpu.calls_.take_all();
  Call& call = static_cast<Call&>(*cpu.called_.pop_front());
  call.answer(call);
  return true;
}

}  // namespace sched

#endif  // BATON_SCHED_CALL_IMPL_H_
