// Earliest eligible virtual deadline first beside what it is to be: a model that adds up all clocks
// anew at every question, the bounds of the theory, and tasks that try to game it.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/weight.h"
#include "tests/sched/policy/eevdf_kit.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {
namespace {

using H = Harness<Eevdf>;
using W = Workload<Eevdf>;
using Attributes = Eevdf::Attributes;

// --- Against a model ---

// The definition: everybody's clock, and sums over all of them at every question. Clocks are wide
// enough here never to wrap.
struct Clocks {
  using P = Eevdf;

  struct Client {
    Attributes attributes;
    Int128 inherited = 0;  // of weight
    bool runs = false;     // is runnable
    bool sleeps_in_debt = false;
    Int128 clock = 0;
    Int128 remainder = 0;  // of a unit, times the weight
    Int128 deadline = 0;
    Int128 lag = 0;       // while not runnable nor in debt
    uint64_t queued = 0;  // when it began to wait, by number
  };

  void configure(P& policy, absl::BitGenRef gen) {
    quantum = absl::Uniform<uint64_t>(gen, 1, 150);
    slice = absl::Uniform<uint64_t>(gen, 1, 150);
    set_up(policy, quantum, slice);
    policy.set_virtual_time({absl::Uniform<uint64_t>(gen, 0, UINT64_MAX)});
  }
  static Attributes random_attributes(absl::BitGenRef gen) {
    Attributes attributes;
    switch (absl::Uniform(gen, 0, 12)) {
      case 0: attributes.weight = absl::Bernoulli(gen, 0.5) ? 0 : kMaxWeight + 1; break;
      case 1: attributes.weight = 1; break;
      case 2: attributes.weight = kMaxWeight; break;
      case 3: attributes.weight = absl::Uniform<Weight>(gen, 1, kMaxWeight); break;
      default: attributes.weight = weight_of_nice(absl::Uniform(gen, -20, 20));
    }
    switch (absl::Uniform(gen, 0, 8)) {
      case 0: attributes.slice = ticks(UINT32_MAX + absl::Uniform<uint64_t>(gen, 0, 2)); break;
      case 1:
      case 2: break;
      default: attributes.slice = ticks(absl::Uniform<uint64_t>(gen, 1, 200));
    }
    return attributes;
  }
  static std::optional<Attributes> accepts(const Attributes& attributes) {
    if (attributes.weight < 1 || attributes.weight > 1 << 20) return std::nullopt;
    if (attributes.slice.ticks >= uint64_t{1} << 32) return std::nullopt;
    return attributes;
  }

  Client& client(int e) { return clients[static_cast<size_t>(e)]; }
  static Int128 weight(const Client& c) {
    return std::min(c.attributes.weight + c.inherited, Int128{kMaxWeight});
  }
  uint64_t slice_of(const Client& c) const {
    return c.attributes.slice.ticks == 0 ? slice : c.attributes.slice.ticks;
  }
  Int128 request(const Client& c) const { return (Int128{slice_of(c)} << 20) / weight(c); }
  static Int128 floor_of(Int128 a, Int128 b) { return a / b - (a % b < 0); }

  Int128 load() const {
    Int128 sum = 0;
    for (const Client& c : clients) sum += c.runs ? weight(c) : 0;
    return sum;
  }
  Int128 sum_of_clocks() const {
    Int128 sum = 0;
    for (const Client& c : clients) sum += c.runs ? weight(c) * c.clock : 0;
    return sum;
  }
  Int128 average() const { return load() == 0 ? last : floor_of(sum_of_clocks(), load()); }
  bool is_eligible(const Client& c) const { return c.clock * load() <= sum_of_clocks(); }

  void attach(int e, const Attributes& attributes) {
    Client& c = client(e);
    Client fresh = c;
    fresh.attributes = attributes;
    weigh_as(c, fresh);
  }
  void detach(int e) {
    if (client(e).sleeps_in_debt) fix_debt(client(e));
    inherit(e, std::nullopt);
  }
  void inherit(int e, std::optional<P::Claim> claims) {
    Client& c = client(e);
    Client fresh = c;
    fresh.inherited = Int128{claims.value_or(0)};
    weigh_as(c, fresh);
  }
  // The same with another weight.
  void weigh_as(Client& c, const Client& fresh) {
    const bool is_other = weight(c) != weight(fresh);
    if (is_other && c.sleeps_in_debt) fix_debt(c);
    c.attributes = fresh.attributes;
    c.inherited = fresh.inherited;
    if (is_other) c.remainder = 0;
  }
  void fix_debt(Client& c) {
    c.lag = std::min(weight(c) * (average() - c.clock), Int128{0});
    c.sleeps_in_debt = false;
  }

  void enqueue(int e, const Attributes& attributes, Enter why, Instant) {
    Client& c = client(e);
    ASSERT_EQ(c.attributes, attributes);
    if (why == Enter::created) c.remainder = 0;
    const Int128 most = Int128{std::max(slice_of(c), quantum)} << 20;
    const Int128 here = average();
    if (why == Enter::created || load() == 0) {
      c.clock = here;
    } else if (c.sleeps_in_debt) {
      c.clock = std::clamp(c.clock, here, here + most / weight(c) + most / load());
    } else {
      // So that its lag is this once it is there.
      const Int128 lag = std::clamp(c.lag, -most, most);
      c.clock = here - floor_of(lag, weight(c)) - floor_of(lag, load());
    }
    c.deadline = c.clock + request(c);
    c.sleeps_in_debt = false;
    c.runs = true;
    c.queued = ++count;
  }

  void dequeue(int e, Leave why) {
    Client& c = client(e);
    const Int128 here = average();
    c.runs = false;
    if (e == held) {
      held = H::kNobody;
      goes_on = yielded = false;
    }
    if (e == favoured) favoured = H::kNobody;
    c.lag = why == Leave::exited ? 0 : weight(c) * (here - c.clock);
    if (why == Leave::exited) c.inherited = 0;
    c.sleeps_in_debt = why == Leave::blocked && c.lag < 0;
    if (load() == 0) {
      last = c.clock;
      c.lag = 0;
      for (Client& other : clients) {
        if (other.sleeps_in_debt) other.lag = 0;
        other.sleeps_in_debt = false;
      }
    }
  }

  void put_back(int, Pause why) {
    if (why != Pause::preempted) goes_on = false;
    yielded = why == Pause::yielded;
  }
  void yield_to(int e, int target, Instant) {
    favoured = target;
    put_back(e, Pause::yielded);
  }

  // Ticks that it has to run until its deadline.
  static Int128 left(const Client& c) {
    return -floor_of(c.remainder - (c.deadline - c.clock) * weight(c), Int128{1} << 20);
  }

  // Of those that wait, the one that `comes_before` all others.
  template <typename F>
  int first(F may, bool by_clock = false) const {
    int best = H::kNobody;
    for (int e = 0; e < H::kEntities; ++e) {
      const Client& c = clients[static_cast<size_t>(e)];
      if (!c.runs || e == held || !may(c)) continue;
      if (best == H::kNobody) {
        best = e;
        continue;
      }
      const Client& b = clients[static_cast<size_t>(best)];
      if (by_clock && c.clock != b.clock) {
        if (c.clock < b.clock) best = e;
      } else if (c.deadline < b.deadline || (c.deadline == b.deadline && c.queued < b.queued)) {
        best = e;
      }
    }
    return best;
  }

  void choose() {
    int best = first([&](const Client& c) { return is_eligible(c); });
    if (held != H::kNobody) {
      Client& h = client(held);
      if (yielded) {
        if (favoured != H::kNobody && is_eligible(client(favoured))) best = favoured;
        if (best == H::kNobody) best = first([](const Client&) { return true; }, true);
        if (best != H::kNobody) {
          h.clock = std::max(h.clock, client(best).clock);
          h.deadline = h.clock + request(h);
        }
      } else if (best != H::kNobody && is_eligible(h) && h.deadline < client(best).deadline) {
        best = H::kNobody;
      }
      if (best != H::kNobody) h.queued = ++count;
    }
    if (best != H::kNobody) held = best;
    used = 0;
    yielded = false;
    favoured = H::kNobody;
    goes_on = held != H::kNobody;
  }

  Instant end_of_turn(Instant now) {
    const uint64_t rest = static_cast<uint64_t>(left(client(held)));
    return now + ticks(std::min(rest, used < quantum ? quantum - used : quantum));
  }
  H::Answer pick(Instant now) {
    if (!goes_on) choose();
    if (held == H::kNobody) return {};
    const bool is_alone = first([](const Client&) { return true; }) == H::kNobody;
    return {held, is_alone ? never : end_of_turn(now)};
  }

  void ran(int e, Instant from, Instant to) {
    Client& c = client(e);
    const Int128 units = (Int128{(to - from).ticks} << 20) + c.remainder;
    c.clock += units / weight(c);
    c.remainder = units % weight(c);
    used += (to - from).ticks;
    if (used >= quantum) goes_on = false;
    if (c.clock >= c.deadline) {
      c.deadline = c.clock + request(c);
      goes_on = false;
    }
  }

  Instant contend(int entered, int current, Instant now) {
    const Instant end = end_of_turn(now);
    const Client& c = client(entered);
    if (!is_eligible(c) || c.deadline > client(current).deadline) return end;
    const uint64_t shield = std::min(quantum, slice_of(c));
    if (used < shield) return std::min(end, now + ticks(shield - used));
    goes_on = false;
    return now;
  }

  std::array<Client, H::kEntities> clients{};
  uint64_t quantum = 0;
  uint64_t slice = 0;
  Int128 last = 0;  // the average when somebody was runnable last
  int held = H::kNobody;
  int favoured = H::kNobody;
  bool goes_on = false;
  bool yielded = false;
  uint64_t used = 0;
  uint64_t count = 0;
};

TEST(Eevdf, MatchesSumsOverAllClocks) {
  for (uint64_t seed = 1; seed <= 40; ++seed) check_against_model<Eevdf, Clocks>(seed, 3000);
}

// --- Theory ---

// What everybody would have had by now if all had been served at once, each by its share.
struct Fluid {
  void join(int e, uint64_t weight) {
    weights[static_cast<size_t>(e)] = static_cast<double>(weight);
    load += static_cast<double>(weight);
  }
  void advance(double time) {
    for (size_t e = 0; e < H::kEntities; ++e) served[e] += time * weights[e] / load;
  }
  double load = 0;
  std::array<double, H::kEntities> weights{};
  std::array<double, H::kEntities> served{};
};

// Stoica and Abdel-Wahab, theorem 1: no lag reaches the longer of request and quantum; and nobody
// gets ahead by more than a turn.
void check_bounds(uint64_t seed, Weight lightest, Weight heaviest) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 gen = generator(seed);
  W w;
  const uint64_t quantum = absl::Uniform<uint64_t>(gen, 10, 500);
  set_up(w.h.policy, quantum, 1);
  const int count = absl::Uniform(gen, 2, H::kEntities + 1);
  std::array<Attributes, H::kEntities> given;
  Fluid fluid;
  uint64_t seen = w.now;
  int present = 0;
  const auto check = [&](int) {
    fluid.advance(static_cast<double>(w.now - seen));
    seen = w.now;
    Int128 sum = 0;
    Int128 load = 0;
    for (int e = 0; e < present; ++e) {
      const double lag = fluid.served[static_cast<size_t>(e)] - static_cast<double>(w.used(e));
      const uint64_t request = given[static_cast<size_t>(e)].slice.ticks;
      ASSERT_LT(lag, static_cast<double>(std::max(request, quantum)) + 0.1) << e << " at " << w.now;
      ASSERT_GT(lag, -static_cast<double>(std::min(request, quantum)) - 0.1)
          << e << " at " << w.now;
      const int64_t told = test::lag(w.h, e);
      ASSERT_NEAR(static_cast<double>(told) / kTick, lag, 0.1) << e << " at " << w.now;
      sum += told;
      load += given[static_cast<size_t>(e)].weight;
    }
    // The average is rounded down, by less than one unit of each weight.
    ASSERT_LE(sum, 0);
    ASSERT_GT(sum, -load);
  };
  while (present < count) {
    if (present != 0) check(0);
    Attributes& attributes = given[static_cast<size_t>(present)];
    attributes = {.weight = absl::Uniform<Weight>(gen, lightest, heaviest + 1),
                  .slice = ticks(absl::Uniform<uint64_t>(gen, 1, 1000))};
    fluid.join(present++, attributes.weight);
    w.spawn(present - 1, attributes);
    w.on_pick = check;
    w.run(absl::Uniform<uint64_t>(gen, 0, 2000));
  }
  w.run(200'000);
}

TEST(Eevdf, KeepsLagsWithinRequestAndQuantumAndTheirSumAtZero) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    check_bounds(seed, 100, 5000);
    if (testing::Test::HasFailure()) break;
  }
}

TEST(Eevdf, SharesByNiceLevel) {
  W w;
  set_up(w.h.policy, 30, 30);
  const std::array<int, 5> nice = {-10, -5, 0, 5, 10};
  double load = 0;
  for (size_t e = 0; e < nice.size(); ++e) {
    w.spawn(static_cast<int>(e), {.weight = weight_of_nice(nice[e])});
    load += weight_of_nice(nice[e]);
  }
  constexpr uint64_t kTime = 1'000'000;
  w.run(kTime);
  for (size_t e = 0; e < nice.size(); ++e) {
    const double share = kTime * weight_of_nice(nice[e]) / load;
    EXPECT_NEAR(static_cast<double>(w.used(static_cast<int>(e))), share, 31) << nice[e];
  }
}

TEST(Eevdf, SharesByWhateverWeightIsGivenLast) {
  W w;
  set_up(w.h.policy, 30, 30);
  w.spawn(0);
  w.spawn(1);
  w.run(30'000);
  std::mt19937_64 gen = generator(1);
  double share = 15'000;
  for (int change = 0; change < 300; ++change) {  // of whoever runs, or waits
    const Weight weight = absl::Uniform<Weight>(gen, 100, 10'000);
    w.retune(change % 2, {.weight = weight});
    w.retune(1 - change % 2, {.weight = 1000});
    w.run(1000);
    share += 1000.0 * (change % 2 == 0 ? weight : 1000) / (weight + 1000);
  }
  EXPECT_NEAR(static_cast<double>(w.used(0)), share, 60);
}

// It uses a tenth where a quarter is its share, so it always finds itself eligible, and has what
// it asked for by its deadline and a quantum: 4 times its request later and 10.
TEST(Eevdf, RunsAModestTaskTheSoonerTheLessItAsksFor) {
  const auto longest_wait = [](uint64_t slice) {
    W w;
    set_up(w.h.policy, 10, 100);
    for (const int e : {0, 1, 2}) w.spawn(e);
    std::mt19937_64 gen = generator(1);
    const auto modest = [&] {
      return W::Burst{.work = 5, .sleep = absl::Uniform<uint64_t>(gen, 45, 60)};
    };
    w.spawn(3, modest, {.slice = ticks(slice)});
    w.run(100'000);
    EXPECT_GT(w.used(3), 5'000u);
    return w.task(3).longest_wait;
  };
  EXPECT_LE(longest_wait(5), 4 * 5 + 10 - 5u);
  EXPECT_LE(longest_wait(100), 4 * 100 + 10 - 5u);
  EXPECT_GE(longest_wait(100), 3 * 10u);  // a turn of each of the others
}

// --- Games ---

// A task that sleeps, yields and naps as it likes, next to others that always run: those get what
// is theirs, but for a constant.
void check_game(const std::string& name, std::function<W::Burst()> script, Attributes attributes) {
  SCOPED_TRACE(name);
  constexpr uint64_t kQuantum = 100;
  constexpr uint64_t kTime = 1'000'000;
  W w;
  set_up(w.h.policy, kQuantum, kQuantum);
  w.spawn(0, {.weight = 1000});
  w.spawn(1, {.weight = 500});
  w.spawn(2, std::move(script), attributes);
  w.run(kTime);
  const double load = 1500 + attributes.weight;
  EXPECT_GT(static_cast<double>(w.used(0)), kTime * 1000 / load - 2 * kQuantum);
  EXPECT_GT(static_cast<double>(w.used(1)), kTime * 500 / load - 2 * kQuantum);
  EXPECT_LT(static_cast<double>(w.used(2)), kTime * attributes.weight / load + 2 * kQuantum);
}

TEST(Eevdf, GivesNothingToATaskThatGamesIt) {
  for (const Weight weight : {100, 1000, 5000}) {
    for (const uint64_t slice : {10, 100}) {
      const Attributes attributes = {.weight = weight, .slice = ticks(slice)};
      for (const uint64_t work : {uint64_t{1}, slice / 2, slice - 1, slice, slice + 1}) {
        for (const uint64_t sleep : {0, 1, 2, 10, 99, 100, 101}) {
          check_game(
              "works " + std::to_string(work) + " of " + std::to_string(slice) + " and sleeps " +
                  std::to_string(sleep),
              [=] { return W::Burst{.work = work, .sleep = sleep}; }, attributes);
        }
      }
      for (uint64_t seed = 1; seed <= 5; ++seed) {
        std::mt19937_64 gen = generator(seed);
        const auto random = [&] {
          return W::Burst{.work = absl::Uniform<uint64_t>(gen, 1, 2 * slice),
                          .sleep = absl::Uniform<uint64_t>(gen, 0, slice)};
        };
        check_game("random, seed " + std::to_string(seed), random, attributes);
      }
    }
  }
}

TEST(Eevdf, LetsOneThatYieldsNeitherStarveNorSave) {
  W w;
  set_up(w.h.policy, 100, 100);
  w.spawn(0);
  bool yields = true;
  w.spawn(1, [&] { return yields ? W::Burst{.work = 1} : W::Burst{}; });
  w.run(100'000);
  EXPECT_NEAR(static_cast<double>(w.used(1)), 1000, 20);  // a tick for each turn of the other
  yields = false;
  w.run(100'000);
  EXPECT_NEAR(static_cast<double>(w.used(1)), 51'000, 120);
}

}  // namespace
}  // namespace sched::test
