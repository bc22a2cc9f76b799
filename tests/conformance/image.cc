// The kit's checks on a target: each policy briefly, in a kernel that is nothing else.

#include <cstdint>

#include "kernel_demo/kit.h"
#include "sched/policy/testing/compositions.h"
#include "sched/policy/testing/conformance.h"
#include "sched/policy/testing/subjects.h"

namespace {

using sched::conformance::BudgetedSubject;
using sched::conformance::ClassesSubject;
using sched::conformance::EevdfSubject;
using sched::conformance::Fault;
using sched::conformance::FifoSubject;
using sched::conformance::FixedPrioritySubject;
using sched::conformance::RoundRobinSubject;
using sched::conformance::ThresholdSubject;
using sched::conformance::Trial;
using sched::conformance::VtimeSubject;

template <typename S>
bool check(const char* name) {
  static constinit Trial<S> trial;
  const Fault fault = trial.run_briefly();
  kit::print("{}: {}\n", name, to_string(fault.rule));
  return !fault;
}

}  // namespace

extern "C" bool baton_interrupt(uintptr_t) { return false; }
extern "C" void baton_preempt() {}

extern "C" void kernel_main() {
  bool holds = check<FifoSubject>("fifo");
  holds &= check<RoundRobinSubject>("round_robin");
  holds &= check<FixedPrioritySubject>("fixed_priority");
  holds &= check<ThresholdSubject>("fixed_priority with thresholds");
  holds &= check<VtimeSubject>("vtime");
  holds &= check<EevdfSubject>("eevdf");
  holds &= check<ClassesSubject<BudgetedSubject<FixedPrioritySubject>, EevdfSubject>>("classes");
  kit::finish(holds);
}
