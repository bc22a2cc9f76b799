// The proof that an entity is detached, made by who is no mechanism.

#include "sched/policy/fixed_priority.h"

bool misuse(sched::FixedPriority& policy, sched::FixedPriority::Entity& entity) {
#ifdef MISUSE
  return policy.attach(sched::Detached<sched::FixedPriority::Entity>(entity), {.priority = 3});
#else
  return policy.attributes(entity).priority == 3;
#endif
}
