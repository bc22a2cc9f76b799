// The priority of an entity that may be in a queue: only a `Detached` one may change.

#include "sched/policy/fixed_priority.h"

struct Harness : sched::Mechanism {
  static bool change(sched::FixedPriority& policy, sched::FixedPriority::Entity& entity) {
#ifdef MISUSE
    return policy.attach(entity, {.priority = 3});
#else
    return policy.attach(detached(entity), {.priority = 3});
#endif
  }
};

bool misuse(sched::FixedPriority& policy, sched::FixedPriority::Entity& entity) {
  return Harness::change(policy, entity);
}
