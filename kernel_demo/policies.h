// What differs between the policies, for code that is the same under all of them: their names, how
// this kernel uses their attributes, and what each promises to tasks that only compute.
//
// `rank` counts upward from 0: under fixed priorities a larger one is more urgent; the other
// policies do not look at it. `slice` is the length of turns, where a task has one of its own.

#ifndef BATON_KERNEL_DEMO_POLICIES_H_
#define BATON_KERNEL_DEMO_POLICIES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernel_demo/arguments.h"
#include "kernel_demo/machine.h"
#include "kernel_demo/text.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/classes.h"
#include "sched/policy/dynamic.h"
#include "sched/policy/edf.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/global.h"
#include "sched/policy/groups.h"
#include "sched/policy/lottery.h"
#include "sched/policy/mlfq.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/stride.h"
#include "sched/policy/vtime.h"

namespace demo {

/// Above every task that does the work: the one that has them do it.
inline constexpr uint8_t kTopRank = 255;

/// Turns where a run does not say how long they are.
inline constexpr uint64_t kUsualSliceMs = 5;

/// What tasks that never stop by themselves can rely on.
enum class Promise : uint8_t {
  arrival,   ///< who came first runs first, and to its end
  priority,  ///< the highest runs first, and to its end
  shares,    ///< all advance together, each by its share
};

/// The one number that a person can set of a task's attributes.
struct Knob {
  const char* column;  ///< short: above what it is set to
  const char* number;  ///< what the number is; empty where nothing can be set
  unsigned least;
  unsigned most;
};

/// How this kernel uses policy `P`:
///
///     kName, kPromise
///     kKnob                       what can be set; its number has no name where nothing can
///     set(attributes, number)     sets it
///     describe(attributes)        how it is set
///     attributes(rank, slice)     of a task that has some rank among others
///     worker(i, count, slice)     of the i-th of `count` tasks that only compute
///     parts(i, count)             its share, in parts of any size (`Promise::shares`)
///     tolerance(turns)            by how much of itself a share may be off, in hundredths of a
///                                 percent, after so many turns of all together
///     prepare(policy, slice)      sets the policy itself up, before anything runs
///     join(policy, cpu)           where a policy has something to join: before its CPU starts
template <typename Policy>
struct PolicyTraits;

/// For those whose tasks are all alike.
struct Equal {
  static constexpr Promise kPromise = Promise::shares;
  static uint64_t parts(unsigned, unsigned) { return 1; }
  static uint64_t tolerance(uint64_t) { return 100; }
};

/// For those whose tasks have a weight, `kWeight` of their attributes: one to four parts each.
template <typename P, sched::Weight P::Attributes::* kWeight>
struct Weighted {
  using Attributes = typename P::Attributes;
  static constexpr Promise kPromise = Promise::shares;
  static constexpr Knob kKnob = {"weight", "weight", 1, sched::kMaxWeight};
  static void set(Attributes& attributes, unsigned weight) { attributes.*kWeight = weight; }
  static Text describe(const Attributes& attributes) { return Text("{}", attributes.*kWeight); }
  static Attributes attributes(uint8_t, Duration) { return {}; }
  static Attributes worker(unsigned i, unsigned count, Duration) {
    Attributes attributes;
    set(attributes, static_cast<unsigned>(parts(i, count)) * sched::kNormalWeight);
    return attributes;
  }
  static uint64_t parts(unsigned i, unsigned) { return 1 + i % 4; }
  static uint64_t tolerance(uint64_t) { return 100; }
};

template <>
struct PolicyTraits<sched::Fifo> {
  using Attributes = sched::Fifo::Attributes;
  static constexpr const char* kName = "fifo";
  static constexpr Promise kPromise = Promise::arrival;
  static constexpr Knob kKnob = {"turns", "", 0, 0};
  static void set(Attributes&, unsigned) {}
  static Text describe(const Attributes&) { return Text("in turn"); }
  static Attributes attributes(uint8_t, Duration) { return {}; }
  static Attributes worker(unsigned, unsigned, Duration) { return {}; }
  static void prepare(sched::Fifo&, Duration) {}
};

template <>
struct PolicyTraits<sched::RoundRobin> : Equal {
  using Attributes = sched::RoundRobin::Attributes;
  static constexpr const char* kName = "round_robin";
  static constexpr Knob kKnob = {"turns", "turn in ms", 1, 1'000};
  static void set(Attributes& attributes, unsigned ms) { attributes.slice = milliseconds(ms); }
  static Text describe(const Attributes& attributes) {
    return attributes.slice == hal::forever ? Text("slice none") : to_text(attributes.slice);
  }
  static Attributes attributes(uint8_t, Duration slice) { return {.slice = slice}; }
  static Attributes worker(unsigned, unsigned, Duration slice) { return {.slice = slice}; }
  static void prepare(sched::RoundRobin&, Duration) {}
};

/// Both kinds of fixed priorities. No number is above the top rank's but the shell's own.
template <typename P>
struct Priorities {
  using Attributes = typename P::Attributes;
  static constexpr Promise kPromise = Promise::priority;
  static constexpr Knob kKnob = {"priority", "priority", 0, kTopRank - 1};
  static void set(Attributes& attributes, unsigned priority) {
    attributes.priority = static_cast<uint16_t>(priority);
  }
  static Attributes attributes(uint8_t rank, Duration) { return {.priority = rank}; }
  /// A permutation in which neighbours differ: arrival is not the order of priority.
  static Attributes worker(unsigned i, unsigned count, Duration slice) {
    const unsigned place = i % 2 == 0 ? i / 2 : (count + 1) / 2 + i / 2;
    return attributes(static_cast<uint8_t>(10 * (place + 1)), slice);
  }
  static void prepare(P&, Duration) {}
};

template <>
struct PolicyTraits<sched::FixedPriority> : Priorities<sched::FixedPriority> {
  static constexpr const char* kName = "fixed_priority";
  static Text describe(const Attributes& attributes) { return Text("{}", attributes.priority); }
};

template <>
struct PolicyTraits<sched::FixedPriorityThreshold> : Priorities<sched::FixedPriorityThreshold> {
  static constexpr const char* kName = "fixed_priority with thresholds";
  static Text describe(const Attributes& attributes) {
    return Text("{} to {}", attributes.priority, attributes.threshold);
  }
};

template <>
struct PolicyTraits<sched::Mlfq> : Equal {
  using Attributes = sched::Mlfq::Attributes;
  static constexpr const char* kName = "mlfq";
  static constexpr Knob kKnob = {"level", "level", 0, sched::Mlfq::kLevels - 1};
  static void set(Attributes& attributes, unsigned level) {
    attributes.level = static_cast<uint8_t>(level);
  }
  static Text describe(const Attributes& attributes) { return Text("from {}", attributes.level); }
  static Attributes attributes(uint8_t, Duration) { return {}; }
  static Attributes worker(unsigned, unsigned, Duration) { return {}; }
  static void prepare(sched::Mlfq& policy, Duration slice) {
    for (uint8_t i = 0; i < sched::Mlfq::kLevels; ++i) policy.set_quantum(i, slice);
    policy.set_boost(milliseconds(200));
  }
};

template <>
struct PolicyTraits<sched::Stride> : Weighted<sched::Stride, &sched::Stride::Attributes::tickets> {
  static constexpr const char* kName = "stride";
  static void prepare(sched::Stride& policy, Duration slice) { policy.set_quantum(slice); }
};

template <>
struct PolicyTraits<sched::Lottery>
    : Weighted<sched::Lottery, &sched::Lottery::Attributes::tickets> {
  static constexpr const char* kName = "lottery";
  /// Four standard deviations of what chance does to as many draws as one part has won.
  static uint64_t tolerance(uint64_t turns) {
    uint64_t root = 1;
    while (root * root < turns) ++root;
    return 40'000 / root;
  }
  static void prepare(sched::Lottery& policy, Duration slice) { policy.set_quantum(slice); }
};

template <>
struct PolicyTraits<sched::Eevdf> : Weighted<sched::Eevdf, &sched::Eevdf::Attributes::weight> {
  static constexpr const char* kName = "eevdf";
  static void prepare(sched::Eevdf& policy, Duration slice) { policy.set_slice(slice); }
};

template <>
struct PolicyTraits<sched::Vtime> : Weighted<sched::Vtime, &sched::Vtime::Attributes::weight> {
  static constexpr const char* kName = "vtime";
  static void prepare(sched::Vtime& policy, Duration slice) { policy.set_slice(slice); }
};

/// `part` of `whole`, as "12.50 %".
inline Text percent(Duration part, Duration whole) {
  return Text("{} %", hundredths((part.ticks * 10'000 + whole.ticks / 2) / whole.ticks));
}

template <>
struct PolicyTraits<sched::Edf> {
  using Attributes = sched::Edf::Attributes;
  static constexpr const char* kName = "edf";
  static constexpr Promise kPromise = Promise::shares;
  static constexpr Knob kKnob = {"reserved", "percent", 1, 50};
  static void set(Attributes& attributes, unsigned percent) {
    attributes = reserve(percent, 100, milliseconds(20));
  }
  static Text describe(const Attributes& attributes) {
    return percent(attributes.runtime, attributes.period);
  }
  /// Whoever is above all others has a tenth of the CPU, everybody else a fiftieth.
  static Attributes attributes(uint8_t rank, Duration) {
    return rank == kTopRank ? reserve(1, 10, milliseconds(2)) : reserve(1, 50, milliseconds(20));
  }
  /// Seven tenths of the CPU for all together.
  static Attributes worker(unsigned i, unsigned count, Duration) {
    uint64_t all = 0;
    for (unsigned k = 0; k < count; ++k) all += parts(k, count);
    return reserve(7 * parts(i, count), 10 * all, milliseconds(4));
  }
  static uint64_t parts(unsigned i, unsigned) { return 1 + i % 4; }
  static uint64_t tolerance(uint64_t) { return 100; }
  static void prepare(sched::Edf&, Duration) {}

  /// `part` of `of` of the CPU.
  static Attributes reserve(uint64_t part, uint64_t of, Duration period) {
    return {.runtime = {period.ticks * part / of}, .period = period};
  }
};

/// Tasks with deadlines before those with shares.
using DeadlinesAndShares = sched::Classes<sched::Edf, sched::Eevdf>;

template <>
struct PolicyTraits<DeadlinesAndShares> {
  using Attributes = DeadlinesAndShares::Attributes;
  using Deadlines = PolicyTraits<sched::Edf>;
  using Shares = PolicyTraits<sched::Eevdf>;
  static constexpr const char* kName = "classes";
  static constexpr Promise kPromise = Promise::shares;
  static constexpr Knob kKnob = Shares::kKnob;
  static void set(Attributes& attributes, unsigned weight) {
    sched::Eevdf::Attributes shares;
    Shares::set(shares, weight);
    attributes = DeadlinesAndShares::in<1>(shares);
  }
  static Text describe(const Attributes& attributes) {
    return attributes.index() == 0 ? Deadlines::describe(attributes.get<0>())
                                   : Shares::describe(attributes.get<1>());
  }
  static Attributes attributes(uint8_t rank, Duration slice) {
    return rank == kTopRank ? DeadlinesAndShares::in<0>(Deadlines::attributes(rank, slice))
                            : DeadlinesAndShares::in<1>(Shares::attributes(rank, slice));
  }
  /// Every fourth has a tenth of the CPU; what is left is shared equally.
  static Attributes worker(unsigned i, unsigned, Duration slice) {
    if (!has_deadline(i)) return DeadlinesAndShares::in<1>(Shares::attributes(0, slice));
    return DeadlinesAndShares::in<0>(Deadlines::reserve(1, 10, milliseconds(4)));
  }
  static uint64_t parts(unsigned i, unsigned count) {
    unsigned reserving = 0;
    for (unsigned k = 0; k < count; ++k) reserving += has_deadline(k) ? 1 : 0;
    const unsigned others = count - reserving;
    if (others == 0) return 1;
    return has_deadline(i) ? others : 10 - reserving;
  }
  static uint64_t tolerance(uint64_t) { return 100; }
  static void prepare(DeadlinesAndShares& policy, Duration slice) {
    Deadlines::prepare(policy.part<0>(), slice);
    Shares::prepare(policy.part<1>(), slice);
  }

 private:
  static bool has_deadline(unsigned i) { return i % 4 == 0; }
};

/// Priorities with a budget each.
using Sporadic = sched::Budgeted<sched::FixedPriority>;

template <>
struct PolicyTraits<Sporadic> : PolicyTraits<sched::Edf> {
  using Reserved = PolicyTraits<sched::Edf>;
  using Inner = PolicyTraits<sched::FixedPriority>;
  using Attributes = Sporadic::Attributes;
  static constexpr const char* kName = "sporadic";
  static void set(Attributes& attributes, unsigned percent) {
    sched::Edf::Attributes reserved;
    Reserved::set(reserved, percent);
    attributes.budget = reserved.runtime;
    attributes.period = reserved.period;
  }
  static Text describe(const Attributes& attributes) {
    return percent(attributes.budget, attributes.period);
  }
  static Attributes attributes(uint8_t rank, Duration slice) {
    return with_budget(rank, Reserved::attributes(rank, slice));
  }
  static Attributes worker(unsigned i, unsigned count, Duration slice) {
    return with_budget(10, Reserved::worker(i, count, slice));
  }
  static void prepare(Sporadic&, Duration) {}

 private:
  static Attributes with_budget(uint8_t priority, const sched::Edf::Attributes& reserved) {
    return {.inner = {.priority = priority}, .budget = reserved.runtime, .period = reserved.period};
  }
};

/// Two groups, the second with twice the weight of the first, and shares within each.
using Grouped = sched::Groups<sched::Eevdf, sched::Eevdf, 4>;

template <>
struct PolicyTraits<Grouped> {
  using Attributes = Grouped::Attributes;
  using Inner = PolicyTraits<sched::Eevdf>;
  static constexpr const char* kName = "groups";
  static constexpr Promise kPromise = Promise::shares;
  static constexpr Knob kKnob = {"group", "group", 0, 2};
  static void set(Attributes& attributes, unsigned group) {
    attributes.group = static_cast<sched::GroupNumber>(group);
  }
  static Text describe(const Attributes& attributes) { return Text("{}", attributes.group); }
  static Attributes attributes(uint8_t, Duration) { return {}; }
  static Attributes worker(unsigned i, unsigned, Duration) {
    return {.group = static_cast<sched::GroupNumber>(1 + i % 2)};
  }
  static uint64_t parts(unsigned i, unsigned count) {
    const unsigned first = (count + 1) / 2;
    const unsigned second = count / 2;
    if (second == 0) return 1;
    return i % 2 == 0 ? second : uint64_t{2} * first;
  }
  static uint64_t tolerance(uint64_t) { return 100; }
  static void prepare(Grouped& policy, Duration slice) {
    static constinit Grouped::Group groups[2];
    for (sched::GroupNumber i = 0; i < 2; ++i) {
      // The second time they are there already.
      (void)policy.create(groups[i], i + 1, {.weight = (1u + i) * sched::kNormalWeight});
      Inner::prepare(groups[i].tasks(), slice);
    }
    Inner::prepare(policy.root().groups(), slice);
    Inner::prepare(policy.default_group().tasks(), slice);
  }
};

/// Round robin from one queue for all CPUs.
using Shared = sched::Global<sched::RoundRobin>;

template <>
struct PolicyTraits<Shared> : PolicyTraits<sched::RoundRobin> {
  static constexpr const char* kName = "global";
  /// CPU 0 comes first: it begins anew.
  static void join(Shared& policy, hal::CpuNumber cpu) {
    static constinit Shared::Shared shared;
    if (cpu == 0) std::construct_at(&shared);
    policy.join(shared, cpu);
  }
  static void prepare(Shared&, Duration) {}
};

/// Any of these, exchanged while tasks run. In the order of `PolicyName`, of whom a policy's number
/// there is that of its name.
using Exchangeable =
    sched::Dynamic<sched::Fifo, sched::RoundRobin, sched::FixedPriority, sched::Mlfq, sched::Stride,
                   sched::Lottery, sched::Vtime, sched::Eevdf, sched::Edf>;
static_assert(static_cast<size_t>(PolicyName::edf) + 1 == Exchangeable::kPolicies);

template <typename... Ps>
struct PolicyTraits<sched::Dynamic<Ps...>> {
  using P = sched::Dynamic<Ps...>;
  using Attributes = typename P::Attributes;
  template <size_t kIndex>
  using Part = PolicyTraits<std::tuple_element_t<kIndex, std::tuple<Ps...>>>;

  static constexpr const char* kName = "exchangeable";

  /// `visit(std::integral_constant<size_t, index>())`.
  template <typename Visit>
  static void at(size_t index, Visit visit) {
    [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
      ((kIndex == index ? visit(std::integral_constant<size_t, kIndex>()) : void()), ...);
    }(std::index_sequence_for<Ps...>());
  }

  static const char* name(size_t index) {
    const char* name = "";
    at(index, [&](auto i) { name = Part<i>::kName; });
    return name;
  }
  static Knob knob(size_t index) {
    Knob knob = {};
    at(index, [&](auto i) { knob = Part<i>::kKnob; });
    return knob;
  }
  static void set(Attributes& attributes, size_t index, unsigned number) {
    at(index, [&](auto i) { Part<i>::set(attributes.template of<i>(), number); });
  }
  static Text describe(const Attributes& attributes, size_t index) {
    Text text;
    at(index, [&](auto i) { text = Part<i>::describe(attributes.template of<i>()); });
    return text;
  }

  static Attributes attributes(uint8_t rank, Duration slice) {
    Attributes attributes;
    for (size_t index = 0; index < P::kPolicies; ++index) {
      at(index, [&](auto i) { attributes.template of<i>() = Part<i>::attributes(rank, slice); });
    }
    return attributes;
  }
  static void prepare(P& policy, Duration slice) {
    at(policy.index(), [&](auto i) { Part<i>::prepare(*policy.template policy<i>(), slice); });
  }
  /// Between turns (`Scheduler::adjust`).
  static void exchange(P& policy, size_t index, Instant now, Duration slice) {
    at(index, [&](auto i) {
      policy.template swap<i>(now, [&](auto& fresh) { Part<i>::prepare(fresh, slice); });
    });
  }
};

/// `visit(std::type_identity<P>{})` with the policy of this name. `visit` never returns.
template <typename Visit>
[[noreturn]] void with_policy(PolicyName name, Visit visit) {
  switch (name) {
    case PolicyName::fifo: visit(std::type_identity<sched::Fifo>()); break;
    case PolicyName::round_robin: visit(std::type_identity<sched::RoundRobin>()); break;
    case PolicyName::fixed_priority: visit(std::type_identity<sched::FixedPriority>()); break;
    case PolicyName::mlfq: visit(std::type_identity<sched::Mlfq>()); break;
    case PolicyName::stride: visit(std::type_identity<sched::Stride>()); break;
    case PolicyName::lottery: visit(std::type_identity<sched::Lottery>()); break;
    case PolicyName::vtime: visit(std::type_identity<sched::Vtime>()); break;
    case PolicyName::eevdf: visit(std::type_identity<sched::Eevdf>()); break;
    case PolicyName::edf: visit(std::type_identity<sched::Edf>()); break;
    case PolicyName::sporadic: visit(std::type_identity<Sporadic>()); break;
    case PolicyName::classes: visit(std::type_identity<DeadlinesAndShares>()); break;
    case PolicyName::global: visit(std::type_identity<Shared>()); break;
    case PolicyName::groups: visit(std::type_identity<Grouped>()); break;
  }
  kit::panic("a policy without a name", nullptr);
}

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_POLICIES_H_
