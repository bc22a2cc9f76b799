// The ordered queue for many tasks: a binary trie over the bits of their keys, in which nothing is
// ever rebalanced.
//
// Why not a balanced tree (`sched/policy/tree.h` is one, and smaller): what that costs is less the
// number of its steps than what each of them decides. Which way to go down is a coin, so the
// processor guesses wrongly every second time, and the way back up to rebalance is a few coins
// more. Here a step down is one bit of the key and a conditional move: no branch, no comparison,
// and of every node on the way one line. Where the newcomer belongs is known at the bottom, from
// the first bit in which it differs from whom it finds there, and is a step or two above. To leave
// is to put one's sibling into the place of one's parent, wherever one is. To test at every step
// whether the key still begins as all below do, which would end the way down earlier, costs more
// from a hundred tasks on than the steps that it saves.
//
// The structure is D. R. Morrison's ("PATRICIA", JACM 1968), with the inner nodes, one fewer than
// entities, lent by the entities as in W. Tarreau's elastic binary trees: each brings one along,
// and whoever leaves while his is in use takes over that of the parent which he makes superfluous.
//
// Bounds. The key is 64 bits; behind it, as its continuation, comes the number of the insertion,
// which makes equal ones keep their order and does not wrap. So no path is longer than 127 nodes,
// whatever the number of tasks; among n keys whose bits are random it is log2(n) and a third on
// average. Insertion and `first_where` go down one path. Removal is constant time but for finding
// the new first, when that one leaves, and telling those above what is now the least below them, as
// far up as that makes a difference: neither is more than a path.
//
// Times that wrap. Keys that lie within half the range of each other are, on either side of the
// middle, in the order of their bits. So there are two tries, one for each value of the top bit,
// and which of them comes first is for the order to say of any two keys, one from each.
//
// Links. Before anything is changed, every node that is to be changed is looked at from the other
// end; only the way up that tells of a least is not.

#ifndef BATON_SCHED_POLICY_BIT_TRIE_H_
#define BATON_SCHED_POLICY_BIT_TRIE_H_

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "sched/policy/policy.h"
#include "sched/policy/tree.h"

namespace sched {

template <typename Entity, typename Tag, typename Order>
class BitTrie;

template <typename Least>
struct BitTrieInner;

/// What entities' hooks and inner nodes begin with, so that nothing depends on which of them it is.
template <typename Least>
struct BitTrieNode {
  BitTrieInner<Least>* parent = nullptr;
};

/// An inner node. A child is the address of a node: of an inner one, or of an entity's plus one.
template <typename Least>
struct BitTrieInner : BitTrieNode<Least> {
  static constexpr bool kAugmented = !std::same_as<Least, void>;
  struct NoLeasts {};
  using Leasts =
      std::conditional_t<kAugmented, std::array<std::conditional_t<kAugmented, Least, char>, 2>,
                         NoLeasts>;

  std::array<uintptr_t, 2> child = {};  // the first is 0: not in use
  uint64_t bit = 0;         // of the key, that it decides by; zero: all below have one key
  uint64_t number_bit = 0;  // of the insertion's number, then
  [[no_unique_address]] Leasts least = {};  // below each child
};

/// The hook that an entity inherits to be in a trie; `Tag` tells the hooks of composed entities
/// apart. `Least` is the order's, when it has one.
template <typename Tag, typename Least = void>
class BitTrieLink : private BitTrieNode<Least> {
  template <typename, typename, typename>
  friend class BitTrie;

  uint64_t number_ = 0;  // of its insertion
  BitTrieInner<Least> lent_;
};

/// A trie of entities that inherit `BitTrieLink<Tag>`, or `BitTrieLink<Tag, Order::Least>`. `Order`
/// is a `TreeOrder` whose keys are 64 bits of which those with an equal top bit are ordered as
/// unsigned numbers. Neither key nor least of an entity may change while it is in the trie, but for
/// the key of one that is alone there. Owns nothing; whoever holds the trie must have exclusive
/// access to every entity in it.
template <typename Entity, typename Tag, typename Order>
class BitTrie {
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
  static_assert(sizeof(typename Order::Key) == sizeof(uint64_t));

 public:
  using Link = BitTrieLink<Tag, Least>;

  bool empty() const { return halves_[0].root == 0 && halves_[1].root == 0; }

  /// The first in order; null when it is empty.
  Entity* first() const { return static_cast<Entity*>(halves_[leading()].first); }

  /// The one after `entity`, which is in the trie; null if that is the last.
  Entity* next(const Entity& entity) const {
    const Link* link = &static_cast<const Link&>(entity);
    uintptr_t at = tagged(link);
    for (const Inner* up = link->parent; up != nullptr; up = up->parent) {
      if (up->child[0] == at) return entity_of(leftmost(up->child[1]));
      at = tagged(up);
    }
    const size_t lead = leading();
    return halves_[lead].root == at ? static_cast<Entity*>(halves_[1 - lead].first) : nullptr;
  }

  /// Adds `entity`, which is in no trie, behind those that are not after it.
  Links insert(Entity& entity) {
    Link& link = entity;
    const uint64_t key = key_of(link);
    const uint64_t number = numbers_;
    Half& half = halves_[key >> 63];
    if (half.root == 0) {
      ++numbers_;
      link.number_ = number;
      link.parent = nullptr;
      link.lent_.child[0] = 0;
      half.root = tagged(&link);
      half.first = &link;
      return Links::intact;
    }
    // Down to one that has the same bits wherever the nodes on the way ask for one.
    uintptr_t at = half.root;
    Inner* up = nullptr;
    while (!is_entity(at)) {
      up = inner_of(at);
      // Both are loaded while the bit is looked at: quicker than to load one by its number.
      const uintptr_t zero = up->child[0];
      const uintptr_t one = up->child[1];
      const uint64_t bit = up->bit != 0 ? key & up->bit : number & up->number_bit;
      at = __builtin_unpredictable(bit != 0) ? one : zero;
    }
    const Link& found = *link_of(at);
    if (found.parent != up) [[unlikely]]
      return Links::corrupt;

    // Up again, above all nodes that ask for a later bit than the first that differs.
    const uint64_t difference = key ^ key_of(found);
    Inner& lent = link.lent_;
    lent.bit = std::bit_floor(difference);
    if (difference != 0) [[likely]] {
      for (; up != nullptr && up->bit < lent.bit; up = up->parent) at = tagged(up);
    } else {
      lent.number_bit = std::bit_floor(number ^ found.number_);
      for (; up != nullptr && is_later(*up, lent.number_bit); up = up->parent) at = tagged(up);
    }
    if (up != nullptr && !is_child(at, *up)) [[unlikely]]
      return Links::corrupt;
    const size_t own = side(lent, key, number);
    lent.child[own] = tagged(&link);
    lent.child[1 - own] = at;
    lent.parent = up;
    link.parent = &lent;
    ++numbers_;
    link.number_ = number;
    set_parent(at, &lent);
    if (key < key_of(*half.first)) half.first = &link;
    if (up == nullptr) [[unlikely]] {
      half.root = tagged(&lent);
      if constexpr (kAugmented) {
        lent.least[own] = Order::least(entity);
        lent.least[1 - own] = least_of(at);
      }
      return Links::intact;
    }
    size_t from = up->child[1] == at;
    up->child[from] = tagged(&lent);
    if constexpr (kAugmented) {
      const Least least = Order::least(entity);
      lent.least[own] = least;
      lent.least[1 - own] = up->least[from];
      while (Order::before(least, up->least[from])) {
        up->least[from] = least;
        up = up->parent;
        if (up == nullptr) break;
        from = side(*up, key, number);
      }
    }
    return Links::intact;
  }

  /// Takes `entity` out, which is in this trie.
  Links remove(Entity& entity) {
    Link& link = entity;
    const uintptr_t self = tagged(&link);
    Inner* const parent = link.parent;
    Inner& own = link.lent_;
    if (parent == nullptr) {
      Half& half = halves_[halves_[1].root == self];
      if (half.root != self) [[unlikely]]
        return Links::corrupt;
      half = {};
      return Links::intact;
    }
    const size_t from = parent->child[1] == self;
    const uintptr_t sibling = parent->child[1 - from];
    if (parent->child[from] != self || parent_of(sibling) != parent || !is_linked(*parent) ||
        (own.child[0] != 0 && &own != parent && !is_linked(own))) [[unlikely]] {
      return Links::corrupt;
    }
    for (Half& half : halves_) {
      if (half.first == &link) {
        half.first = leftmost(sibling);
        __builtin_prefetch(half.first);
      }
    }
    Inner* const above = parent->parent;
    if (above == nullptr) {
      halves_[halves_[1].root == tagged(parent)].root = sibling;
    } else {
      above->child[above->child[1] == tagged(parent)] = sibling;
    }
    set_parent(sibling, above);
    if constexpr (kAugmented) {
      if (above != nullptr) tell(*above, sibling, parent->least[1 - from]);
    }
    if (&own == parent) return Links::intact;
    if (own.child[0] == 0) {
      parent->child[0] = 0;
      return Links::intact;
    }
    *parent = own;
    if (own.parent == nullptr) {
      halves_[halves_[1].root == tagged(&own)].root = tagged(parent);
    } else {
      own.parent->child[own.parent->child[1] == tagged(&own)] = tagged(parent);
    }
    set_parent(own.child[0], parent);
    set_parent(own.child[1], parent);
    return Links::intact;
  }

  /// The least of what the order keeps the least of. The trie must not be empty.
  Least least() const
    requires kAugmented
  {
    const uintptr_t a = halves_[0].root;
    const uintptr_t b = halves_[1].root;
    if (a == 0 || b == 0) return least_of(a | b);
    const Least one = least_of(a);
    const Least other = least_of(b);
    return Order::before(other, one) ? other : one;
  }

  /// The first in order whose `least` is one that `admits` it, or null. Whatever `admits` a value
  /// must also admit every lesser one.
  template <typename F>
  Entity* first_where(F admits) const
    requires kAugmented
  {
    const size_t lead = leading();
    for (const size_t i : {lead, 1 - lead}) {
      uintptr_t at = halves_[i].root;
      if (at == 0 || !admits(least_of(at))) continue;
      while (!is_entity(at)) {
        const Inner& inner = *inner_of(at);
        at = inner.child[!admits(inner.least[0])];
      }
      return entity_of(link_of(at));
    }
    return nullptr;
  }

  /// The least of those that come before `entity`, which is in the trie, and of `bound`.
  template <std::same_as<Least> L>
  L least_before(const Entity& entity, L bound) const
    requires kAugmented
  {
    const auto take = [&bound](L least) {
      if (Order::before(least, bound)) bound = least;
    };
    const Link& link = entity;
    uintptr_t at = tagged(&link);
    for (const Inner* up = link.parent; up != nullptr; up = up->parent) {
      if (up->child[1] == at) take(up->least[0]);
      at = tagged(up);
    }
    const Half& lead = halves_[leading()];
    if (lead.root != at) take(least_of(lead.root));
    return bound;
  }

 private:
  using Node = BitTrieNode<Least>;
  using Inner = BitTrieInner<Least>;

  struct Half {
    uintptr_t root = 0;  // zero: empty
    Link* first = nullptr;
  };

  static uintptr_t tagged(const Node* inner) { return reinterpret_cast<uintptr_t>(inner); }
  static uintptr_t tagged(const Link* link) {
    return reinterpret_cast<uintptr_t>(static_cast<const Node*>(link)) + 1;
  }
  static bool is_entity(uintptr_t child) { return (child & 1) != 0; }
  static Node& node_of(uintptr_t child) { return *reinterpret_cast<Node*>(child & ~uintptr_t{1}); }
  static Link* link_of(uintptr_t child) { return static_cast<Link*>(&node_of(child)); }
  static Inner* inner_of(uintptr_t child) {
    return static_cast<Inner*>(reinterpret_cast<Node*>(child));
  }
  static Entity* entity_of(Link* link) { return static_cast<Entity*>(link); }
  static uint64_t key_of(const Link& link) {
    return std::bit_cast<uint64_t>(Order::key(static_cast<const Entity&>(link)));
  }

  // The half that has the first; an empty one only if both are.
  size_t leading() const {
    if (halves_[1].root == 0) return 0;
    if (halves_[0].root == 0) return 1;
    return Order::before(Order::key(*entity_of(halves_[1].first)),
                         Order::key(*entity_of(halves_[0].first)));
  }

  static size_t side(const Inner& inner, uint64_t key, uint64_t number) {
    return (inner.bit != 0 ? key & inner.bit : number & inner.number_bit) != 0;
  }
  // Whether it decides by number, and a later bit than that.
  static bool is_later(const Inner& inner, uint64_t number_bit) {
    return inner.bit == 0 && inner.number_bit < number_bit;
  }

  static Link* leftmost(uintptr_t at) {
    while (!is_entity(at)) at = inner_of(at)->child[0];
    return link_of(at);
  }

  static const Inner* parent_of(uintptr_t child) { return node_of(child).parent; }
  static void set_parent(uintptr_t child, Inner* parent) { node_of(child).parent = parent; }

  static bool is_child(uintptr_t child, const Inner& parent) {
    return (int{parent.child[0] == child} | int{parent.child[1] == child}) != 0;
  }

  // Whether those that an inner node links to link back to it. Without branches that are coins.
  bool is_linked(const Inner& inner) const {
    const uintptr_t self = tagged(&inner);
    const bool above = inner.parent != nullptr ? is_child(self, *inner.parent)
                                               : halves_[0].root == self || halves_[1].root == self;
    return above && parent_of(inner.child[0]) == &inner && parent_of(inner.child[1]) == &inner;
  }

  static auto least_of(uintptr_t child) {
    if (is_entity(child)) return Order::least(*entity_of(link_of(child)));
    const Inner& inner = *inner_of(child);
    return Order::before(inner.least[1], inner.least[0]) ? inner.least[1] : inner.least[0];
  }

  // Tells `up`, and those above it, that `least` is what is now least below `child`.
  template <typename L>
  static void tell(Inner& first, uintptr_t child, L least) {
    for (Inner* up = &first; up != nullptr; up = up->parent) {
      const size_t from = up->child[1] == child;
      if (!Order::before(up->least[from], least) && !Order::before(least, up->least[from])) return;
      up->least[from] = least;
      if (Order::before(up->least[1 - from], least)) least = up->least[1 - from];
      child = tagged(up);
    }
  }

  std::array<Half, 2> halves_{};
  uint64_t numbers_ = 0;  // how often somebody has been inserted
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_BIT_TRIE_H_
