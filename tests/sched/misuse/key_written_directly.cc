// The field itself that orders the queues.

#include "sched/policy/fixed_priority.h"

int misuse(sched::FixedPriority& policy, sched::FixedPriority::Entity& entity) {
#ifdef MISUSE
  entity.level_ = 3;
#endif
  return policy.attributes(entity).priority;
}
