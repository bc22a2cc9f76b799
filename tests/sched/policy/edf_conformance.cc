// Every kind of `BasicEdf`, put through the conformance kit.

#include "sched/policy/edf.h"
#include "sched/policy/testing/edf_subjects.h"
#include "tests/conformance/conformance.h"

namespace sched::conformance {
namespace {

const bool kDone[] = {
    put_through<EdfSubject<EdfOptions{}>>("edf"),
    put_through<EdfSubject<EdfOptions{.admission = Admission::none}>>("edf_unguarded"),
    put_through<EdfSubject<EdfOptions{.admission = Admission::demand, .demand_steps = 50}>>(
        "edf_exact"),
    put_through<EdfSubject<EdfOptions{.reclaims = true}>>("edf_reclaiming"),
};

}  // namespace
}  // namespace sched::conformance
