// `Mlfq`, `Stride` and `Lottery`, put through the conformance kit.

#include "sched/policy/testing/share_subjects.h"
#include "tests/conformance/conformance.h"

namespace sched::conformance {
namespace {

const bool kDone[] = {
    put_through<MlfqSubject<8, 1000>>("mlfq"),
    put_through<MlfqSubject<8, 0>>("mlfq_without_boost"),
    put_through<MlfqSubject<3, 7>>("mlfq_always_boosting"),
    put_through<StrideSubject>("stride"),
    put_through<LotterySubject>("lottery"),
};

}  // namespace
}  // namespace sched::conformance
