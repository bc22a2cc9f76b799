// Naive models of policies and of what is made of them, to be composed as they are: each is written
// from its definition, tick by tick and with ordered containers, and knows nothing of the other.
//
// A model has, for tasks that it knows by number,
//
//     using P                                    what it is the model of
//     using Attributes                           P's
//     static Attributes random_attributes(gen)   sometimes wrong
//     static bool accepts(Attributes)
//     void configure(P&, gen)                    sets up the policy and the model alike
//     void attach(e, Attributes)
//     void enqueue(e, Enter, now)  dequeue(e, Leave, now)  put_back(e, Pause, now)  ran(e, from,
//     to) Picked pick(now) Instant contend(entered, current, now) void taken(now)  given_back(now)

#ifndef BATON_TESTS_SCHED_POLICY_COMPOSE_MODELS_H_
#define BATON_TESTS_SCHED_POLICY_COMPOSE_MODELS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/random/bit_gen_ref.h"
#include "absl/random/distributions.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/classes.h"
#include "sched/policy/fifo.h"
#include "sched/policy/policy.h"
#include "sched/policy/round_robin.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {

inline constexpr int kNobody = -1;

struct Picked {
  int entity = kNobody;
  Instant until = never;
};

/// A line. Who yields goes to its end.
struct FifoModel {
  using P = Fifo;
  using Attributes = Fifo::Attributes;

  static Attributes random_attributes(absl::BitGenRef) { return {}; }
  static bool accepts(const Attributes&) { return true; }
  void configure(P&, absl::BitGenRef) {}
  void attach(int, const Attributes&) {}
  void enqueue(int e, Enter, Instant) { line.push_back(e); }
  void dequeue(int e, Leave, Instant) { line.remove(e); }
  void put_back(int e, Pause why, Instant) {
    if (why != Pause::yielded) return;
    line.remove(e);
    line.push_back(e);
  }
  void ran(int, Instant, Instant) {}
  Picked pick(Instant) { return {line.empty() ? kNobody : line.front(), never}; }
  Instant contend(int, int, Instant) { return never; }
  void taken(Instant) {}
  void given_back(Instant) {}

  std::list<int> line;
};

/// A line with slices. Who has used up his goes to its end, too; who is preempted has the rest of
/// it left.
struct RoundRobinModel {
  using P = RoundRobin;
  using Attributes = RoundRobin::Attributes;

  static Attributes random_attributes(absl::BitGenRef gen) {
    return {.slice = ticks(absl::Uniform<uint64_t>(gen, 0, 100))};
  }
  static bool accepts(const Attributes& attributes) { return attributes.slice != Duration{}; }
  void configure(P&, absl::BitGenRef) {}
  void attach(int e, const Attributes& attributes) { slice[e] = attributes.slice; }
  void enqueue(int e, Enter, Instant) { line.push_back(e); }
  void dequeue(int e, Leave, Instant) {
    line.remove(e);
    left.erase(e);
  }
  void put_back(int e, Pause why, Instant now) {
    if (why == Pause::preempted) {
      if (end != never) left[e] = std::max(end - now, ticks(1));
      return;
    }
    line.remove(e);
    line.push_back(e);
  }
  void ran(int, Instant, Instant) {}
  Picked pick(Instant now) {
    if (line.empty()) return {};
    const int front = line.front();
    end = line.size() == 1 ? never : now + (left.contains(front) ? left[front] : slice[front]);
    left.erase(front);
    return {front, end};
  }
  Instant contend(int, int current, Instant now) {
    end = std::min(end, now + slice[current]);
    return now + slice[current];
  }
  void taken(Instant) {}
  void given_back(Instant) {}

  std::list<int> line;
  absl::btree_map<int, Duration> slice;
  absl::btree_map<int, Duration> left;
  Instant end = never;  // of the turn
};

/// A part and its turn. A turn that the part has not asked to end goes on if the part is picked
/// from again at the instant at which it was interrupted.
template <typename M>
struct SeatModel {
  using P = typename M::P;
  using Attributes = typename M::Attributes;

  void enqueue(int e, Enter why, Instant now) {
    part.enqueue(e, why, now);
    if (interrupted) contend(e, turn.entity, now);
  }
  void dequeue(int e, Leave why, Instant now) {
    part.dequeue(e, why, now);
    if (e == turn.entity) end_turn();
  }
  void put_back(int e, Pause why, Instant now) {
    if (why != Pause::yielded && now < turn.until) {
      interrupted = now;
      return;
    }
    part.put_back(e, why, now);
    end_turn();
  }
  Picked pick(Instant now) {
    if (turn.entity != kNobody && now < turn.until && interrupted.value_or(now) == now) {
      interrupted.reset();
      return turn;
    }
    settle(now);
    if (is_taken) part.given_back(now);
    is_taken = false;
    return turn = part.pick(now);
  }
  Instant contend(int entered, int current, Instant now) {
    const Instant until = part.contend(entered, current, now);
    turn.until = std::min(turn.until, until);
    return until;
  }
  void taken(Instant now) {
    settle(now);
    if (!is_taken) part.taken(now);
    is_taken = true;
  }
  void settle(Instant now) {
    if (!interrupted) return;
    part.put_back(turn.entity, Pause::preempted, now);
    end_turn();
  }
  void end_turn() {
    turn = {};
    interrupted.reset();
  }

  M part;
  Picked turn;
  std::optional<Instant> interrupted;
  bool is_taken = false;
};

/// A task may use a tick if, with it, it uses at most its budget in the kPeriod ticks that end
/// there. Every tick in which it ran is remembered by itself; of more than its budget the oldest
/// are forgotten.
template <typename M, uint64_t kPeriod = 200>
struct BudgetModel {
  // Never so many stretches that any are taken together.
  using P = Budgeted<typename M::P, 64>;
  using Attributes = typename P::Attributes;

  struct Task {
    Attributes attributes;
    absl::btree_set<uint64_t> used;
    bool is_held = false;
  };

  static Attributes random_attributes(absl::BitGenRef gen) {
    const typename M::Attributes inner = M::random_attributes(gen);
    switch (absl::Uniform(gen, 0, 12)) {
      case 0: return {.inner = inner, .budget = {}, .period = {}};
      case 1: return {.inner = inner, .budget = forever, .period = ticks(kPeriod)};
      case 2: return {.inner = inner, .budget = ticks(kPeriod + 1), .period = ticks(kPeriod)};
      case 3: return {.inner = inner, .budget = ticks(kPeriod), .period = ticks(kPeriod)};
      default:
        return {.inner = inner,
                .budget = ticks(absl::Uniform<uint64_t>(gen, 1, 60)),
                .period = ticks(kPeriod)};
    }
  }
  static bool accepts(const Attributes& attributes) {
    return M::accepts(attributes.inner) && attributes.budget != ticks(kPeriod + 1);
  }
  void configure(P& policy, absl::BitGenRef gen) { seat.part.configure(policy.inner(), gen); }

  void attach(int e, const Attributes& attributes) {
    tasks[e].attributes = attributes;
    seat.part.attach(e, attributes.inner);
  }
  void enqueue(int e, Enter why, Instant now) {
    Task& task = tasks[e];
    if (why == Enter::created) task.used.clear();
    if (may_run(task, now.ticks)) return seat.enqueue(e, why, now);
    hold(e, now);
  }
  void dequeue(int e, Leave why, Instant now) {
    if (!tasks[e].is_held) return seat.dequeue(e, why, now);
    absl::erase_if(held, [e](const auto& one) { return std::get<2>(one) == e; });
    tasks[e].is_held = false;
  }
  void put_back(int e, Pause why, Instant now) {
    if (may_run(tasks[e], now.ticks)) return seat.put_back(e, why, now);
    seat.dequeue(e, Leave::moved, now);
    hold(e, now);
  }
  void ran(int e, Instant from, Instant to) {
    seat.part.ran(e, from, to);
    Task& task = tasks[e];
    if (!has_limit(task)) return;
    for (uint64_t t = from.ticks; t < to.ticks; ++t) task.used.insert(t);
    task.used.erase(task.used.begin(), task.used.lower_bound(first_counted(to.ticks)));
    while (task.used.size() > task.attributes.budget.ticks) task.used.erase(task.used.begin());
  }
  Picked pick(Instant now) {
    while (!held.empty() && std::get<0>(*held.begin()) <= now.ticks) {
      const int e = std::get<2>(*held.begin());
      held.erase(held.begin());
      tasks[e].is_held = false;
      seat.enqueue(e, Enter::moved, now);
    }
    Picked picked = seat.pick(now);
    if (!held.empty()) picked.until = std::min(picked.until, at(std::get<0>(*held.begin())));
    if (picked.entity != kNobody) {
      picked.until = std::min(picked.until, end_of_run(tasks[picked.entity], now));
    }
    return picked;
  }
  Instant contend(int entered, int current, Instant now) {
    for (const auto& [release, number, e] : held) {
      if (e == entered) return at(release);
    }
    return seat.contend(entered, current, now);
  }
  void taken(Instant now) { seat.taken(now); }
  void given_back(Instant) {}

  static bool has_limit(const Task& task) {
    return task.attributes.budget != Duration{} && task.attributes.budget != forever;
  }
  static uint64_t first_counted(uint64_t now) { return now + 1 > kPeriod ? now + 1 - kPeriod : 0; }
  static bool may_run(const Task& task, uint64_t now) {
    if (!has_limit(task)) return true;
    const auto first = task.used.lower_bound(first_counted(now));
    return static_cast<uint64_t>(std::distance(first, task.used.end())) <
           task.attributes.budget.ticks;
  }
  // When it may not go on if it runs from `now`.
  static Instant end_of_run(const Task& task, Instant now) {
    if (!has_limit(task)) return never;
    uint64_t t = now.ticks;
    auto leaving = task.used.lower_bound(first_counted(t));
    uint64_t in_window = static_cast<uint64_t>(std::distance(leaving, task.used.end()));
    while (true) {
      for (; leaving != task.used.end() && *leaving < first_counted(t); ++leaving) --in_window;
      // None of its own ticks from `now` on leaves before it has run for a period.
      if (in_window == task.attributes.budget.ticks) return at(t);
      ++in_window;
      ++t;
    }
  }
  void hold(int e, Instant now) {
    uint64_t release = now.ticks;
    while (!may_run(tasks[e], release)) ++release;
    held.insert({release, next_number++, e});
    tasks[e].is_held = true;
  }

  SeatModel<M> seat;
  absl::btree_map<int, Task> tasks;
  absl::btree_set<std::tuple<uint64_t, uint64_t, int>> held;  // until when, number, entity
  uint64_t next_number = 0;
};

/// One boundary: the ticks of its present window in which somebody below ran, one by one.
struct BoundaryModel {
  uint64_t amount = 0;
  uint64_t period = 0;
  int waiting = 0;
  std::optional<uint64_t> start;
  absl::btree_set<uint64_t> used;

  void enter(uint64_t now) {
    advance(now);
    if (waiting++ == 0 && (!start || now >= *start + period)) open(now);
  }
  void advance(uint64_t now) {
    if (amount == 0 || waiting == 0) return;
    while (now >= *start + period) open(*start + period);
  }
  void open(uint64_t when) {
    start = when;
    used.erase(used.begin(), used.lower_bound(when));
  }
  uint64_t missing() const { return used.size() < amount ? amount - used.size() : 0; }
  bool presses(uint64_t now) const {
    return waiting != 0 && missing() != 0 && *start + period - now <= missing();
  }
  // The first instant after `now` at which it presses, or presses no longer, if a task runs.
  uint64_t next_change(uint64_t now, bool is_below) const {
    if (amount == 0 || waiting == 0) return never.ticks;
    if (is_below) return presses(now) ? *start + period : never.ticks;
    if (presses(now)) return never.ticks;
    BoundaryModel later = *this;
    for (uint64_t t = now + 1;; ++t) {
      later.advance(t);
      if (later.presses(t)) return t;
    }
  }
};

/// Of all classes that have somebody to run the first in order: from the lowest boundary that
/// presses downwards, then from the next such, then from the top.
template <typename... Ms>
struct ClassesModel {
  using P = Classes<typename Ms::P...>;
  using Attributes = typename P::Attributes;
  static constexpr size_t kCount = sizeof...(Ms);

  template <size_t k>
  using ModelOf = std::tuple_element_t<k, std::tuple<Ms...>>;

  static Attributes random_attributes(absl::BitGenRef gen) {
    Attributes attributes;
    with(absl::Uniform<size_t>(gen, 0, kCount), [&]<size_t k>(std::integral_constant<size_t, k>) {
      attributes = P::template in<k>(ModelOf<k>::random_attributes(gen));
    });
    return attributes;
  }
  static bool accepts(const Attributes& attributes) {
    bool accepted = false;
    with(attributes.index(), [&]<size_t k>(std::integral_constant<size_t, k>) {
      accepted = ModelOf<k>::accepts(attributes.template get<k>());
    });
    return accepted;
  }
  void configure(P& policy, absl::BitGenRef gen) {
    [&]<size_t... k>(std::index_sequence<k...>) {
      (std::get<k>(seats).part.configure(policy.template part<k>(), gen), ...);
    }(std::make_index_sequence<kCount>{});
    [&]<size_t... b>(std::index_sequence<b...>) {
      (set_reserve<b>(policy, gen), ...);
    }(std::make_index_sequence<kCount - 1>{});
  }
  template <size_t b>
  void set_reserve(P& policy, absl::BitGenRef gen) {
    BoundaryModel& boundary = boundaries[b];
    boundary.period = absl::Uniform<uint64_t>(gen, 20, 300);
    boundary.amount = absl::Uniform<uint64_t>(gen, 0, boundary.period / 2);
    EXPECT_TRUE(
        policy.template set_reserve_below<b>(ticks(boundary.amount), ticks(boundary.period)));
  }

  void attach(int e, const Attributes& attributes) {
    const auto [known, is_new] = class_of.insert({e, attributes.index()});
    if (!is_new && known->second != attributes.index()) new_to_class.insert(e);
    known->second = attributes.index();
    with(attributes.index(), [&]<size_t k>(std::integral_constant<size_t, k>) {
      std::get<k>(seats).part.attach(e, attributes.template get<k>());
    });
  }
  void enqueue(int e, Enter why, Instant now) {
    if (new_to_class.erase(e) != 0) why = Enter::created;
    in_seat(e, [&](auto& seat) { seat.enqueue(e, why, now); });
    for (size_t b = 0; b < class_of[e]; ++b) {
      if (boundaries[b].amount != 0) boundaries[b].enter(own(now));
    }
  }
  void dequeue(int e, Leave why, Instant now) {
    in_seat(e, [&](auto& seat) { seat.dequeue(e, why, now); });
    for (size_t b = 0; b < class_of[e]; ++b) {
      boundaries[b].advance(own(now));
      --boundaries[b].waiting;
    }
  }
  void put_back(int e, Pause why, Instant now) {
    in_seat(e, [&](auto& seat) { seat.put_back(e, why, now); });
  }
  void ran(int e, Instant from, Instant to) {
    in_seat(e, [&](auto& seat) { seat.part.ran(e, from, to); });
    for (size_t b = 0; b < class_of[e]; ++b) {
      for (uint64_t t = own(from); t < own(to); ++t) boundaries[b].used.insert(t);
    }
    for (BoundaryModel& boundary : boundaries) {
      boundary.advance(own(to));
      if (boundary.start) boundary.open(*boundary.start);  // forgets the ticks before it
    }
  }
  Picked pick(Instant now) {
    for (BoundaryModel& boundary : boundaries) boundary.advance(own(now));
    Picked picked;
    for (const size_t c : order(now)) {
      with(c, [&]<size_t k>(std::integral_constant<size_t, k>) {
        if (picked.entity != kNobody) return std::get<k>(seats).taken(now);
        const Picked found = std::get<k>(seats).pick(now);
        picked = {found.entity, std::min(picked.until, found.until)};
        if (found.entity != kNobody) {
          picked.until = std::min(picked.until, next_change(c, now));
        }
      });
    }
    return picked;
  }
  Instant contend(int entered, int current, Instant now) {
    for (BoundaryModel& boundary : boundaries) boundary.advance(own(now));
    Instant until = never;
    if (class_of[entered] == class_of[current]) {
      in_seat(current, [&](auto& seat) { until = seat.contend(entered, current, now); });
      return until;
    }
    const auto line = order(now);
    if (std::ranges::find(line, class_of[entered]) < std::ranges::find(line, class_of[current])) {
      return now;
    }
    return next_change(class_of[current], now);
  }
  void taken(Instant now) {
    taken_at = now;
    std::apply([&](auto&... seat) { (seat.taken(now), ...); }, seats);
  }
  void given_back(Instant now) {
    lost += now.ticks - taken_at->ticks;
    taken_at.reset();
  }

  // The time that the composition has had.
  uint64_t own(Instant now) const { return taken_at.value_or(now).ticks - lost; }
  std::vector<size_t> order(Instant now) const {
    std::vector<size_t> line;
    const auto append = [&](size_t begin, size_t end) {
      for (size_t c = begin; c < end; ++c) {
        if (std::ranges::find(line, c) == line.end()) line.push_back(c);
      }
    };
    for (size_t b = boundaries.size(); b-- > 0;) {
      if (boundaries[b].presses(own(now))) append(b + 1, kCount);
    }
    append(0, kCount);
    return line;
  }
  Instant next_change(size_t running, Instant now) const {
    uint64_t next = never.ticks;
    for (size_t b = 0; b < boundaries.size(); ++b) {
      next = std::min(next, boundaries[b].next_change(own(now), b < running));
    }
    return next == never.ticks ? never : at(next + lost);
  }

  template <size_t k = 0, typename F>
  static void with(size_t index, F f) {
    if (index == k) return f(std::integral_constant<size_t, k>{});
    if constexpr (k + 1 < kCount) with<k + 1>(index, f);
  }
  template <typename F>
  void in_seat(int e, F f) {
    with(class_of[e], [&]<size_t k>(std::integral_constant<size_t, k>) { f(std::get<k>(seats)); });
  }

  std::tuple<SeatModel<Ms>...> seats;
  std::array<BoundaryModel, kCount - 1> boundaries;
  absl::btree_map<int, size_t> class_of;
  absl::btree_set<int> new_to_class;
  uint64_t lost = 0;
  std::optional<Instant> taken_at;
};

/// A model in the shape that `check_against_model` asks for.
template <typename M>
struct Checked : M {
  using typename M::Attributes;
  using Answer = typename Harness<typename M::P>::Answer;

  static std::optional<Attributes> accepts(const Attributes& attributes) {
    return M::accepts(attributes) ? std::optional(attributes) : std::nullopt;
  }
  void enqueue(int e, const Attributes&, Enter why, Instant now) { M::enqueue(e, why, now); }
  Answer pick(Instant now) {
    const Picked picked = M::pick(now);
    return {picked.entity, picked.until};
  }
};

/// Puts the policy that `M` is a model of through random actions.
template <typename M>
void check_composition(uint64_t seeds, int actions) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    check_against_model<typename M::P, Checked<M>>(seed, actions);
  }
}

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_POLICY_COMPOSE_MODELS_H_
