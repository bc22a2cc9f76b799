// Where those who wait for a primitive are, which is the primitive's own: for a test that looks
// through every queue there is. The rules of access do not hold for the names in an explicit
// instantiation ([temp.spec]), so a test that has
//
//     BATON_LOOK_INTO(SchedulerOfTheTest);
//
// can call `queue_of` with any primitive of that scheduler.

#ifndef BATON_TESTS_SCHED_SYNC_PROPERTY_QUEUES_H_
#define BATON_TESTS_SCHED_SYNC_PROPERTY_QUEUES_H_

#include <tuple>

#include "sched/sync/barrier.h"
#include "sched/sync/condition_variable.h"
#include "sched/sync/event_flags.h"
#include "sched/sync/message_queue.h"
#include "sched/sync/mutex.h"
#include "sched/sync/owned.h"
#include "sched/sync/rw_lock.h"
#include "sched/sync/semaphore.h"
#include "sched/wait.h"

namespace sched::test {

constexpr int kReaders = 2;
constexpr uint32_t kRoom = 2;

template <typename S>
using Messages = MessageQueue<S, uint32_t, kRoom>;
template <typename S>
using Exchange =
    internal::MessageExchange<S, uint32_t, kRoom, internal::MessageRing<uint32_t, kRoom>>;

template <typename S>
struct Inside {
  friend constexpr auto members_of(Inside);
};
template <typename S, auto... kMembers>
struct Open {
  friend constexpr auto members_of(Inside<S>) { return std::tuple(kMembers...); }
};

#define BATON_LOOK_INTO(S)                                                                   \
  template struct Open<S, &sync_internal::Owned<S>::waiters_, &Semaphore<S>::waiters_,       \
                       &EventFlags<S>::waiters_, &Exchange<S>::line_, &Barrier<S>::waiters_, \
                       &ConditionVariable<S>::waiters_, &RwLock<S, kReaders>::gate_,         \
                       &RwLock<S, kReaders>::places_>

// The one member of `T` that is an `M`.
template <typename S, typename M, typename T>
const M& member_of(const T& object) {
  return object.*std::get<M T::*>(members_of(Inside<S>{}));
}

template <typename S>
using QueueOf = const WaitTree<S>*;

template <typename S>
QueueOf<S> queue_of(const sync_internal::Owned<S>& owned) {
  return &member_of<S, WaitTree<S>>(owned);
}
template <typename S>
QueueOf<S> queue_of(const Semaphore<S>& semaphore) {
  return &member_of<S, WaitQueue<S>>(semaphore);
}
template <typename S>
QueueOf<S> queue_of(const Messages<S>& messages) {
  return &member_of<S, WaitQueue<S>, Exchange<S>>(messages);
}
// A queue with sweeps hides that it is a queue: no other cast finds that.
template <typename S, typename T>
QueueOf<S> swept_queue_of(const T& primitive) {
  return (QueueOf<S>)&member_of<S, sync_internal::SweepQueue<S>>(primitive);
}
template <typename S>
QueueOf<S> queue_of(const EventFlags<S>& flags) {
  return swept_queue_of<S>(flags);
}
template <typename S>
QueueOf<S> queue_of(const Barrier<S>& barrier) {
  return swept_queue_of<S>(barrier);
}
template <typename S>
QueueOf<S> queue_of(const ConditionVariable<S>& condition) {
  return swept_queue_of<S>(condition);
}
template <typename S>
const Mutex<S>& gate_of(const RwLock<S, kReaders>& lock) {
  return member_of<S, Mutex<S>>(lock);
}
template <typename S>
const Mutex<S>& place_of(const RwLock<S, kReaders>& lock, int place) {
  return member_of<S, Mutex<S>[kReaders]>(lock)[place];
}

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_SYNC_PROPERTY_QUEUES_H_
