// Groups: tasks share the CPU group by group, in a hierarchy of any depth, and a group can have
// what a task can: a weight, a priority, a budget. docs/policies/groups.md
//
// `P` orders the tasks of one group, `Q` the groups of one branch: so a group is an entity of `Q`,
// with `Q`'s attributes. A *group* holds tasks, a *branch* holds groups and branches; the root is a
// branch, and group 0, of those who name none, is there from the beginning. Nothing holds both
// tasks and groups: whoever wants a share for tasks beside groups says which, by giving them a
// group (the rule of Linux's second version of control groups, and for the same reason).
//
// The depth is in the objects and not in the type, so it has no bound. Groups and branches are the
// kernel's: external, intrusive, at an address that stays. Groups have numbers, for tasks to name:
// a number can come from user space, means the same on every CPU, and outlives its group safely.
//
// The policy of a branch has turns of its own, and this is the mechanism that keeps them: while the
// tasks of a group take turns, the group's own turn goes on. It ends when its own `until` comes, or
// its branch prefers another, or its last task leaves; then the turns below are cut short, too, and
// what is left of them is kept for their owner. Were every turn ended at every level each time (the
// obvious thing), a group of tasks with a slice shorter than the group's would never come to the
// end of its own, and one with longer slices would only ever run its first task.

#ifndef BATON_SCHED_POLICY_GROUPS_H_
#define BATON_SCHED_POLICY_GROUPS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <type_traits>
#include <utility>

#include "sched/policy/compose.h"
#include "sched/policy/part.h"
#include "sched/policy/policy.h"
#include "sched/policy/ring.h"
#include "sched/policy/tree.h"

namespace sched {

/// How a task names its group. 0 is the one of those who name none.
using GroupNumber = uint16_t;

/// Why something was not done to a group. Nothing has changed then.
enum class GroupError : uint8_t {
  bad_number,     ///< it is 0, or beyond what the policy has room for
  number_taken,   ///< another group has it
  already_there,  ///< it has been created, and not removed since
  not_there,      ///< it, or the branch it was to be under, has not been created, or is removed
  loop,           ///< a branch cannot be moved under itself
  refused,        ///< the branch's policy would not have these attributes
  has_members,    ///< it still holds tasks or groups, runnable or not
  permanent,      ///< the root and group 0 cannot be removed or moved
};

/// See the head of this file. Every callback costs one of `P` and at most one of `Q` for each level
/// above; `pick` besides takes O(log n) for each group that has become unable or able to run.
template <Policy P, Policy Q = P, size_t kGroups = 64>
class Groups : public ClaimsOf<P>, Mechanism {
  static_assert(kGroups >= 1 && kGroups <= size_t{UINT16_MAX} + 1);
  static constexpr bool kKeepsInherited = Inherits<P> && Detaches<P>;
  struct Nothing {};

 public:
  /// Those of the tasks' policy, whatever groups they come from: a task is helped among those of
  /// its own group, and its group is not.
  using typename ClaimsOf<P>::Claim;

  class Branch;
  class Group;

  /// What a group and a branch have in common: to the branch above, each is an entity of `Q`.
  class Node : public Part<Groups, 1, typename Q::Entity>,
               public TreeLink<Groups>,
               public RingLink<Groups> {
   public:
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// How many tasks, or groups and branches, it holds, whether they are runnable or not.
    size_t members() const { return members_; }

   private:
    friend Groups;
    // Queued: runnable, and in its branch's policy. Stalled: it has runnable members and none of
    // them may run before `until_`; to its branch's policy it is blocked.
    enum class State : uint8_t { idle, queued, stalled };

    explicit constexpr Node(bool is_branch) : is_branch_(is_branch) {}

    Branch* parent_ = nullptr;  // null: not there
    Instant until_;             // of its turn, or of its stall
    size_t members_ = 0;
    size_t runnable_ = 0;  // of the members
    const bool is_branch_;
    bool is_fresh_ = true;  // has not been enqueued since it was created
    State state_ = State::idle;
  };

  class Entity : public Part<Groups, 0, typename P::Entity> {
    friend Groups;
    Group* group_ = nullptr;
    bool is_retuning_ = false;  // dequeued so; not yet enqueued again
    bool is_moving_ = false;    // and has been told to its group's policy as moved
    // What the policy of a group forgets when its task goes to another.
    [[no_unique_address]] std::conditional_t<kKeepsInherited, std::optional<Claim>, Nothing>
        inherited_;
  };

  struct Attributes {
    GroupNumber group = 0;
    typename P::Attributes task{};

    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

 private:
  struct ByUntil {
    using Key = Instant;
    static Key key(const Node& node) { return node.until_; }
    static bool before(Key a, Key b) { return a < b; }
  };

  // Whose turn was cut short for no reason of the policy that gave it, and how much of it was left.
  template <typename E>
  struct Rest {
    const E* of = nullptr;
    Duration left;

    Instant bound(const E* picked, Instant until, Instant now) {
      if (of == nullptr) return until;
      if (picked != of) {
        of = nullptr;
        return until;
      }
      return earlier(until, now + left);
    }
  };

 public:
  /// Holds tasks. The kernel's, constant-initialised; one for each CPU's policy it is to be under.
  class Group : public Node {
   public:
    constexpr Group() : Node(false) {}

    /// The policy of its tasks, for what can be set beyond their attributes.
    P& tasks() { return tasks_; }
    GroupNumber number() const { return number_; }

   private:
    friend Groups;
    P tasks_;
    Rest<typename P::Entity> rest_;
    GroupNumber number_ = 0;
  };

  /// Holds groups and branches.
  class Branch : public Node {
   public:
    constexpr Branch() : Node(true) {}

    /// The policy of what it holds.
    Q& groups() { return groups_; }

   private:
    friend Groups;
    Q groups_;
    Node* current_ = nullptr;  // whose turn it is, since the last `pick` or an earlier one
    bool is_due_ = false;      // somebody preempts that
    bool yields_ = false;      // it yields
    Rest<Node> rest_;
    Tree<Node, Groups, ByUntil> stalled_;
  };

  static constexpr bool kHoldsBack = holds_back<P> || holds_back<Q>;

  Groups() = default;
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  // ---- Groups. For the owning CPU, masked. After a group with runnable tasks has been retuned or
  // moved the mechanism must choose: the current entity is only runnable then, in its place.

  Branch& root() { return root_; }
  Group& default_group() { return default_; }

  /// Makes `group` the one with this number, under `parent`.
  std::expected<void, GroupError> create(Group& group, GroupNumber number,
                                         const typename Q::Attributes& attributes, Branch& parent,
                                         Instant now) {
    if (number == 0 || number >= kGroups) return std::unexpected(GroupError::bad_number);
    if (group.parent_ != nullptr) return std::unexpected(GroupError::already_there);
    if (table_[number] != nullptr) return std::unexpected(GroupError::number_taken);
    const auto done = add(group, attributes, parent);
    if (!done) return done;
    group.number_ = number;
    table_[number] = &group;
    if (is_online_) optional(group.tasks_).online(now);
    return done;
  }
  std::expected<void, GroupError> create(Group& group, GroupNumber number,
                                         const typename Q::Attributes& attributes = {},
                                         Instant now = {}) {
    return create(group, number, attributes, root_, now);
  }

  std::expected<void, GroupError> create(Branch& branch, const typename Q::Attributes& attributes,
                                         Branch& parent, Instant now) {
    if (branch.parent_ != nullptr) return std::unexpected(GroupError::already_there);
    const auto done = add(branch, attributes, parent);
    if (done && is_online_) optional(branch.groups_).online(now);
    return done;
  }
  std::expected<void, GroupError> create(Branch& branch,
                                         const typename Q::Attributes& attributes = {},
                                         Instant now = {}) {
    return create(branch, attributes, root_, now);
  }

  /// Gives a group or branch other attributes. One with runnable tasks enters its branch's line
  /// anew.
  std::expected<void, GroupError> retune(Node& node, const typename Q::Attributes& attributes,
                                         Instant now) {
    if (!ensure(node)) return std::unexpected(GroupError::not_there);
    Q& policy = node.parent_->groups_;
    if (node.state_ != Node::State::queued) {
      if (!policy.attach(detached(inner(node)), attributes)) {
        return std::unexpected(GroupError::refused);
      }
      return {};
    }
    displace_current(now);
    take_turn_from(node, now);
    require(policy.dequeue(inner(node), Leave::retuned, now));
    const bool admitted = policy.attach(detached(inner(node)), attributes);
    require(policy.enqueue(inner(node), Enter::retuned, now));
    meet(*node.parent_, node, now);
    if (!admitted) return std::unexpected(GroupError::refused);
    return {};
  }

  /// Puts a group or branch, with all it holds, under another branch. Refused if the policy there
  /// would not have its attributes.
  std::expected<void, GroupError> move(Node& node, Branch& to, Instant now) {
    if (is_permanent(node)) return std::unexpected(GroupError::permanent);
    if (node.parent_ == nullptr || !is_there(to)) return std::unexpected(GroupError::not_there);
    for (const Node* up = &to; up != nullptr; up = up->parent_) {
      if (up == &node) return std::unexpected(GroupError::loop);
    }
    Branch& from = *node.parent_;
    if (&from == &to) return {};
    if (!admits(to.groups_, from.groups_.attributes(inner(node)))) {
      return std::unexpected(GroupError::refused);
    }
    const bool is_queued = node.state_ == Node::State::queued;
    if (node.state_ != Node::State::idle) displace_current(now);
    if (is_queued) {
      take_turn_from(node, now);
      require(from.groups_.dequeue(inner(node), Leave::moved, now));
    }
    if (!change_policy(inner(node), from.groups_, to.groups_,
                       from.groups_.attributes(inner(node)))) {
      if (is_queued) {
        require(from.groups_.enqueue(inner(node), Enter::moved, now));
        meet(from, node, now);
      }
      return std::unexpected(GroupError::refused);
    }
    --from.members_;
    ++to.members_;
    if (node.state_ == Node::State::idle) {
      node.parent_ = &to;
      return {};
    }
    if (node.state_ == Node::State::stalled) require(from.stalled_.remove(node));
    node.state_ = Node::State::idle;
    if (from.rest_.of == &node) from.rest_ = {};
    if (--from.runnable_ == 0 && &from != &root_) leave(from, now);
    node.parent_ = &to;
    enter(node, is_queued ? Enter::moved : Enter::woken, now);
    return {};
  }

  /// Takes a group or branch away that holds nothing. Its storage is free then.
  std::expected<void, GroupError> remove(Node& node, Instant now = {}) {
    if (is_permanent(node)) return std::unexpected(GroupError::permanent);
    if (node.parent_ == nullptr) return std::unexpected(GroupError::not_there);
    if (node.members_ != 0) return std::unexpected(GroupError::has_members);
    Branch& from = *node.parent_;
    optional(from.groups_).detach(detached(inner(node)));
    if (node.is_branch_) {
      if (is_online_) optional(static_cast<Branch&>(node).groups_).offline(now);
    } else {
      Group& group = static_cast<Group&>(node);
      if (is_online_) optional(group.tasks_).offline(now);
      table_[group.number_] = nullptr;
    }
    require(nodes_.remove(node));
    --from.members_;
    node.parent_ = nullptr;
    node.is_fresh_ = true;
    return {};
  }

  /// What `node` was last given.
  typename Q::Attributes group_attributes(const Node& node) const {
    return node.parent_ == nullptr ? typename Q::Attributes{}
                                   : node.parent_->groups_.attributes(inner(node));
  }

  // ---- The policy.

  /// Refuses a group that is not there, and what its policy refuses. Another group than before: the
  /// task moves there, and takes its history along.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    Group* const to = find(attributes.group);
    if (to == nullptr) return false;
    Group* const from = entity->group_;
    if (from == to || from == nullptr) {
      if (!to->tasks_.attach(detached(inner(*entity)), attributes.task)) return false;
      if (from == nullptr) ++to->members_;
    } else {
      if (!admits(to->tasks_, attributes.task)) return false;
      if (entity->is_retuning_ && !entity->is_moving_) {
        // Its policy was told that it comes back at once. It does, and leaves for good.
        require(from->tasks_.enqueue(inner(*entity), Enter::retuned, retuned_at_));
        require(from->tasks_.dequeue(inner(*entity), Leave::moved, retuned_at_));
        entity->is_moving_ = true;
      }
      if (!change_policy(inner(*entity), from->tasks_, to->tasks_, attributes.task)) return false;
      --from->members_;
      ++to->members_;
    }
    entity->group_ = to;
    if constexpr (kKeepsInherited) {
      if (from != to && entity->inherited_) {
        to->tasks_.inherit(detached(inner(*entity)), &*entity->inherited_);
      }
    }
    return true;
  }

  Claim claim(const Entity& entity) const
    requires Inherits<P>
  {
    return entity.group_->tasks_.claim(inner(entity));
  }
  void inherit(Detached<Entity> entity, const Claim* claims)
    requires Inherits<P>
  {
    entity->group_->tasks_.inherit(detached(inner(*entity)), claims);
    if constexpr (kKeepsInherited) {
      entity->inherited_.reset();
      if (claims != nullptr) entity->inherited_ = *claims;
    }
  }

  void detach(Detached<Entity> entity) {
    Group& group = *entity->group_;
    if constexpr (Inherits<P>) inherit(entity, nullptr);
    optional(group.tasks_).detach(detached(inner(*entity)));
    --group.members_;
    entity->group_ = nullptr;
    entity->is_retuning_ = entity->is_moving_ = false;
  }

  Attributes attributes(const Entity& entity) const {
    const Group* const group = entity.group_;
    if (group == nullptr) return {};
    return {.group = group->number_, .task = group->tasks_.attributes(inner(entity))};
  }

  Links enqueue(Entity& entity, Enter why, Instant now) {
    Group& group = *entity.group_;
    if (entity.is_moving_ && why == Enter::retuned) why = Enter::moved;
    entity.is_retuning_ = entity.is_moving_ = false;
    if (group.tasks_.enqueue(inner(entity), why, now) == Links::corrupt) return Links::corrupt;
    contention_ = never;
    const bool was_idle = group.runnable_++ == 0;
    if (was_idle || group.state_ == Node::State::stalled) enter(group, Enter::woken, now);
    return links_;
  }

  Links dequeue(Entity& entity, Leave why, Instant now) {
    Group& group = *entity.group_;
    if (group.tasks_.dequeue(inner(entity), why, now) == Links::corrupt) return Links::corrupt;
    if (current_ == &entity) current_ = nullptr;
    if (displaced_ == &entity) displaced_ = nullptr;
    if (group.rest_.of == &inner(entity)) group.rest_ = {};
    if constexpr (kKeepsInherited) {
      if (why == Leave::exited) entity.inherited_.reset();
    }
    entity.is_retuning_ = why == Leave::retuned;
    retuned_at_ = now;
    if (--group.runnable_ == 0) leave(group, now);
    return links_;
  }

  Links put_back(Entity& entity, Pause why, Instant now) {
    if (displaced_ == &entity) [[unlikely]] {
      displaced_ = nullptr;
      return links_;
    }
    Group& group = *entity.group_;
    // The turn of the task has ended because its own `until` came, or one of a level above.
    if (why == Pause::timed_out && now < until_) why = Pause::preempted;
    if (why == Pause::yielded && yields_above(group, entity)) {
      why = now < until_ ? Pause::preempted : Pause::timed_out;
    }
    if (group.tasks_.put_back(inner(entity), why, now) == Links::corrupt) return Links::corrupt;
    group.rest_ = {};
    if (why == Pause::preempted && !is_due_ && now < until_) {
      group.rest_ = {.of = &inner(entity), .left = until_ - now};
    }
    current_ = nullptr;
    return links_;
  }

  /// Within a group as its policy says; to somebody of another group it is a yield.
  Links yield_to(Entity& entity, Entity& target, Instant now)
    requires YieldsTo<P>
  {
    Group& group = *entity.group_;
    if (target.group_ != &group || displaced_ == &entity)
      return put_back(entity, Pause::yielded, now);
    if (group.tasks_.yield_to(inner(entity), inner(target), now) == Links::corrupt) {
      return Links::corrupt;
    }
    group.rest_ = {};
    current_ = nullptr;
    return links_;
  }

  /// Where policies may hold back, nobody knows before asking.
  bool has_peer(const Entity& current) const
    requires(KnowsPeers<P> && KnowsPeers<Q> && !kHoldsBack)
  {
    if (displaced_ == &current) [[unlikely]]
      return false;  // the mechanism is about to choose
    const Group& group = *current.group_;
    if (group.tasks_.has_peer(inner(current))) return true;
    for (const Node* node = &group; node != &root_; node = node->parent_) {
      if (node->parent_->groups_.has_peer(inner(*node))) return true;
    }
    return false;
  }

  Choice<Entity> pick(Instant now) {
    displaced_ = nullptr;
    Branch* branch = &root_;
    for (;;) {
      release_stalled(*branch, now);
      end_turn_if_due(*branch, now);
      if (branch->current_ == nullptr) {
        const auto [next, until] = branch->groups_.pick(now);
        if (next == nullptr) {
          const Instant again = earlier(until, stalled_until(*branch));
          if (branch == &root_ || links_ == Links::corrupt) return {nullptr, again};
          stall(*branch, again, now);
          branch = branch->parent_;
          continue;
        }
        Node& node = node_of(*next);
        node.until_ = branch->rest_.bound(&node, until, now);
        branch->current_ = &node;
      }
      if (branch->current_->is_branch_) {
        branch = static_cast<Branch*>(branch->current_);
        continue;
      }
      Group& group = static_cast<Group&>(*branch->current_);
      const auto [task, until] = group.tasks_.pick(now);
      if (task == nullptr) {
        if (links_ == Links::corrupt) return {};
        stall(group, until, now);
        continue;
      }
      until_ = group.rest_.bound(task, until, now);
      is_due_ = false;
      current_ = &task_of(*task);
      Instant least = until_;
      for (const Node* node = &group; node != &root_; node = node->parent_) {
        least = earlier(least, earlier(node->until_, stalled_until(*node->parent_)));
      }
      return {current_, least};
    }
  }

  /// Charges the task, its group, and every branch above.
  void ran(Entity& current, Instant from, Instant to)
    requires(Charges<P> || Charges<Q>)
  {
    if (displaced_ == &current) [[unlikely]]
      return;
    Group& group = *current.group_;
    optional(group.tasks_).ran(inner(current), from, to);
    if constexpr (Charges<Q>) {
      for (Node* node = &group; node != &root_; node = node->parent_) {
        node->parent_->groups_.ran(inner(*node), from, to);
      }
    }
  }

  /// The policy decides that both are under: of their group, or of the lowest branch above both. If
  /// nobody entered there, because who leads to the newcomer was runnable before, nothing changes.
  Instant contend(Entity& entered, Entity& current, Instant now)
    requires(Contends<P> || Contends<Q>)
  {
    if (displaced_ == &current) [[unlikely]]
      return now;
    if (entered.group_ != current.group_) return contention_;
    if constexpr (Contends<P>) {
      const Instant until = entered.group_->tasks_.contend(inner(entered), inner(current), now);
      if (until <= now) {
        is_due_ = true;
      } else {
        until_ = earlier(until_, until);
      }
      return until;
    }
    return never;
  }

  void online(Instant now)
    requires(HearsOfCpu<P> || HearsOfCpu<Q>)
  {
    is_online_ = true;
    for_each_policy([now](auto& policy) { optional(policy).online(now); });
  }
  void offline(Instant now)
    requires(HearsOfCpu<P> || HearsOfCpu<Q>)
  {
    is_online_ = false;
    for_each_policy([now](auto& policy) { optional(policy).offline(now); });
  }

  template <typename CpuSet>
  Place place(const Entity& entity, const Arrival<CpuSet>& arrival) const
    requires Places<P, CpuSet>
  {
    // The entity's group may be another CPU's: the one that has the number here is asked.
    const Group* group = entity.group_ == nullptr ? nullptr : table_[entity.group_->number_];
    return (group == nullptr ? default_ : *group).tasks_.place(inner(entity), arrival);
  }

  template <typename CpuSet>
  void allow(Entity& entity, const CpuSet& cpus)
    requires HearsOfAffinity<P, CpuSet>
  {
    if (entity.group_ != nullptr) entity.group_->tasks_.allow(inner(entity), cpus);
  }

  template <typename Field>
  void dump(const Entity& entity, Field field) const {
    if (entity.group_ == nullptr) return;
    field("group", uint64_t{entity.group_->number_});
    dump_part(entity.group_->tasks_, inner(entity), field);
  }

 private:
  using TaskPart = Part<Groups, 0, typename P::Entity>;
  using NodePart = Part<Groups, 1, typename Q::Entity>;

  static typename P::Entity& inner(Entity& entity) { return static_cast<TaskPart&>(entity); }
  static const typename P::Entity& inner(const Entity& entity) {
    return static_cast<const TaskPart&>(entity);
  }
  static typename Q::Entity& inner(Node& node) { return static_cast<NodePart&>(node); }
  static const typename Q::Entity& inner(const Node& node) {
    return static_cast<const NodePart&>(node);
  }
  static Entity& task_of(typename P::Entity& task) {
    return static_cast<Entity&>(static_cast<TaskPart&>(task));
  }
  static Node& node_of(typename Q::Entity& node) {
    return static_cast<Node&>(static_cast<NodePart&>(node));
  }

  static Instant earlier(Instant a, Instant b) { return b < a ? b : a; }
  static Instant stalled_until(const Branch& branch) {
    const Node* const first = branch.stalled_.first();
    return first == nullptr ? never : first->until_;
  }

  // What is found in the midst of something is reported by the next call that can.
  void require(Links links) {
    if (links == Links::corrupt) [[unlikely]]
      links_ = Links::corrupt;
  }

  bool is_permanent(const Node& node) const { return &node == &root_ || &node == &default_; }
  bool is_there(const Branch& branch) const {
    return &branch == &root_ || branch.parent_ != nullptr;
  }

  // Group 0 is created when it is first asked for: to construct a policy must cost nothing.
  bool ensure(Node& node) {
    if (&node == &default_ && default_.parent_ == nullptr) {
      return add(default_, typename Q::Attributes{}, root_).has_value();
    }
    return node.parent_ != nullptr;
  }

  Group* find(GroupNumber number) {
    if (number == 0) return ensure(default_) ? &default_ : nullptr;
    return number < kGroups ? table_[number] : nullptr;
  }

  std::expected<void, GroupError> add(Node& node, const typename Q::Attributes& attributes,
                                      Branch& parent) {
    if (!is_there(parent)) return std::unexpected(GroupError::not_there);
    if (!parent.groups_.attach(detached(inner(node)), attributes)) {
      return std::unexpected(GroupError::refused);
    }
    require(nodes_.push_back(node));
    node.parent_ = &parent;
    ++parent.members_;
    return {};
  }

  // Whether an object would have a newcomer. Found out with one that is nobody else, so that
  // nothing has happened to anybody if not: to leave an object and come back to it is not nothing.
  template <typename Object>
  bool admits(Object& to, const typename Object::Attributes& given) {
    typename Object::Entity newcomer;
    if (!to.attach(detached(newcomer), given)) return false;
    optional(to).detach(detached(newcomer));
    return true;
  }

  // From one object of a policy to another; false: it has not changed. What an object has just been
  // given back it can give out again: one that does not has lost count.
  template <typename Object, typename Inner>
  bool change_policy(Inner& entity, Object& from, Object& to,
                     const typename Object::Attributes& given) {
    if constexpr (Detaches<Object>) {
      const typename Object::Attributes before = from.attributes(entity);
      from.detach(detached(entity));
      if (to.attach(detached(entity), given)) return true;
      if (!from.attach(detached(entity), before)) links_ = Links::corrupt;
      return false;
    } else {
      return to.attach(detached(entity), given);
    }
  }

  // A yield is for others of the same rank at the lowest level at which there are any: in the
  // group, else among the groups of its branch, and so on. Whether it is for a level above the
  // group.
  bool yields_above(Group& group, const Entity& entity) {
    if constexpr (KnowsPeers<P>) {
      if (group.tasks_.has_peer(inner(entity))) return false;
      for (Node* node = &group; node != &root_; node = node->parent_) {
        Branch& branch = *node->parent_;
        if (branch.runnable_ == 1) continue;
        if constexpr (KnowsPeers<Q>) {
          if (!branch.groups_.has_peer(inner(*node))) continue;
        }
        branch.yields_ = true;
        return true;
      }
    }
    return false;
  }

  // `node` has somebody runnable now: it and those above it enter their lines.
  void enter(Node& first, Enter why, Instant now) {
    for (Node* node = &first;;) {
      Branch& branch = *node->parent_;
      const bool was_stalled = node->state_ == Node::State::stalled;
      if (was_stalled) require(branch.stalled_.remove(*node));
      node->state_ = Node::State::queued;
      require(branch.groups_.enqueue(inner(*node), node->is_fresh_ ? Enter::created : why, now));
      node->is_fresh_ = false;
      meet(branch, *node, now);
      const bool was_idle = !was_stalled && branch.runnable_++ == 0;
      if (&branch == &root_ || !(was_idle || branch.state_ == Node::State::stalled)) return;
      node = &branch;
      why = Enter::woken;
    }
  }

  // `node` has nobody runnable any more.
  void leave(Node& last, Instant now) {
    for (Node* node = &last;;) {
      Branch& branch = *node->parent_;
      if (node->state_ == Node::State::stalled) {
        require(branch.stalled_.remove(*node));
      } else {
        require(branch.groups_.dequeue(inner(*node), Leave::blocked, now));
        forget(branch, *node);
      }
      node->state_ = Node::State::idle;
      if (--branch.runnable_ != 0 || &branch == &root_) return;
      node = &branch;
    }
  }

  // `node` has runnable members, and its policy says that none may run before `until`.
  void stall(Node& node, Instant until, Instant now) {
    Branch& branch = *node.parent_;
    require(branch.groups_.dequeue(inner(node), Leave::blocked, now));
    forget(branch, node);
    node.state_ = Node::State::stalled;
    node.until_ = until;
    require(branch.stalled_.insert(node));
  }

  void release_stalled(Branch& branch, Instant now) {
    for (Node* node = branch.stalled_.first(); node != nullptr && node->until_ <= now;
         node = branch.stalled_.first()) {
      require(branch.stalled_.remove(*node));
      if (links_ == Links::corrupt) return;
      node->state_ = Node::State::queued;
      require(branch.groups_.enqueue(inner(*node), Enter::woken, now));
      meet(branch, *node, now);
    }
  }

  // `node` is out of its branch's policy.
  void forget(Branch& branch, const Node& node) {
    if (branch.rest_.of == &node) branch.rest_ = {};
    if (branch.current_ != &node) return;
    branch.current_ = nullptr;
    branch.is_due_ = branch.yields_ = false;
  }

  // `node` has entered while it is somebody else's turn there, perhaps.
  void meet(Branch& branch, Node& node, Instant now) {
    if constexpr (Contends<Q>) {
      if (branch.current_ == nullptr) return;
      Node& current = *branch.current_;
      contention_ = branch.groups_.contend(inner(node), inner(current), now);
      if (contention_ <= now) {
        branch.is_due_ = true;
      } else {
        current.until_ = earlier(current.until_, contention_);
      }
    }
  }

  void end_turn_if_due(Branch& branch, Instant now) {
    if (branch.current_ == nullptr) return;
    if (now >= branch.current_->until_ || branch.is_due_ || branch.yields_) end_turns(branch, now);
  }

  // Of the current member of `branch` and of all below, each for its own reason. Where that is only
  // that a turn above ends, what is left of the turn is kept.
  void end_turns(Branch& first, Instant now) {
    for (Branch* branch = &first;;) {
      Node& node = *branch->current_;
      const Pause why = branch->yields_      ? Pause::yielded
                        : now >= node.until_ ? Pause::timed_out
                                             : Pause::preempted;
      require(branch->groups_.put_back(inner(node), why, now));
      branch->rest_ = {};
      if (why == Pause::preempted && !branch->is_due_) {
        branch->rest_ = {.of = &node, .left = node.until_ - now};
      }
      branch->current_ = nullptr;
      branch->is_due_ = branch->yields_ = false;
      if (!node.is_branch_) return;
      branch = static_cast<Branch*>(&node);
      if (branch->current_ == nullptr) return;
    }
  }

  // A group with runnable tasks is about to change. Whoever is current waits from now on, where it
  // was; its mechanism is to learn of it when it next asks.
  void displace_current(Instant now) {
    if (current_ == nullptr) return;
    Group& group = *current_->group_;
    require(group.tasks_.put_back(inner(*current_), Pause::preempted, now));
    group.rest_ = {};
    if (now < until_) group.rest_ = {.of = &inner(*current_), .left = until_ - now};
    displaced_ = std::exchange(current_, nullptr);
  }

  // Before `node` is taken out of its line between turns.
  void take_turn_from(Node& node, Instant now) {
    if (node.parent_->current_ == &node) end_turns(*node.parent_, now);
  }

  template <typename F>
  void for_each_policy(F f) {
    f(root_.groups_);
    if (default_.parent_ == nullptr) f(default_.tasks_);
    if (nodes_.empty()) return;
    Node* const first = &nodes_.front();
    Node* node = first;
    do {
      if (node->is_branch_) {
        f(static_cast<Branch*>(node)->groups_);
      } else {
        f(static_cast<Group*>(node)->tasks_);
      }
      node = static_cast<Node*>(node->RingLink<Groups>::next);
    } while (node != first);
  }

  Entity* current_ = nullptr;
  Entity* displaced_ = nullptr;  // current to the mechanism alone
  Instant until_;                // of the current entity's turn in its group
  bool is_due_ = false;          // somebody of its group preempts it
  Instant contention_ = never;   // what the last to enter made of the turn of the current one
  Instant retuned_at_;
  Links links_ = Links::intact;
  bool is_online_ = false;
  Branch root_;
  Group default_;
  Ring<Node, Groups> nodes_;
  std::array<Group*, kGroups> table_{};
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_GROUPS_H_
