// Earliest deadline first and its servers against the definitions: a list that is looked through
// from end to end.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/random/bit_gen_ref.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/edf.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

template <typename Kind, bool kDemand>
struct Servers {
  using H = Harness<Kind>;
  using Attributes = Kind::Attributes;
  // All divide 240, so that by then everything has happened.
  static constexpr std::array<uint64_t, 14> kPeriods = {4,  5,  6,  8,  10, 12, 15,
                                                        16, 20, 24, 30, 40, 60, 80};

  struct Server {
    Attributes attributes;
    bool admitted = false;
    bool runnable = false;
    int64_t budget = 0;
    int64_t release = 0;
    int64_t held = 0;  // until then
    uint64_t place = 0;
    std::optional<int64_t> inherited;

    // What it is queued by.
    int64_t urgency() const { return std::min(deadline(), inherited.value_or(deadline())); }
    int64_t runtime() const { return static_cast<int64_t>(attributes.runtime.ticks); }
    int64_t relative() const { return static_cast<int64_t>(attributes.deadline.ticks); }
    int64_t period() const { return static_cast<int64_t>(attributes.period.ticks); }
    int64_t deadline() const { return release + relative(); }
  };

  void configure(Kind&, absl::BitGenRef) {}
  static Attributes random_attributes(absl::BitGenRef gen) {
    const uint64_t period = kPeriods[absl::Uniform<size_t>(gen, 0, kPeriods.size())];
    const uint64_t most = absl::Bernoulli(gen, 0.05) ? 300 : period;
    const uint64_t deadline =
        absl::Bernoulli(gen, 0.5) ? 0 : absl::Uniform<uint64_t>(gen, 1, most + 1);
    return {.runtime = ticks(absl::Uniform<uint64_t>(gen, 0, period / 3 + 2)),
            .deadline = ticks(deadline),
            .period = ticks(period),
            .overrun = absl::Bernoulli(gen, 0.5) ? Overrun::throttle : Overrun::postpone};
  }

  std::optional<Attributes> accepts(int e, Attributes a) {
    if (a.deadline == Duration{}) a.deadline = a.period;
    if (a.runtime == Duration{} || a.runtime > a.deadline || a.deadline > a.period) return {};
    std::vector<Attributes> all = {a};
    for (int other = 0; other < H::kEntities; ++other) {
      if (other != e && of(other).admitted) all.push_back(of(other).attributes);
    }
    if (kDemand) {
      for (uint64_t end = 1; end <= 480; ++end) {
        uint64_t demand = 0;
        for (const Attributes& task : all) {
          for (uint64_t due = task.deadline.ticks; due <= end; due += task.period.ticks) {
            demand += task.runtime.ticks;
          }
        }
        if (demand > end) return {};
      }
      return a;
    }
    // No sum of twelve fractions with denominators up to 80 is that near to one without being it.
    long double sum = 0;
    for (const Attributes& task : all) {
      sum += static_cast<long double>(task.runtime.ticks) /
             static_cast<long double>(task.deadline.ticks);
    }
    if (sum > 1 + 1e-15L) return {};
    return a;
  }
  void attach(int e, const Attributes& a) {
    Server& s = of(e);
    s.budget += static_cast<int64_t>(a.runtime.ticks) - s.runtime();
    s.attributes = a;
    s.admitted = true;
    s.budget = std::max(s.budget, 1 - s.runtime());
  }
  void detach(int e) {
    of(e).admitted = false;
    of(e).inherited.reset();
  }
  void inherit(int e, std::optional<Instant> claims) {
    of(e).inherited.reset();
    if (claims) of(e).inherited = number(*claims);
  }

  static int64_t number(Instant now) { return static_cast<int64_t>(now.ticks); }
  static int64_t owed(const Server& s) { return std::min<int64_t>(s.budget, 0); }

  void next_period(Server& s) {
    s.release += s.period();
    s.budget = s.runtime() + owed(s);
  }
  void hold(Server& s, int64_t now) {
    const bool held = s.attributes.overrun == Overrun::throttle && s.release > now;
    s.held = held ? s.release : 0;
  }
  void arrive(Server& s, int64_t now) {
    const bool may_keep =
        s.budget > 0 && (kDemand ? now <= s.release
                                 : s.deadline() > now && s.budget * s.relative() <
                                                             (s.deadline() - now) * s.runtime());
    if (now >= s.release + s.period()) {
      s.release = now;
      s.budget = s.runtime() + owed(s);
    } else if (!may_keep && !kDemand && s.budget > 0 && s.relative() == s.period()) {
      s.release = now;
      s.budget = s.runtime();
    } else if (!may_keep) {
      next_period(s);
    }
    hold(s, now);
  }
  void refill(Server& s, int64_t now) {
    next_period(s);
    if (s.deadline() <= now) s.release = now;
    hold(s, now);
  }

  void enqueue(int e, const Attributes&, Enter why, Instant instant) {
    const int64_t now = number(instant);
    Server& s = of(e);
    s.runnable = true;
    s.place = ++clock;
    switch (why) {
      case Enter::created:
        s.release = now;
        s.budget = s.runtime();
        s.held = 0;
        break;
      case Enter::moved:
        if (s.budget <= 0) refill(s, now);
        break;
      case Enter::retuned:
        if (s.held > now) {
          if (s.budget <= 0) s.budget += s.runtime();
          break;
        }
        arrive(s, now);
        break;
      case Enter::inherited:  // nobody waits for it any longer: now it pays
        if (s.inherited) break;
        if (s.budget <= 0) {
          refill(s, now);
        } else if (s.held == 0) {
          hold(s, now);
        }
        break;
      default: arrive(s, now);
    }
    if (s.inherited) s.held = 0;
  }
  void dequeue(int e, Leave why, Instant) {
    of(e).runnable = false;
    if (why == Leave::blocked || why == Leave::exited) of(e).held = 0;
    if (why == Leave::exited) of(e).inherited.reset();
  }
  void put_back(int e, Pause why, Instant instant) {
    const int64_t now = number(instant);
    Server& s = of(e);
    if (why == Pause::yielded) {
      if (s.release <= now || s.budget <= 0) {
        next_period(s);
        if (s.deadline() <= now) s.release = now;
      }
      s.held = s.release > now && !s.inherited ? s.release : 0;
      s.place = ++clock;
    } else if (s.budget <= 0 && !s.inherited) {
      refill(s, now);
      s.place = ++clock;
    }
  }
  void ran(int e, Instant from, Instant to) {
    Server& s = of(e);
    s.budget = std::max(s.budget - number(to) + number(from), 1 - s.runtime());
  }
  H::Answer pick(Instant instant) {
    const int64_t now = number(instant);
    int best = H::kNobody;
    for (int e = 0; e < H::kEntities; ++e) {
      const Server& s = of(e);
      if (!s.runnable || s.held > now) continue;
      if (best == H::kNobody ||
          std::pair(s.urgency(), s.place) < std::pair(of(best).urgency(), of(best).place)) {
        best = e;
      }
    }
    Instant until = never;
    if (best != H::kNobody) {
      const int64_t budget = of(best).budget;
      until = instant + (budget > 0 ? ticks(static_cast<uint64_t>(budget)) : forever);
    }
    for (const Server& s : servers) {
      if (!s.runnable || s.held <= now) continue;
      if (best != H::kNobody &&
          std::pair(s.urgency(), s.place) > std::pair(of(best).urgency(), of(best).place)) {
        continue;
      }
      until = std::min(until, at(static_cast<uint64_t>(s.held)));
    }
    return {best, until};
  }
  Instant contend(int entered, int current, Instant now) {
    const Server& s = of(entered);
    if (s.urgency() >= of(current).urgency()) return never;
    return s.held > number(now) ? at(static_cast<uint64_t>(s.held)) : now;
  }

  Server& of(int e) { return servers[static_cast<size_t>(e)]; }
  std::array<Server, H::kEntities> servers{};
  uint64_t clock = 0;
};

TEST(Edf, MatchesAListOfServers) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    check_against_model<Edf, Servers<Edf, false>>(seed, 3000);
  }
}

TEST(EdfExact, MatchesAListOfServersWithExactAdmission) {
  for (uint64_t seed = 1; seed <= 15; ++seed) {
    check_against_model<EdfExact, Servers<EdfExact, true>>(seed, 2000);
  }
}

}  // namespace
}  // namespace sched::test
