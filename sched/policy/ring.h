// A circular, intrusive, doubly linked list: the queue that rotates by moving one pointer.
//
// The ring has no sentinel. Its front is the one whose turn it is; the back is `front->prev`. To
// rotate is to call the next one the front, so a task that runs never has to leave its queue.
// Every operation is constant time. Operations that follow a link check first that both ends of it
// agree, and report `Links::corrupt` having changed nothing: a stray write into a task is found
// when its link is next used, not when the machine has wandered off along it.

#ifndef BATON_SCHED_POLICY_RING_H_
#define BATON_SCHED_POLICY_RING_H_

#include <type_traits>

#include "sched/policy/policy.h"

namespace sched {

/// What a link is where all who follow it have the memory at the same addresses. For memory that
/// several address spaces have in different places: `Index` in sched/shared/pool.h.
template <typename Link>
using PlainPointer = Link*;

/// The hook that an entity inherits to be in a ring; `Tag` tells the hooks of composed entities
/// apart. `next` is null while it is in none.
template <typename Tag, template <typename> typename Pointer = PlainPointer>
struct RingLink {
  Pointer<RingLink> next = nullptr;
  Pointer<RingLink> prev = nullptr;
};

/// A ring of entities that inherit `RingLink<Tag, Pointer>`. Owns nothing; whoever holds the ring
/// must have exclusive access to every entity in it.
template <typename Entity, typename Tag, template <typename> typename Pointer = PlainPointer>
class Ring {
 public:
  using Link = RingLink<Tag, Pointer>;

  bool empty() const { return front_ == nullptr; }

  /// The one whose turn it is. The ring must not be empty.
  Entity& front() const {
    if constexpr (std::is_pointer_v<Pointer<Link>>) [[assume(front_ != nullptr)]];
    return static_cast<Entity&>(*front_);
  }

  /// The one behind `entity`, which is in a ring: itself if it is alone; null if the two do not
  /// agree about it.
  static Entity* next(Entity& entity) {
    Link& link = entity;
    Link& next = *link.next;
    return next.prev == &link ? &static_cast<Entity&>(next) : nullptr;
  }

  /// Whether the front has the ring to itself. The ring must not be empty.
  bool front_is_alone() const { return front_->prev == front_; }

  /// Whether `entity`, which is in a ring, has it to itself.
  static bool is_alone(const Entity& entity) {
    const Link& link = entity;
    return link.next == &link;
  }

  /// Adds `entity`, which is in no ring, behind all others.
  Links push_back(Entity& entity) {
    Link& link = entity;
    if (front_ == nullptr) {
      link.next = link.prev = front_ = &link;
      return Links::intact;
    }
    Link& back = *front_->prev;
    if (back.next != front_) [[unlikely]]
      return Links::corrupt;
    link.next = front_;
    link.prev = &back;
    back.next = front_->prev = &link;
    return Links::intact;
  }

  /// Adds `entity`, which is in no ring, before all others.
  Links push_front(Entity& entity) {
    const Links links = push_back(entity);
    if (links == Links::intact) start_at(entity);
    return links;
  }

  /// Turns the ring until `entity`, which is in it, is the front.
  void start_at(Entity& entity) { front_ = &static_cast<Link&>(entity); }

  /// The first from the front for which `f` holds; null: none of the first `looks`, which counts
  /// down.
  template <typename F>
  Entity* find(F f, int& looks) const {
    for (Link* link = front_; link != nullptr && looks > 0; --looks) {
      if (f(static_cast<Entity&>(*link))) return &static_cast<Entity&>(*link);
      Link* const next = link->next;
      link = next == front_ ? nullptr : next;
    }
    return nullptr;
  }

  /// Takes `entity` out; the next one becomes the front if it was that.
  Links remove(Entity& entity) {
    Link& link = entity;
    if (link.next->prev != &link || link.prev->next != &link) [[unlikely]]
      return Links::corrupt;
    if (link.next == &link) {
      front_ = nullptr;
    } else {
      link.prev->next = link.next;
      link.next->prev = link.prev;
      if (front_ == &link) front_ = link.next;
    }
    link.next = nullptr;
    return Links::intact;
  }

  /// Takes `entity` out, the front, which is not alone: the next one becomes the front.
  Links remove_front(Entity& entity) {
    Link& link = entity;
    Link& next = *link.next;
    Link& prev = *link.prev;
    if (next.prev != &link || prev.next != &link) [[unlikely]]
      return Links::corrupt;
    prev.next = front_ = &next;
    next.prev = &prev;
    link.next = nullptr;
    return Links::intact;
  }

  /// Takes `entity` out, which is alone: the ring is empty then.
  Links remove_last(Entity& entity) {
    Link& link = entity;
    if (link.prev != &link) [[unlikely]]
      return Links::corrupt;
    front_ = nullptr;
    link.next = nullptr;
    return Links::intact;
  }

  /// Whether front and back agree that they are neighbours: what `append` asks of both rings.
  bool is_closed() const { return front_ == nullptr || front_->prev->next == front_; }

  /// Puts all of `other` behind all of this, in the order in which they are, and leaves `other`
  /// empty. Both must be closed.
  void append(Ring& other) {
    if (other.front_ == nullptr) return;
    if (front_ == nullptr) {
      front_ = other.front_;
    } else {
      Link& back = *front_->prev;
      Link& other_back = *other.front_->prev;
      back.next = other.front_;
      other.front_->prev = &back;
      other_back.next = front_;
      front_->prev = &other_back;
    }
    other.front_ = nullptr;
  }

  /// Has the front and the next one change places. The ring must not be empty.
  Links swap_first_two() {
    Link& first = *front_;
    Link& second = *first.next;
    Link& third = *second.next;
    Link& last = *first.prev;
    if (second.prev != &first || third.prev != &second || last.next != &first) [[unlikely]]
      return Links::corrupt;
    if (&second != &last) {  // of two, or one, the order is who is the front
      last.next = &second;
      second.prev = &last;
      second.next = &first;
      first.prev = &second;
      first.next = &third;
      third.prev = &first;
    }
    front_ = &second;
    return Links::intact;
  }

  /// Ends the turn of `entity`, the front: the next one becomes the front, and it the back.
  Links rotate(Entity& entity) {
    Link& next = *static_cast<Link&>(entity).next;
    if (next.prev != &static_cast<Link&>(entity)) [[unlikely]]
      return Links::corrupt;
    front_ = &next;
    return Links::intact;
  }

 private:
  Pointer<Link> front_ = nullptr;
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_RING_H_
