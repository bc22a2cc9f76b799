// What the tests of locks share: the kernel, whose policy ranks, and what a task counts for.

#ifndef BATON_TESTS_SCHED_SYNC_LOCK_KIT_H_
#define BATON_TESTS_SCHED_SYNC_LOCK_KIT_H_

#include <cstdint>

#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

// Here locks are taken and not given back, and given back by who has not taken them.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"

namespace sched::test {

using K = Kernel<FixedPriority>;
using S = K::S;

constexpr S::Attributes priority(int value) { return {.priority = static_cast<uint16_t>(value)}; }

inline int effective(const S::Task& task) { return S::claim(task); }

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_SYNC_LOCK_KIT_H_
