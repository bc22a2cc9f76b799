// The example of docs/writing_a_policy.md, put through the conformance kit.

#include "tests/conformance/conformance.h"
#include "tests/docs/lifo.h"

const bool kDone = sched::conformance::put_through<sched::conformance::Subject<Lifo>>("lifo");
