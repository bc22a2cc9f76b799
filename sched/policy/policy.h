// What a policy is: the one concept at which mechanism and policy meet.
//
// A policy decides *which* task runs and *until when* the answer holds; the mechanism
// (`sched::Scheduler`) does everything else. A policy is a plain class, one object a CPU, touched
// only by that CPU with interrupts masked: so it has no lock, no clock (time is an argument), no
// global and no allocation, and runs the same in a kernel, in a simulator and in a test with
// nothing around it.
//
// The life of a task, as its policy sees it (each line's right side is called by the mechanism):
//
//     spawn           attach(e, attributes); enqueue(e, created)
//     chosen to run   pick()                      e stays wherever the policy keeps it
//     yield           put_back(e, yielded);       pick()
//     preempted       put_back(e, preempted);     pick()      keeps its place
//     `until` came    put_back(e, timed_out);     pick()
//     park            dequeue(e, blocked);        pick()
//     wake            enqueue(e, woken);          contend(e, current) where there is a current
//     new attributes  dequeue(e, retuned); attach(e, attributes); enqueue(e, retuned)
//     exit            dequeue(e, exited);         pick()
//
// The current entity is the one that the last `pick` returned and that has been neither put back
// nor dequeued since; `pick` is only called when there is none. Whether the current entity stays
// in the policy's queue is the policy's own business.

#ifndef BATON_SCHED_POLICY_POLICY_H_
#define BATON_SCHED_POLICY_POLICY_H_

#include <concepts>
#include <cstdint>

#include "hal/time.h"

namespace sched {

using hal::Duration;
using hal::forever;
using hal::Instant;
using hal::never;

/// Why an entity becomes runnable.
enum class Enter : uint8_t {
  created,  ///< first time since `attach`
  woken,    ///< it was blocked
  retuned,  ///< it was runnable all along; its attributes have just changed
};

/// Why the current entity's turn ends although it stays runnable.
enum class Pause : uint8_t {
  yielded,    ///< it asked for it: others of its rank come first
  preempted,  ///< somebody more urgent came, or the kernel needs the CPU: it keeps its place
  timed_out,  ///< the `until` of its `pick` has come
};

/// Why an entity is no longer runnable.
enum class Leave : uint8_t {
  blocked,  ///< it parked
  exited,   ///< it finished; the next call for it, if any, is `attach`
  retuned,  ///< it comes back at once, with other attributes
};

/// What a policy found of the links it had to follow. On `corrupt` it has changed nothing, and the
/// mechanism stops the machine with a diagnosis.
enum class [[nodiscard]] Links : bool { corrupt, intact };

/// The answer of `pick`: null when nothing may run before `until`.
template <typename Entity>
struct Choice {
  Entity* entity = nullptr;
  Instant until = never;  ///< ask again by then: until a call changes it, the answer holds so long
};

class Mechanism;

/// Proof that an entity is in no queue and is not current, so that keys which order a queue may
/// change. Only a mechanism can make one.
template <typename Entity>
class Detached {
 public:
  Entity* operator->() const { return &entity_; }
  Entity& operator*() const { return entity_; }

 private:
  friend class Mechanism;
  explicit Detached(Entity& entity) : entity_(entity) {}
  Entity& entity_;
};

/// Base of whatever drives a policy: the scheduler, and the harness of a policy's test.
class Mechanism {
 protected:
  template <typename Entity>
  static Detached<Entity> detached(Entity& entity) {
    return Detached<Entity>(entity);
  }
};

/// A policy. Every callback runs masked on the owning CPU, must not block, and states its bound in
/// the policy's page in `docs/policies/`.
template <typename P>
concept Policy =
    // One object a CPU, default-initialised.
    requires { requires std::default_initializable<P>; } &&
    // Entity: the hooks and the metadata of one task, constant-initialisable. A task
    // derives from it. Attributes: what a user may set.
    requires { requires std::default_initializable<typename P::Entity>; } &&
    requires { requires std::copyable<typename P::Attributes>; } &&
    // attach(detached, attributes): admits an entity, or gives an admitted one new
    // attributes. False: refused, and nothing has changed.
    requires(P& p, Detached<typename P::Entity> e, const typename P::Attributes& a) {
      { p.attach(e, a) } -> std::same_as<bool>;
    } &&
    // attributes(entity): what `attach` was last given.
    requires(const P& p, const typename P::Entity& e) {
      { p.attributes(e) } -> std::same_as<typename P::Attributes>;
    } &&
    // enqueue(entity, why, now): a detached entity becomes runnable.
    requires(P& p, typename P::Entity& e, Enter why, Instant now) {
      { p.enqueue(e, why, now) } -> std::same_as<Links>;
    } &&
    // dequeue(entity, why, now): a runnable or current entity becomes detached.
    requires(P& p, typename P::Entity& e, Leave why, Instant now) {
      { p.dequeue(e, why, now) } -> std::same_as<Links>;
    } &&
    // put_back(entity, why, now): the current entity's turn ends; it stays runnable.
    requires(P& p, typename P::Entity& e, Pause why, Instant now) {
      { p.put_back(e, why, now) } -> std::same_as<Links>;
    } &&
    // pick(now): there is no current entity; the result becomes current. Asking again
    // without a change gives the same entity.
    requires(P& p, Instant now) {
      { p.pick(now) } -> std::same_as<Choice<typename P::Entity>>;
    };

/// A policy with a say in when a newcomer makes the mechanism ask again.
///
/// contend(entered, current, now): `entered` has just been enqueued while `current` runs. Returns
/// the instant by which the mechanism must ask again because of it: at most `now` preempts, `never`
/// changes nothing. A policy without it is asked again when its last `until` comes.
template <typename P>
concept Contends = Policy<P> && requires(P& p, typename P::Entity& entered,
                                         typename P::Entity& current, Instant now) {
  { p.contend(entered, current, now) } -> std::same_as<Instant>;
};

/// A policy that can tell cheaply whether a yield would change anything.
///
/// has_peer(current): false, and a yield of it would have it chosen again at once, so the mechanism
/// need not ask. True promises that after put_back(current, yielded) `pick` gives somebody else, or
/// nobody.
template <typename P>
concept KnowsPeers = Policy<P> && requires(const P& p, const typename P::Entity& current) {
  { p.has_peer(current) } -> std::same_as<bool>;
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_POLICY_H_
