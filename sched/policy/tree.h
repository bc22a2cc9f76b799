// An ordered, intrusive queue: the first in constant time, insertion and removal in O(log n) at
// worst, and, when asked for, the first of those whose other key is small enough.

#ifndef BATON_SCHED_POLICY_TREE_H_
#define BATON_SCHED_POLICY_TREE_H_

#include <concepts>
#include <cstdint>

#include "sched/policy/policy.h"

namespace sched {

/// What orders a tree: `Order::key(entity)`, of type `Order::Key`, may not change while the entity
/// is in the tree. `Order::before(a, b)` is a strict order of keys; of any keys that are in the
/// tree at the same time, that is, so it may compare times that wrap. Equal ones keep the order in
/// which they were inserted.
template <typename Order, typename Entity>
concept TreeOrder = requires(const Entity& e, typename Order::Key key) {
  { Order::key(e) } -> std::same_as<typename Order::Key>;
  { Order::before(key, key) } -> std::same_as<bool>;
};

/// An order that also has the tree know the least of something else in each of its subtrees, for
/// `first_where`: `Order::least(entity)`, of type `Order::Least`, compared by an overload of
/// `before`.
template <typename Order, typename Entity>
concept AugmentedTreeOrder =
    TreeOrder<Order, Entity> && requires(const Entity& e, typename Order::Least least) {
      { Order::least(e) } -> std::same_as<typename Order::Least>;
      { Order::before(least, least) } -> std::same_as<bool>;
    };

template <typename Entity, typename Tag, typename Order>
class Tree;

/// The hook that an entity inherits to be in a tree; `Tag` tells the hooks of composed entities
/// apart. `Least` is the order's, when it has one.
template <typename Tag, typename Least = void>
class TreeLink {
  template <typename, typename, typename>
  friend class Tree;

  TreeLink* parent_ = nullptr;
  TreeLink* child_[2] = {};
  Least least_{};
  uint8_t height_ = 0;
};

/// For an entity that lives for one stay in a tree: its link begins with anything.
struct Unlinked {};

template <typename Tag>
class TreeLink<Tag, void> {
 public:
  constexpr TreeLink() : parent_(nullptr), child_{}, height_(0) {}
  explicit TreeLink(Unlinked) {}

 private:
  template <typename, typename, typename>
  friend class Tree;

  TreeLink* parent_;
  TreeLink* child_[2];
  uint8_t height_;
};

/// A tree of entities that inherit `TreeLink<Tag>`, or `TreeLink<Tag, Order::Least>`. Owns nothing;
/// whoever holds the tree must have exclusive access to every entity in it.
template <typename Entity, typename Tag, typename Order>
class Tree {
  template <typename O>
  struct LeastOf {
    using Type = void;
  };
  template <typename O>
    requires requires { typename O::Least; }
  struct LeastOf<O> {
    using Type = typename O::Least;
  };
  using Least = typename LeastOf<Order>::Type;
  static constexpr bool kAugmented = !std::same_as<Least, void>;

 public:
  using Link = TreeLink<Tag, Least>;

  bool empty() const { return first_ == nullptr; }

  /// The first in order; null when it is empty.
  Entity* first() const { return entity_of(first_); }

  /// The one after `entity`, which is in the tree; null if that is the last.
  Entity* next(const Entity& entity) const {
    if (root_ == nullptr) return nullptr;  // alone
    const Link* link = &static_cast<const Link&>(entity);
    if (link->child_[1] != nullptr) return entity_of(leftmost(link->child_[1]));
    while (link->parent_ != nullptr && link == link->parent_->child_[1]) link = link->parent_;
    return entity_of(link->parent_);
  }

  /// Adds `entity`, which is in no tree, behind those that are not after it.
  Links insert(Entity& entity) {
    if constexpr (!kAugmented) {
      if (insert_only(entity)) return Links::intact;
      if (root_ == nullptr) plant(*first_);
    }
    Link& link = entity;
    Link* parent = nullptr;
    Link* at = root_;
    bool side = false;
    bool is_first = true;
    while (at != nullptr) {
      if (at->parent_ != parent) [[unlikely]]
        return Links::corrupt;
      parent = at;
      side = !Order::before(key_of(link), key_of(*at));
      is_first &= !side;
      at = at->child_[side];
    }
    link.parent_ = parent;
    link.child_[0] = link.child_[1] = nullptr;
    link.height_ = 1;
    if constexpr (kAugmented) link.least_ = Order::least(entity);
    if (is_first) first_ = &link;
    if (parent == nullptr) {
      root_ = &link;
      return Links::intact;
    }
    parent->child_[side] = &link;
    rebalance(parent, nullptr);
    return Links::intact;
  }

  /// The same, if the tree is empty. False otherwise: nothing has changed.
  bool insert_only(Entity& entity)
    requires(!kAugmented)
  {
    if (first_ != nullptr) return false;
    first_ = &static_cast<Link&>(entity);
    return true;
  }

  /// Takes `entity` out, which is in this tree.
  Links remove(Entity& entity) {
    if constexpr (!kAugmented) {
      if (remove_only(entity)) return Links::intact;
      if (root_ == nullptr) [[unlikely]]
        return Links::corrupt;
    }
    Link& link = entity;
    Link*& downward = link.parent_ == nullptr ? root_ : link.parent_->child_[is_right(link)];
    if (downward != &link || !is_parent(link, link.child_[0]) || !is_parent(link, link.child_[1]))
        [[unlikely]] {
      return Links::corrupt;
    }
    if (first_ == &link) {
      first_ = link.child_[1] != nullptr ? leftmost(link.child_[1]) : link.parent_;
    }
    Link* from = link.parent_;
    Link* heir = link.child_[0] == nullptr ? link.child_[1] : link.child_[0];
    if (link.child_[0] != nullptr && link.child_[1] != nullptr) {
      heir = leftmost(link.child_[1]);
      from = heir;
      if (heir != link.child_[1]) {
        from = heir->parent_;
        from->child_[0] = heir->child_[1];
        if (heir->child_[1] != nullptr) heir->child_[1]->parent_ = from;
        heir->child_[1] = link.child_[1];
        link.child_[1]->parent_ = heir;
      }
      heir->child_[0] = link.child_[0];
      link.child_[0]->parent_ = heir;
      heir->height_ = link.height_;
      if constexpr (kAugmented) heir->least_ = link.least_;
    }
    downward = heir;
    if (heir != nullptr) heir->parent_ = link.parent_;
    rebalance(from, heir);
    if constexpr (!kAugmented) {
      if (root_->child_[0] == nullptr && root_->child_[1] == nullptr) root_ = nullptr;
    }
    return Links::intact;
  }

  /// The same, if `entity` is the only one. False otherwise: nothing has changed.
  bool remove_only(Entity& entity)
    requires(!kAugmented)
  {
    if (root_ != nullptr || first_ != &static_cast<Link&>(entity)) return false;
    first_ = nullptr;
    return true;
  }

  /// The least of what the order keeps the least of. The tree must not be empty.
  Least least() const
    requires kAugmented
  {
    return root_->least_;
  }

  /// The first in order whose `least` is one that `admits` it, or null. Whatever `admits` a value
  /// must also admit every lesser one.
  template <typename F>
  Entity* first_where(F admits) const
    requires kAugmented
  {
    if (root_ == nullptr || !admits(root_->least_)) return nullptr;
    Link* at = root_;
    for (;;) {
      if (at->child_[0] != nullptr && admits(at->child_[0]->least_)) {
        at = at->child_[0];
      } else if (admits(Order::least(*entity_of(at)))) {
        return entity_of(at);
      } else {
        at = at->child_[1];
      }
    }
  }

  /// The least of those that come before `entity`, which is in the tree, and of `bound`.
  template <std::same_as<Least> L>
  L least_before(const Entity& entity, L bound) const
    requires kAugmented
  {
    const auto take = [&bound](L least) {
      if (Order::before(least, bound)) bound = least;
    };
    const Link* at = &static_cast<const Link&>(entity);
    if (at->child_[0] != nullptr) take(at->child_[0]->least_);
    for (; at->parent_ != nullptr; at = at->parent_) {
      const Link& parent = *at->parent_;
      if (at != parent.child_[1]) continue;
      take(Order::least(static_cast<const Entity&>(parent)));
      if (parent.child_[0] != nullptr) take(parent.child_[0]->least_);
    }
    return bound;
  }

 private:
  static Entity* entity_of(Link* link) { return static_cast<Entity*>(link); }
  static auto key_of(const Link& link) { return Order::key(static_cast<const Entity&>(link)); }
  static bool is_right(const Link& link) { return link.parent_->child_[1] == &link; }
  static bool is_parent(const Link& parent, const Link* child) {
    return child == nullptr || child->parent_ == &parent;
  }
  static int height(const Link* link) { return link == nullptr ? 0 : link->height_; }
  static Link* leftmost(Link* link) {
    while (link->child_[0] != nullptr) link = link->child_[0];
    return link;
  }

  // The only one becomes a tree.
  void plant(Link& link) {
    link.parent_ = link.child_[0] = link.child_[1] = nullptr;
    link.height_ = 1;
    root_ = &link;
  }

  // Brings up to date what `link` knows of its subtree. Whether that changed anything.
  static bool update(Link& link) {
    const int left = height(link.child_[0]);
    const int right = height(link.child_[1]);
    const uint8_t tallest = static_cast<uint8_t>((left > right ? left : right) + 1);
    bool changed = tallest != link.height_;
    link.height_ = tallest;
    if constexpr (kAugmented) {
      Least least = Order::least(static_cast<const Entity&>(link));
      for (const Link* child : link.child_) {
        if (child != nullptr && Order::before(child->least_, least)) least = child->least_;
      }
      changed |= Order::before(least, link.least_) || Order::before(link.least_, least);
      link.least_ = least;
    }
    return changed;
  }

  // Puts the child of `link` on `side` in its place, and `link` below it on the other side.
  Link& rotate(Link& link, bool side) {
    Link& up = *link.child_[side];
    Link*& downward = link.parent_ == nullptr ? root_ : link.parent_->child_[is_right(link)];
    link.child_[side] = up.child_[!side];
    if (up.child_[!side] != nullptr) up.child_[!side]->parent_ = &link;
    up.child_[!side] = &link;
    downward = &up;
    up.parent_ = link.parent_;
    link.parent_ = &up;
    update(link);
    update(up);
    return up;
  }

  // From `at` upwards as long as anything changes, and past `through` if that is on the way.
  void rebalance(Link* at, const Link* through) {
    bool past = through == nullptr || through->child_[0] == nullptr;
    for (; at != nullptr; at = at->parent_) {
      const bool changed = update(*at);
      past |= at == through;
      const int lean = height(at->child_[1]) - height(at->child_[0]);
      if (lean < -1 || lean > 1) {
        const bool side = lean > 0;
        Link& tall = *at->child_[side];
        if (height(tall.child_[!side]) > height(tall.child_[side])) rotate(tall, !side);
        at = &rotate(*at, side);
      } else if (!changed && past) {
        return;
      }
    }
  }

  // Null also while there is only one entity, of which then nothing is looked at; unless the order
  // wants the least of each subtree.
  Link* root_ = nullptr;
  Link* first_ = nullptr;
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_TREE_H_
