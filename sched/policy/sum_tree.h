// Entities side by side on a line of numbers, each as wide as its value, so that whoever owns a
// number is found in O(log n): how a lottery finds the holder of the winning ticket.
//
// An intrusive binary tree in which every node knows the sum of its subtree. The tree is complete:
// nodes are added at the end of its last row, and who leaves is replaced by the last one. So it is
// as low as a tree can be with nothing ever to rebalance, and the path to a node is in the bits of
// its number. Which numbers are whose changes as others come and go; it depends on the order of
// calls alone, never on addresses.

#ifndef BATON_SCHED_POLICY_SUM_TREE_H_
#define BATON_SCHED_POLICY_SUM_TREE_H_

#include <bit>
#include <cstdint>

#include "sched/policy/policy.h"

namespace sched {

template <typename Entity, typename Tag>
class SumTree;

/// The hook that an entity inherits to be in a sum tree; `Tag` tells the hooks of composed entities
/// apart.
template <typename Tag>
class SumLink {
  template <typename, typename>
  friend class SumTree;

  SumLink* parent_ = nullptr;
  SumLink* child_[2] = {};
  uint64_t sum_ = 0;  // of the values of its subtree
};

/// A sum tree of entities that inherit `SumLink<Tag>`. Owns nothing; whoever holds the tree must
/// have exclusive access to every entity in it. The sum of all values must stay below 2^64. What
/// takes longer than constant time says so.
template <typename Entity, typename Tag>
class SumTree {
 public:
  using Link = SumLink<Tag>;

  uint64_t count() const { return count_; }
  uint64_t total() const { return sum_of(root_); }

  /// Adds `entity`, which is in no tree. O(log n).
  Links insert(Entity& entity, uint64_t value) {
    Link& link = entity;
    Link* parent = nullptr;
    if (count_ > 0) {
      parent = node((count_ + 1) / 2);
      if (parent == nullptr || parent->child_[(count_ + 1) % 2] != nullptr) [[unlikely]] {
        return Links::corrupt;
      }
      parent->child_[(count_ + 1) % 2] = &link;
    } else {
      root_ = &link;
    }
    link.parent_ = parent;
    link.child_[0] = link.child_[1] = nullptr;
    link.sum_ = value;
    add(parent, value);
    ++count_;
    return Links::intact;
  }

  /// Takes `entity` out, which is in the tree. O(log n).
  Links remove(Entity& entity) {
    Link& link = entity;
    Link* const last = node(count_);
    if (last == nullptr || !is_reached(link)) [[unlikely]]
      return Links::corrupt;
    const uint64_t value_of_last = last->sum_;  // it has no children
    downward(*last) = nullptr;
    add(last->parent_, -value_of_last);
    if (last != &link) {
      const uint64_t difference = value_of_last - value_of(link);
      downward(link) = last;
      last->parent_ = link.parent_;
      last->sum_ = link.sum_ + difference;
      for (int side : {0, 1}) {
        last->child_[side] = link.child_[side];
        if (link.child_[side] != nullptr) link.child_[side]->parent_ = last;
      }
      add(last->parent_, difference);
    }
    --count_;
    return Links::intact;
  }

  /// Gives `entity`, which is in the tree, another value. O(log n).
  Links set(Entity& entity, uint64_t value) {
    if (!is_reached(entity)) [[unlikely]]
      return Links::corrupt;
    add(&static_cast<Link&>(entity), value - value_of(entity));
    return Links::intact;
  }

  /// Whose `number` is; it must be below the total. O(log n).
  Entity* owner(uint64_t number) const {
    Link* link = root_;
    for (;;) {
      const uint64_t left = sum_of(link->child_[0]);
      if (number < left) {
        link = link->child_[0];
        continue;
      }
      number -= left;
      const uint64_t own = value_of(*link);
      if (number < own || link->child_[1] == nullptr) return static_cast<Entity*>(link);
      number -= own;
      link = link->child_[1];
    }
  }

 private:
  static uint64_t sum_of(const Link* link) { return link == nullptr ? 0 : link->sum_; }
  static uint64_t value_of(const Link& link) {
    return link.sum_ - sum_of(link.child_[0]) - sum_of(link.child_[1]);
  }

  // What leads down to `link`.
  Link*& downward(Link& link) {
    if (link.parent_ == nullptr) return root_;
    return link.parent_->child_[link.parent_->child_[1] == &link];
  }

  // Adds to the sums of `link` and all above, modulo 2^64: a negative difference is one, too.
  static void add(Link* link, uint64_t difference) {
    for (; link != nullptr; link = link->parent_) link->sum_ += difference;
  }

  // Row by row, from the root, which is number 1: below its first one, the bits of a number are the
  // turns to take. Null if the way there is broken.
  Link* node(uint64_t number) const {
    Link* link = root_;
    if (link == nullptr || link->parent_ != nullptr) return nullptr;
    for (int bit = std::bit_width(number) - 2; bit >= 0; --bit) {
      Link* const child = link->child_[number >> bit & 1];
      if (child == nullptr || child->parent_ != link) return nullptr;
      link = child;
    }
    return link;
  }

  // Whether every link between the root and `link`, and to its children, leads both ways. A tree
  // has at most 64 rows.
  bool is_reached(const Link& link) const {
    for (const Link* child : link.child_) {
      if (child != nullptr && child->parent_ != &link) return false;
    }
    const Link* at = &link;
    for (int row = 0; row < 64; ++row) {
      const Link* const parent = at->parent_;
      if (parent == nullptr) return at == root_;
      // Not `&&`: on which side it is is a coin, and a branch by it guesses wrongly every second
      // time.
      if ((int{parent->child_[0] == at} | int{parent->child_[1] == at}) == 0) return false;
      at = parent;
    }
    return false;
  }

  Link* root_ = nullptr;
  uint64_t count_ = 0;
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_SUM_TREE_H_
