// What a policy is: the one concept at which mechanism and policy meet.
//
// A policy decides *which* task runs and *until when* the answer holds; the mechanism
// (`sched::Scheduler`) does everything else. A policy is a plain class, one object a CPU, touched
// only by that CPU with interrupts masked: so it has no lock, no clock (time is an argument), no
// global and no allocation, and runs the same in a kernel, in a simulator and in a test with
// nothing around it.
//
// What happens, and what a policy is called for it, in this order. Lines in [brackets] are optional
// callbacks; without one nothing is called, and what is said at its concept below holds instead.
//
//     charge(now):                     before all else at an instant, if somebody is current and
//         [ran(current, since, now)]   time has passed since its turn began or it was last charged
//
//     spawn(e, a):   attach(e, a), false: refused;  charge;  enqueue(e, created);  arrived(e)
//     wake(e):       charge;  enqueue(e, woken);  arrived(e)
//     arrived(e):    nobody is current: choose
//                    else [t = contend(e, current)]:  t <= now: preempt;  else ask again by t, too
//     preempt:       charge;  put_back(current, preempted);  choose
//     tick:          the `until` of the last pick has come (there is no other tick):
//                    charge;  put_back(current, timed_out);  choose
//     yield:         [has_peer(current), false: nothing happens]
//                    charge;  put_back(current, yielded);  choose
//     yield_to(e):   charge;  [yield_to(current, e)] or put_back(current, yielded);  choose
//     park:          charge;  dequeue(current, blocked);  choose
//     retune(e, a):  of a blocked one:   attach(e, a)
//                    of a runnable one:  charge;  dequeue(e, retuned);  attach(e, a);
//                                        enqueue(e, retuned);  choose if it was current, else
//                                        arrived(e)
//     others wait for e, or no longer do, or their claims have changed:
//                    of a blocked one:   [inherit(e, claim or none)]
//                    of a runnable one:  charge;  dequeue(e, inherited);  [inherit(e, claim or
//                                        none)];  enqueue(e, inherited);  choose if it was
//                                        current, else arrived(e)
//     exit:          charge;  dequeue(current, exited);  [detach(current)];  choose
//     to another CPU: charge;  put_back(current, preempted), if it is that;  of a runnable one
//                    dequeue(e, moved);  [detach(e)]
//     from another:  attach(e, attributes), false: it goes back;  of a runnable one  charge;
//                    enqueue(e, moved);  arrived(e)
//     choose:        pick(): whom it names is current now; nobody: the CPU idles until somebody
//                    arrives or `until` has come
//
// Where rescheduling is forbidden `choose` waits until it no longer is.
//
// The current entity is the one that the last `pick` returned and that has been neither put back
// nor dequeued since; `pick` is only called when there is none. Whether the current entity stays
// in the policy's queue is the policy's own business. An entity is *runnable* from `enqueue` to
// `dequeue`, and *detached* before and after. A policy may hold a runnable entity back (its budget
// is used up, say); then `pick` passes it over and `until` tells when to ask again. `now` never
// goes backward, from one call to the next, on one CPU.
//
// An entity that is new, or has been detached by `detach`, is admitted by its next `attach`; an
// `attach` in between replaces the attributes it has. `attach` sets what the attributes determine
// and no more: history (use, lag, deadlines) begins anew with `enqueue(e, created)`, so that a task
// takes its history along when it moves.
//
// Policies that are made of policies (docs/policies/, "combinators") are the mechanism of their
// parts: to a part they keep every promise of this page.

#ifndef BATON_SCHED_POLICY_POLICY_H_
#define BATON_SCHED_POLICY_POLICY_H_

#include <concepts>
#include <cstdint>

#include "hal/hal.h"
#include "hal/time.h"

namespace sched {

using hal::CpuNumber;
using hal::Duration;
using hal::forever;
using hal::Instant;
using hal::never;

/// Why an entity becomes runnable.
enum class Enter : uint8_t {
  created,    ///< first time since `attach`
  woken,      ///< it was blocked
  retuned,    ///< it was runnable all along; its attributes have just changed
  inherited,  ///< it was runnable all along; what it inherits has just changed: if its new rank has
              ///< equals, it comes before them
  moved,      ///< it was runnable all along, on another CPU or under another part of a composition
  dispatched,  ///< created or woken, and its own `place` said that it goes first
};

/// Why the current entity's turn ends although it stays runnable.
enum class Pause : uint8_t {
  yielded,    ///< it asked for it: others of its rank come first
  preempted,  ///< somebody more urgent came, or the kernel needs the CPU: it keeps its place
  timed_out,  ///< the `until` of its `pick` has come
};

/// Why an entity is no longer runnable.
enum class Leave : uint8_t {
  blocked,    ///< it parked
  exited,     ///< it finished; the next call for it, if any, is `attach`
  retuned,    ///< it comes back at once, with other attributes
  inherited,  ///< it comes back at once, and inherits something else
  moved,      ///< it goes to another CPU, or under another part of a composition
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
    // attributes(entity): what `attach` was last given. Of a policy without `detach` also asked of
    // an entity that comes from another CPU's object.
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
    // pick(now): there is no current entity; the result becomes current. Where it is
    // nobody, asking again without a change gives the same answer.
    requires(P& p, Instant now) {
      { p.pick(now) } -> std::same_as<Choice<typename P::Entity>>;
    };

// ---- Optional callbacks ---------------------------------------------------------------------
//
// Each is found by its concept, costs nothing where it is absent, and is called as the head of this
// page says.

/// A policy that goes by what its entities have used.
///
/// ran(current, from, to): it has used the CPU from `from` to `to`, which is later. Intervals of a
/// turn are contiguous, and all that was used is told before anything else happens at `to`.
template <typename P>
concept Charges = Policy<P> && requires(P& p, typename P::Entity& current, Instant t) {
  { p.ran(current, t, t) } -> std::same_as<void>;
};

/// A policy with a say in when a newcomer makes the mechanism ask again.
///
/// contend(entered, current, now): `entered` has just been enqueued while `current` runs. Returns
/// the instant by which the mechanism must ask again because of it: at most `now` preempts (`pick`
/// may still name `current`), `never` changes nothing. A policy without it is asked again when its
/// last `until` comes.
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

/// A policy to which a turn that ends because the task waits is one step, not two.
///
/// leads(current): whether that is so for this one, as it is for nearly all.
///
/// pass_on(current, now, next): of one that leads the same as dequeue(current, blocked, now), and
/// then `next` is what pick(now) gives.
template <typename P>
concept PassesOn = Policy<P> && requires(P& p, typename P::Entity& current, Instant now,
                                         Choice<typename P::Entity>& next) {
  { p.leads(current) } -> std::same_as<bool>;
  { p.pass_on(current, now, next) } -> std::same_as<Links>;
};

/// A policy that lets one entity give its turn to another.
///
/// yield_to(current, target, now): in the place of put_back(current, yielded), when the task named
/// whom it yields to. `target` is runnable and not current. Whether `pick` names it next is the
/// policy's to decide: a hint, never a right. Without it a yield to somebody is a yield.
template <typename P>
concept YieldsTo = Policy<P> && requires(P& p, typename P::Entity& e, Instant now) {
  { p.yield_to(e, e, now) } -> std::same_as<Links>;
};

/// A policy that gives out something in `attach` that must come back: bandwidth, tickets, a place.
///
/// detach(detached): the entity is gone from this object; the next call for it, if any, is the
/// `attach` that admits it anew.
template <typename P>
concept Detaches = Policy<P> && requires(P& p, Detached<typename P::Entity> e) {
  { p.detach(e) } -> std::same_as<void>;
};

/// A policy in whose terms a task can be helped by those that wait for it: priority inheritance,
/// generalized (L. Sha, R. Rajkumar and J. Lehoczky, "Priority Inheritance Protocols", IEEE
/// Transactions on Computers, 1990). Under a policy without it waiting helps nobody.
///
/// `Claim` is what an entity has that another can inherit: a priority, a deadline, a weight. Small:
/// it is kept with each waiter.
///
/// claim(entity): what it counts for now, with all that it inherits. Changes only by `attach` and
/// `inherit` while the entity is blocked.
///
/// join(a, b): what two claims amount to. Associative and commutative: the more urgent of the two,
/// or their sum.
///
/// inherit(detached, claims): from now on the entity counts for what its own attributes give it,
/// joined with `*claims`; for no more than that when `claims` is null. Replaces what was inherited
/// before, outlives `attach`, ends with `detach` and with `dequeue(e, exited)`. Refuses nothing.
template <typename P>
concept Inherits = Policy<P> && requires { requires std::copyable<typename P::Claim>; } &&
                   requires { requires std::equality_comparable<typename P::Claim>; } &&
                   requires(P& p, const P& constant, const typename P::Entity& e,
                            Detached<typename P::Entity> d, const typename P::Claim& claim) {
                     { constant.claim(e) } -> std::same_as<typename P::Claim>;
                     { P::join(claim, claim) } -> std::same_as<typename P::Claim>;
                     { p.inherit(d, &claim) } -> std::same_as<void>;
                   };

/// A policy that has an order in which tasks that wait for the same thing get it. Without it they
/// do as they came.
///
/// precedes(a, b): an entity with claim `a` is served before one with claim `b`. A strict weak
/// order. With it join(a, b) is the one that precedes, so the first of many claims is what all of
/// them amount to.
template <typename P>
concept Ranks = Inherits<P> && requires(const typename P::Claim& claim) {
  { P::precedes(claim, claim) } -> std::same_as<bool>;
};

/// A policy whose claims add up, such as weights.
///
/// without(sum, claim): what is left of a sum when a claim that went into it is taken back.
template <typename P>
concept AddsClaims = Inherits<P> && !Ranks<P> && requires(const typename P::Claim& claim) {
  { P::without(claim, claim) } -> std::same_as<typename P::Claim>;
};

/// A policy that wants to know when the CPU itself comes and goes.
///
/// online(now): this CPU asks from now on; called before all else. offline(now): it no longer does;
/// the queue is empty.
template <typename P>
concept HearsOfCpu = Policy<P> && requires(P& p, Instant now) {
  { p.online(now) } -> std::same_as<void>;
  { p.offline(now) } -> std::same_as<void>;
};

/// A part of a composition that wants to know when another part is preferred to it.
///
/// taken(now): it is not asked for the time being, whatever is in its queue. given_back(now): it is
/// asked again. Called in turns, `taken` first, with no current entity.
template <typename P>
concept HearsOfOthers = Policy<P> && requires(P& p, Instant now) {
  { p.taken(now) } -> std::same_as<void>;
  { p.given_back(now) } -> std::same_as<void>;
};

/// A policy that can tell a person what it knows of an entity, for `ps` and for a panic.
///
/// dump(entity, field): calls `field(name, value)` for each thing worth knowing. Changes nothing.
template <typename P>
concept Dumps = Policy<P> && requires(const P& p, const typename P::Entity& e) {
  p.dump(e, [](const char* /*name*/, uint64_t /*value*/) {});
};

/// Whether `pick` may name nobody although an entity is runnable. A policy that holds entities back
/// says so by `static constexpr bool kHoldsBack = true`; every other one is work-conserving.
template <Policy P>
inline constexpr bool holds_back = [] {
  if constexpr (requires { P::kHoldsBack; }) {
    return P::kHoldsBack;
  } else {
    return false;
  }
}();

// ---- On many CPUs ---------------------------------------------------------------------------

/// What is known of a task that is about to become runnable somewhere.
template <typename CpuSet>
struct Arrival {
  Enter why;              ///< `created` or `woken`
  CpuNumber previous;     ///< where it ran last; its spawner's CPU when it is new
  CpuNumber waker;        ///< the CPU that asks, now
  bool waker_is_parking;  ///< the waker is about to give that CPU up
  bool from_interrupt;    ///< the waker is an interrupt handler
  const CpuSet& allowed;  ///< its affinity, as far as it has not just been refused: never empty
  const CpuSet& idle;     ///< CPUs that had nothing to do a moment ago
};

/// Where it goes.
struct Place {
  CpuNumber cpu;
  bool first = false;  ///< ahead of that CPU's queue: it is enqueued there as `Enter::dispatched`
};

/// A policy that chooses the CPU of an arriving task.
///
/// place(entity, arrival): called on the waker's object, which need not be the one that will have
/// the entity: it may read the entity, and change nothing. A CPU that is not allowed is a mistake:
/// counted, and the previous one taken instead.
template <typename P, typename CpuSet>
concept Places =
    Policy<P> && requires(const P& p, const typename P::Entity& e, const Arrival<CpuSet>& arrival) {
      { p.place(e, arrival) } -> std::same_as<Place>;
    };

/// A policy that keeps something by where its entities may run.
///
/// allow(entity, cpus): the affinity of an entity in any state is `cpus` from now on.
template <typename P, typename CpuSet>
concept HearsOfAffinity = Policy<P> && requires(P& p, typename P::Entity& e, const CpuSet& cpus) {
  { p.allow(e, cpus) } -> std::same_as<void>;
};

/// A policy of which the objects of all CPUs have one queue: `pick` may name an entity that another
/// CPU has, and what happens on one CPU may concern another. Such a policy orders its callbacks
/// itself; a place of its own no task has there.
///
/// take_kicks(kick): calls `kick(cpu)` for each other CPU that is to ask `asked_by` because of what
/// was done here; to be called after each callback by which that may be. `kick` may not call back.
///
/// asked_by(now): by when this CPU must choose again, whatever its last answer was, as `contend`
/// says it.
///
/// chooser(entity, otherwise): the CPU whose current one it is, also where it has not come yet;
/// else `otherwise`.
///
/// while_chosen(entity, f): `f()`, if it is still the one that this CPU chose last. Until `f`
/// returns nobody can take it out of the queue. Of an entity that is gone only the address is used.
template <typename P>
concept Shares = Policy<P> && requires(P& p, typename P::Entity& e, CpuNumber cpu, Instant now) {
  p.take_kicks([](CpuNumber) {});
  { p.asked_by(now) } -> std::same_as<Instant>;
  { p.chooser(e, cpu) } -> std::same_as<CpuNumber>;
  p.while_chosen(e, [] {});
};

/// A policy that chooses whom to give away to an idle CPU.
///
/// surplus(allowed, now): a runnable entity for which `allowed(entity)`, which the current one is
/// not, or null: the most urgent, where there is an order. Bounded: it may give up early. Of a part
/// of a composition also with something else to call than a function.
template <typename P>
concept Donates =
    Policy<P> && requires(P& p, bool (*allowed)(const typename P::Entity&), Instant now) {
      { p.surplus(allowed, now) } -> std::same_as<typename P::Entity*>;
    };

}  // namespace sched

#endif  // BATON_SCHED_POLICY_POLICY_H_
