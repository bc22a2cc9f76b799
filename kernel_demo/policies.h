// What differs between the policies, for code that is the same under all of them: their names, and
// how this kernel uses their attributes.
//
// `rank` counts upward from 0: under fixed priorities a larger one is more urgent; the other
// policies do not look at it. `slice` is round robin's alone.

#ifndef BATON_KERNEL_DEMO_POLICIES_H_
#define BATON_KERNEL_DEMO_POLICIES_H_

#include <cstdint>

#include "kernel_demo/machine.h"
#include "kernel_demo/text.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"

namespace demo {

/// Above every task that does the work: the one that has them do it.
inline constexpr uint8_t kTopRank = 255;

/// Turns where a run does not say how long they are.
inline constexpr uint64_t kUsualSliceMs = 5;

template <typename Policy>
struct PolicyTraits;

template <>
struct PolicyTraits<sched::Fifo> {
  static constexpr const char* kName = "fifo";
  static sched::Fifo::Attributes attributes(uint8_t, Duration) { return {}; }
  static Text describe(const sched::Fifo::Attributes&) { return Text("in turn"); }
};

template <>
struct PolicyTraits<sched::RoundRobin> {
  static constexpr const char* kName = "round_robin";
  static sched::RoundRobin::Attributes attributes(uint8_t, Duration slice) {
    return {.slice = slice};
  }
  static Text describe(const sched::RoundRobin::Attributes& attributes) {
    return attributes.slice == hal::forever ? Text("slice none") : to_text(attributes.slice);
  }
};

template <>
struct PolicyTraits<sched::FixedPriority> {
  static constexpr const char* kName = "fixed_priority";
  static sched::FixedPriority::Attributes attributes(uint8_t rank, Duration) {
    return {.priority = rank};
  }
  static Text describe(const sched::FixedPriority::Attributes& attributes) {
    return Text("{}", attributes.priority);
  }
};

template <>
struct PolicyTraits<sched::FixedPriorityThreshold> {
  static constexpr const char* kName = "fixed_priority with thresholds";
  static sched::FixedPriorityThreshold::Attributes attributes(uint8_t rank, Duration) {
    return {.priority = rank};
  }
  static Text describe(const sched::FixedPriorityThreshold::Attributes& attributes) {
    return Text("{} to {}", attributes.priority, attributes.threshold);
  }
};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_POLICIES_H_
