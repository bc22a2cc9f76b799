// How an entity is composed of parts: one for each policy that has a say in it.

#ifndef BATON_SCHED_POLICY_PART_H_
#define BATON_SCHED_POLICY_PART_H_

#include <cstddef>

namespace sched {

/// The base of a composed entity that is its part for the policy number `kIndex` of composition
/// `Composition`. The two together make it a base of its own, however often the same policy occurs.
///
///     class Entity : Part<Classes, 0, Fifo::Entity>, Part<Classes, 1, Fifo::Entity> { … };
///
/// From the whole to the part is a conversion to `Part<…>&` and on to `E&`; back the same way by
/// `static_cast` to `Part<…>&`, then to the whole: no pointer is stored.
template <typename Composition, size_t kIndex, typename E>
struct Part : E {};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_PART_H_
