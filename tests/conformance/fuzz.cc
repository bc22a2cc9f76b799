// The fuzz target around the policies that were put through the kit: the first bytes choose the
// policy, the check and the pace, the others are what happens. A fault prints its rule and the
// calls that led to it, and ends the program; libFuzzer then keeps the bytes.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/conformance/conformance.h"

namespace {

using sched::conformance::Call;
using sched::conformance::Candidate;
using sched::conformance::candidates;
using sched::conformance::Fault;
using sched::conformance::kChecks;
using sched::conformance::kPaces;
using sched::conformance::Plan;

void print(void*, const Call& call) {
  std::fprintf(stderr, "  %s%llu %s %d %s\n", call.is_second ? "| " : "",
               static_cast<unsigned long long>(call.now.ticks), call.name, call.entity,
               call.why == nullptr ? "" : call.why);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kHead = 3;
  if (size <= kHead) return 0;
  if (candidates().empty()) {
    std::fputs("no policy was put through the kit: call sched::conformance::put_through\n", stderr);
    std::abort();
  }
  const Candidate& candidate = candidates()[data[0] % candidates().size()];
  Plan plan = {.check = kChecks[data[1] % kChecks.size()],
               .pace = kPaces[data[2] % kPaces.size()],
               .actions = UINT32_MAX,  // until there are no more bytes
               .bytes = {data + kHead, size - kHead}};
  if (const Fault fault = candidate.run(plan)) {
    plan.tell = print;
    candidate.run(plan);
    std::fprintf(stderr, "%s breaks a rule in action %u of check %s:\n  %s\n", candidate.name,
                 static_cast<unsigned>(fault.action), to_string(plan.check), to_string(fault.rule));
    std::abort();
  }
  return 0;
}
