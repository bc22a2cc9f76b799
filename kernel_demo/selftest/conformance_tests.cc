// Every policy put through the conformance kit, briefly: what holds on a developer's machine holds
// as compiled for this one.

#include <array>

#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"
#include "sched/policy/testing/combinators.h"
#include "sched/policy/testing/compositions.h"
#include "sched/policy/testing/conformance.h"
#include "sched/policy/testing/edf_subjects.h"
#include "sched/policy/testing/share_subjects.h"
#include "sched/policy/testing/subjects.h"

namespace demo::selftest {
namespace {

using namespace sched::conformance;  // NOLINT: the subjects of all policies, and nothing else

template <typename S>
void conforms(Test& test) {
  static constinit Trial<S> trial;
  test.expect(!trial.run_briefly(), "the kit found a broken rule; //tests/conformance says more");
}

using Edf = EdfSubject<sched::EdfOptions{}>;

constexpr Case kCases[] = {
    {"fifo", conforms<FifoSubject>},
    {"round_robin", conforms<RoundRobinSubject>},
    {"fixed_priority", conforms<FixedPrioritySubject>},
    {"fixed_priority with thresholds", conforms<ThresholdSubject>},
    {"mlfq", conforms<MlfqSubject<4, 200>>},
    {"stride", conforms<StrideSubject>},
    {"lottery", conforms<LotterySubject>},
    {"vtime", conforms<VtimeSubject>},
    {"eevdf", conforms<EevdfSubject>},
    {"edf", conforms<Edf>},
    {"sporadic", conforms<BudgetedSubject<FixedPrioritySubject>>},
    {"classes", conforms<ClassesSubject<Edf, BudgetedSubject<FixedPrioritySubject>, EevdfSubject>>},
    {"groups", conforms<GroupsSubject<EevdfSubject, EevdfSubject>>},
    {"dynamic", conforms<DynamicSubject<RoundRobinSubject, FixedPrioritySubject, EevdfSubject>>},
};

}  // namespace

void run_conformance_tests() { run_cases("policies", kCases); }

}  // namespace demo::selftest
