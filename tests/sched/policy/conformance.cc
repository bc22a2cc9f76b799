// Every policy of Baton, and what is composed of them, put through the conformance kit.

#include "tests/conformance/conformance.h"

#include "sched/policy/testing/subjects.h"

namespace sched::conformance {
namespace {

const bool kDone[] = {
    put_through<FifoSubject>("fifo"),
    put_through<RoundRobinSubject>("round_robin"),
    put_through<FixedPrioritySubject>("fixed_priority"),
    put_through<ThresholdSubject>("fixed_priority_threshold"),
    put_through<EevdfSubject>("eevdf"),
    put_through<VtimeSubject>("vtime"),
};

}  // namespace
}  // namespace sched::conformance
