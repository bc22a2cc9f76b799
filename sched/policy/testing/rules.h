// What the conformance kit checks of a policy, how a trial is to go and what came of it.
// Freestanding.

#ifndef BATON_SCHED_POLICY_TESTING_RULES_H_
#define BATON_SCHED_POLICY_TESTING_RULES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sched/policy/policy.h"
#include "sched/policy/testing/pace.h"

namespace sched::conformance {

/// What a policy has broken.
enum class Rule : uint8_t {
  none,
  links,       ///< reports broken links, and nobody broke any
  stranger,    ///< picks an entity that is not runnable, or none of its own
  idle,        ///< picks nobody although somebody is runnable, and does not say that it holds back
  forgotten,   ///< holds everybody back and names no instant at which to ask again
  lost,        ///< never picks a runnable entity although it is asked again and again
  until,       ///< gives an `until` that is not after `now`
  honest,      ///< changes its mind before `until` although nothing has happened
  idempotent,  ///< names nobody, and gives another answer when it is asked the same again
  peers,       ///< `has_peer` says other than what a yield does
  attributes,  ///< changes attributes that nobody has changed
  claims,      ///< an entity counts for other than its own joined with what it inherits
  algebra,     ///< claims that do not join, precede or come apart as policy.h says
  urgent,      ///< picks an entity although another precedes it
  surplus,     ///< gives away what is not runnable or not allowed to go
  shared,      ///< of a queue that CPUs share: tells otherwise who has whom than its answers do
  returned,    ///< refuses in the end, with everybody gone, what it accepted in the beginning
  addresses,   ///< schedules by where entities lie in memory
  refused,     ///< schedules otherwise for attributes that it has refused
  questions,   ///< schedules otherwise for having been asked
  reuse,       ///< knows of a finished entity, or of its earlier life
  wrap,        ///< schedules otherwise where a counter wraps
  clock,       ///< schedules otherwise late in the life of the clock
};

constexpr const char* to_string(Rule rule) {
  switch (rule) {
    case Rule::none: return "none: it keeps every rule";
    case Rule::links: return "links: it reports broken links, and nobody broke any";
    case Rule::stranger: return "stranger: it picks an entity that is not runnable";
    case Rule::idle: return "idle: it picks nobody although somebody is runnable";
    case Rule::forgotten: return "forgotten: it holds back somebody until never";
    case Rule::lost: return "lost: it never picks a runnable entity, however often it is asked";
    case Rule::until: return "until: the instant at which to ask again is not after now";
    case Rule::honest: return "honest: it changes its mind before `until`";
    case Rule::idempotent:
      return "idempotent: it names nobody, and asked again, it answers otherwise";
    case Rule::peers: return "peers: has_peer says other than what a yield does";
    case Rule::attributes: return "attributes: they change although nobody changes them";
    case Rule::claims: return "claims: one counts for other than its own and what it inherits";
    case Rule::algebra:
      return "algebra: claims join, precede or come apart otherwise than promised";
    case Rule::urgent: return "urgent: it picks an entity although another precedes it";
    case Rule::surplus: return "surplus: it gives away what must not go";
    case Rule::shared: return "shared: who has chosen whom is told otherwise than it was answered";
    case Rule::returned: return "returned: what an entity got does not come back when it goes";
    case Rule::addresses: return "addresses: the schedule depends on where entities lie";
    case Rule::refused: return "refused: attributes that were refused change the schedule";
    case Rule::questions: return "questions: to have been asked changes the schedule";
    case Rule::reuse: return "reuse: a finished entity's earlier life changes the schedule";
    case Rule::wrap: return "wrap: where a counter wraps the schedule changes";
    case Rule::clock: return "clock: late in the life of the clock the schedule changes";
  }
  return "";
}

/// What a trial looks at. In each all rules are checked that one run can show; in all but the first
/// there is a second run, and what differs is said here.
enum class Check : uint8_t {
  rules,      ///< one run
  addresses,  ///< entities in the opposite order in memory
  refusals,   ///< the calls of `attach` that are refused are not made
  questions,  ///< no call of `pick` twice, `dump`, `surplus`
  reuse,      ///< the memory of a finished entity is overwritten, and begins anew
  wrap,       ///< counters begin shortly before their wrap (`near_wrap`)
  clock,      ///< the clock begins 2^56 ticks before `now` and twice `forever` wrap
};
inline constexpr std::array kChecks = {
    Check::rules, Check::addresses, Check::refusals, Check::questions,
    Check::reuse, Check::wrap,      Check::clock,
};

constexpr const char* to_string(Check check) {
  switch (check) {
    case Check::rules: return "rules";
    case Check::addresses: return "addresses";
    case Check::refusals: return "refusals";
    case Check::questions: return "questions";
    case Check::reuse: return "reuse";
    case Check::wrap: return "wrap";
    case Check::clock: return "clock";
  }
  return "";
}

/// One call of a policy, for whoever wants to see them.
struct Call {
  const char* name;
  int entity;       ///< by its number; -1: nobody
  const char* why;  ///< the reason given, or null
  Instant now;
  Instant until;   ///< of `pick` and `contend`; otherwise `never`
  bool is_second;  ///< made by the second run of a trial, which the first is compared with
};

constexpr const char* to_string(Enter why) {
  constexpr const char* kNames[] = {"created",   "woken", "retuned",
                                    "inherited", "moved", "dispatched"};
  return kNames[static_cast<size_t>(why)];
}
constexpr const char* to_string(Leave why) {
  constexpr const char* kNames[] = {"blocked", "exited", "retuned", "inherited", "moved"};
  return kNames[static_cast<size_t>(why)];
}
constexpr const char* to_string(Pause why) {
  constexpr const char* kNames[] = {"yielded", "preempted", "timed_out"};
  return kNames[static_cast<size_t>(why)];
}

/// How a trial goes.
struct Plan {
  Check check = Check::rules;
  Pace pace = Pace::even;
  uint64_t seed = 1;
  uint32_t actions = 1000;
  std::span<const uint8_t> bytes = {};  ///< of a fuzzer; if there are any they decide, not the seed
  void (*tell)(void*, const Call&) = nullptr;  ///< hears of every call
  void* told = nullptr;                        ///< given to `tell`
};

/// What came of it.
struct Fault {
  Rule rule = Rule::none;
  uint32_t action = 0;  ///< during which; the same at every repetition
  constexpr explicit operator bool() const { return rule != Rule::none; }
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_RULES_H_
