// Groups beside the plain policy, where there is but one group, beside a naive model of round
// robins in a tree, and by the rules of every policy.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>

#include "absl/container/btree_map.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/groups.h"
#include "sched/policy/mlfq.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/testing/conformance.h"
#include "tests/sched/policy/conforms.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

using RoundRobins = Groups<RoundRobin, RoundRobin>;

// ---- One group alone is its policy -----------------------------------------------------------

// The plain policy itself is the model; but a turn that ends only because the kernel needs the CPU
// goes on later with what was left of it.
template <Policy P, typename Sample>
struct Plain : Mechanism {
  using G = Groups<P, RoundRobin>;
  using Attributes = G::Attributes;
  using Answer = Harness<G>::Answer;

  void configure(G&, absl::BitGenRef) {}
  Attributes random_attributes(absl::BitGenRef gen) {
    const bool exists = !absl::Bernoulli(gen, 0.1);
    return {.group = static_cast<GroupNumber>(exists ? 0 : 7), .task = Sample::sample(gen)};
  }
  std::optional<Attributes> accepts(int e, const Attributes& a) {
    if (a.group != 0 || !plain.attach(detached(at_index(e)), a.task)) return std::nullopt;
    return a;
  }
  void detach(int e) {
    if constexpr (Detaches<P>) plain.detach(detached(at_index(e)));
  }
  void enqueue(int e, const Attributes&, Enter why, Instant now) {
    EXPECT_EQ(plain.enqueue(at_index(e), why, now), Links::intact);
  }
  void dequeue(int e, Leave why, Instant now) {
    EXPECT_EQ(plain.dequeue(at_index(e), why, now), Links::intact);
    if (e == rest_of) rest_of = -1;
  }
  void put_back(int e, Pause why, Instant now) {
    EXPECT_EQ(plain.put_back(at_index(e), why, now), Links::intact);
    rest_of = why == Pause::preempted && !is_due && now < until ? e : -1;
    rest = until - now;
  }
  Answer pick(Instant now) {
    const auto [entity, plain_until] = plain.pick(now);
    until = plain_until;
    is_due = false;
    if (entity == nullptr) return {Harness<G>::kNobody, until};
    const int e = static_cast<int>(entity - entities.data());
    if (e != rest_of) rest_of = -1;
    if (e == rest_of) until = std::min(until, now + rest);
    return {e, until};
  }
  Instant contend(int entered, int current, Instant now) {
    if constexpr (!Contends<P>) return never;
    const Instant by = plain.contend(at_index(entered), at_index(current), now);
    if (by <= now) {
      is_due = true;
    } else {
      until = std::min(until, by);
    }
    return by;
  }
  void ran(int e, Instant from, Instant to) {
    if constexpr (Charges<P>) plain.ran(at_index(e), from, to);
  }
  void yield_to(int e, int target, Instant now) {
    if constexpr (YieldsTo<P>) {
      EXPECT_EQ(plain.yield_to(at_index(e), at_index(target), now), Links::intact);
      rest_of = -1;
    }
  }

  typename P::Entity& at_index(int e) { return entities[static_cast<size_t>(e)]; }

  P plain;
  Instant until = never;
  bool is_due = false;
  int rest_of = -1;
  Duration rest;
  std::array<typename P::Entity, Harness<G>::kEntities> entities{};
};

struct Slices {
  static RoundRobin::Attributes sample(absl::BitGenRef gen) {
    return {.slice = ticks(absl::Uniform<uint64_t>(gen, 0, 60))};
  }
};
struct Priorities {
  static FixedPriority::Attributes sample(absl::BitGenRef gen) {
    return {.priority = static_cast<uint16_t>(absl::Uniform(gen, 0, 260))};
  }
};
struct Levels {
  static Mlfq::Attributes sample(absl::BitGenRef gen) {
    return {.level = static_cast<uint8_t>(absl::Uniform(gen, 0, 9))};
  }
};
struct Weights {
  static Eevdf::Attributes sample(absl::BitGenRef gen) {
    return {.weight = absl::Uniform<Weight>(gen, 0, 4000)};
  }
};

template <Policy P, typename Sample>
void check_one_group() {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    check_against_model<Groups<P, RoundRobin>, Plain<P, Sample>>(seed, 3000);
  }
}

TEST(Groups, AreTheirTasksPolicyWhereThereIsOneGroup) {
  check_one_group<RoundRobin, Slices>();
  check_one_group<FixedPriority, Priorities>();
  check_one_group<Mlfq, Levels>();
  check_one_group<Eevdf, Weights>();
}

// ---- Round robins in a tree ------------------------------------------------------------------

//     root: group 0, group 1, branch: group 2, group 3
//
// The definition: everything that has members is a line. The front of a line has its turn until its
// slice ends while it has company, or its last member is gone; then it goes to the back. Whoever's
// turn ends only because a turn above does stays at the front, and goes on with what is left of it.
struct Lines {
  using P = RoundRobins;
  using H = Harness<P>;
  using Attributes = P::Attributes;
  static constexpr int kRoot = 100;
  static constexpr int kBranch = 101;
  static constexpr int kGroup = 200;  // the first of four

  struct Line {
    int parent = 0;
    std::list<int> members;  // those runnable
    int current = -1;
    Instant until = never;  // of the current one's turn
    int rest_of = -1;
    Duration rest;
    bool yields = false;
  };

  void configure(P& policy, absl::BitGenRef gen) {
    const auto random_slice = [&] { return ticks(absl::Uniform<uint64_t>(gen, 1, 100)); };
    for (const int node : {kBranch, kGroup, kGroup + 1, kGroup + 2, kGroup + 3}) {
      slice[node] = random_slice();
      lines[node].parent = node >= kGroup + 2 ? kBranch : kRoot;
    }
    ASSERT_TRUE(policy.retune(policy.default_group(), {.slice = slice[kGroup]}, at(1)));
    ASSERT_TRUE(policy.create(branch, {.slice = slice[kBranch]}));
    ASSERT_TRUE(policy.create(groups[1], 1, {.slice = slice[kGroup + 1]}));
    ASSERT_TRUE(policy.create(groups[2], 2, {.slice = slice[kGroup + 2]}, branch, at(1)));
    ASSERT_TRUE(policy.create(groups[3], 3, {.slice = slice[kGroup + 3]}, branch, at(1)));
  }
  Attributes random_attributes(absl::BitGenRef gen) {
    return {.group = absl::Uniform<GroupNumber>(gen, 0, 5),  // there is no 4
            .task = {.slice = ticks(absl::Uniform<uint64_t>(gen, 0, 60))}};
  }
  std::optional<Attributes> accepts(const Attributes& a) {
    if (a.group > 3 || a.task.slice == Duration{}) return std::nullopt;
    return a;
  }

  void detach(int) {}
  void enqueue(int e, const Attributes& a, Enter, Instant now) {
    slice[e] = a.task.slice;
    lines[e].parent = kGroup + a.group;
    contention = never;
    enter(e, now);
  }
  void enter(int member, Instant now) {
    Line& line = lines[lines[member].parent];
    line.members.push_back(member);
    if (line.current >= 0) {
      contention = now + slice[line.current];
      line.until = std::min(line.until, contention);
    }
    if (line.members.size() == 1 && lines[member].parent != kRoot) {
      enter(lines[member].parent, now);
    }
  }
  void dequeue(int member, Leave, Instant) {
    Line& line = lines[lines[member].parent];
    line.members.remove(member);
    if (line.current == member) {
      line.current = -1;
      line.yields = false;
    }
    if (line.rest_of == member) line.rest_of = -1;
    if (line.members.empty() && lines[member].parent != kRoot) {
      dequeue(lines[member].parent, Leave::blocked, {});
    }
  }
  void end_turn(Line& line, Pause why, Instant now) {
    line.rest_of = -1;
    if (why != Pause::preempted) {
      line.members.splice(line.members.end(), line.members, line.members.begin());
    } else if (line.until != never) {
      line.rest_of = line.current;
      line.rest = std::max(line.until - now, ticks(1));
    }
    line.current = -1;
    line.yields = false;
  }
  void put_back(int e, Pause why, Instant now) {
    Line& line = lines[lines[e].parent];
    if (why == Pause::timed_out && now < line.until) why = Pause::preempted;
    if (why == Pause::yielded && line.members.size() == 1) {
      for (int above = lines[e].parent; above != kRoot; above = lines[above].parent) {
        Line& wider = lines[lines[above].parent];
        if (wider.members.size() == 1) continue;
        wider.yields = true;
        why = now < line.until ? Pause::preempted : Pause::timed_out;
        break;
      }
    }
    end_turn(line, why, now);
  }
  void end_turns(int above, Instant now) {
    Line& line = lines[above];
    const int below = line.current;
    if (below < kRoot) return;  // nobody, or a task: its turn has ended
    end_turn(line,
             line.yields         ? Pause::yielded
             : now >= line.until ? Pause::timed_out
                                 : Pause::preempted,
             now);
    end_turns(below, now);
  }
  H::Answer pick(Instant now) {
    if (lines[kRoot].members.empty()) return {};
    Instant until = never;
    int at = kRoot;
    while (at >= kRoot) {
      Line& line = lines[at];
      if (line.current >= kRoot && (now >= line.until || line.yields)) end_turns(at, now);
      if (line.current < kRoot) {
        line.current = line.members.front();
        line.until = line.members.size() == 1 ? never : now + slice[line.current];
        if (line.rest_of == line.current) line.until = std::min(line.until, now + line.rest);
        if (line.rest_of != line.current) line.rest_of = -1;
      }
      until = std::min(until, line.until);
      at = line.current;
    }
    return {at, until};
  }
  Instant contend(int entered, int current, Instant now) {
    if (lines[entered].parent != lines[current].parent) return contention;
    return now + slice[current];
  }

  absl::btree_map<int, Line> lines;
  absl::btree_map<int, Duration> slice;
  Instant contention = never;
  P::Branch branch;
  std::array<P::Group, 4> groups;
};

TEST(Groups, MatchLinesOfLines) {
  for (uint64_t seed = 1; seed <= 30; ++seed) check_against_model<RoundRobins, Lines>(seed, 3000);
}

// ---- The rules of every policy -----------------------------------------------------------------

//     root: group 0, group 1, branch: group 2, group 3
template <Policy P, Policy Q>
class Tree4 : public Groups<P, Q> {
 public:
  using Base = Groups<P, Q>;
  std::array<typename Base::Group, 3> groups;
  typename Base::Branch branch;

  void plant(const typename Q::Attributes& of_group, const typename Q::Attributes& of_branch) {
    EXPECT_TRUE(this->create(branch, of_branch));
    EXPECT_TRUE(this->create(groups[0], 1, of_group));
    EXPECT_TRUE(this->create(groups[1], 2, of_group, branch, at(0)));
    EXPECT_TRUE(this->create(groups[2], 3, of_branch, branch, at(0)));
  }
};

template <typename T, typename TaskSubject>
struct TreeSubject : conformance::Subject<T> {
  static T::Attributes sample(conformance::Source& source) {
    return {.group = static_cast<GroupNumber>(source.below(5)),
            .task = TaskSubject::sample(source)};
  }
};

struct SliceSubject {
  static RoundRobin::Attributes sample(conformance::Source& source) {
    return {.slice = Duration{source.below(60)}};
  }
};
struct WeightSubject {
  static Eevdf::Attributes sample(conformance::Source& source) {
    return {.weight = static_cast<Weight>(source.below(5000)), .slice = {source.below(50)}};
  }
};
struct BudgetSubject {
  static Budgeted<RoundRobin>::Attributes sample(conformance::Source& source) {
    return {.inner = SliceSubject::sample(source),
            .budget = Duration{source.below(20)},
            .period = Duration{source.below(200)}};
  }
};

struct RoundRobinTree : TreeSubject<Tree4<RoundRobin, RoundRobin>, SliceSubject> {
  static void begin(Tested& tree) { tree.plant({.slice = ticks(15)}, {.slice = ticks(40)}); }
  static void act(Tested& tree, conformance::Source& source, Instant now) {
    const auto i = source.below(3);
    if (source.below(2) == 0) {
      (void)tree.retune(tree.groups[i], {.slice = Duration{source.below(60)}}, now);
    } else {
      (void)tree.move(tree.groups[i], source.below(2) == 0 ? tree.root() : tree.branch, now);
    }
  }
};
struct FairTree : TreeSubject<Tree4<Eevdf, Eevdf>, WeightSubject> {
  static constexpr bool kKeepsTurn = false;
  static void begin(Tested& tree) { tree.plant({.weight = 100}, {.weight = 3000}); }
  static void act(Tested& tree, conformance::Source& source, Instant now) {
    (void)tree.move(tree.groups[source.below(3)], source.below(2) == 0 ? tree.root() : tree.branch,
                    now);
  }
};
struct QuotaTree : TreeSubject<Tree4<Budgeted<RoundRobin>, Budgeted<Eevdf>>, BudgetSubject> {
  static constexpr bool kKeepsTurn = false;
  static void begin(Tested& tree) {
    tree.plant({.budget = ticks(10), .period = ticks(50)},
               {.budget = ticks(5), .period = ticks(9)});
  }
  static void act(Tested& tree, conformance::Source& source, Instant now) {
    (void)tree.move(tree.groups[source.below(3)], source.below(2) == 0 ? tree.root() : tree.branch,
                    now);
  }
};

TEST(Groups, KeepTheRulesOfEveryPolicy) {
  conforms<RoundRobinTree>();
  conforms<FairTree>();
  conforms<QuotaTree>();
}

}  // namespace
}  // namespace sched::test
