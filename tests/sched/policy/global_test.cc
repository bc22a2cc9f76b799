// One queue for all CPUs: exact on one, the most urgent on several, and safe on threads.

#include "sched/policy/global.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/edf.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/testing/conformance.h"
#include "sched/policy/ticket_lock.h"
#include "tests/sched/policy/conforms.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

static_assert(goes_by_entities<FixedPriority> && goes_by_entities<Fifo>);
static_assert(!goes_by_entities<Budgeted<Fifo>> && !goes_by_entities<Global<Fifo>>);

// ---- On one CPU it is the policy itself ------------------------------------------------------

template <Policy P, typename Sample>
struct Plain : Mechanism {
  using G = Global<P>;
  using Attributes = P::Attributes;
  using Answer = Harness<G>::Answer;

  void configure(G& policy, absl::BitGenRef) { policy.join(shared, 0); }
  Attributes random_attributes(absl::BitGenRef gen) { return Sample::sample(gen); }
  std::optional<Attributes> accepts(int e, const Attributes& a) {
    if (!plain.attach(detached(at_index(e)), a)) return std::nullopt;
    return plain.attributes(at_index(e));
  }
  void detach(int e) {
    if constexpr (Detaches<P>) plain.detach(detached(at_index(e)));
  }
  void enqueue(int e, const Attributes&, Enter why, Instant now) {
    EXPECT_EQ(plain.enqueue(at_index(e), why, now), Links::intact);
  }
  void dequeue(int e, Leave why, Instant now) {
    EXPECT_EQ(plain.dequeue(at_index(e), why, now), Links::intact);
  }
  void put_back(int e, Pause why, Instant now) {
    EXPECT_EQ(plain.put_back(at_index(e), why, now), Links::intact);
  }
  Answer pick(Instant now) {
    const auto [entity, until] = plain.pick(now);
    if (entity == nullptr) return {Harness<G>::kNobody, until};
    return {static_cast<int>(entity - entities.data()), until};
  }
  Instant contend(int entered, int current, Instant now) {
    if constexpr (Contends<P>) return plain.contend(at_index(entered), at_index(current), now);
    return never;
  }
  void ran(int e, Instant from, Instant to) {
    if constexpr (Charges<P>) plain.ran(at_index(e), from, to);
  }

  typename P::Entity& at_index(int e) { return entities[static_cast<size_t>(e)]; }

  G::Shared shared;
  P plain;
  std::array<typename P::Entity, Harness<G>::kEntities> entities{};
};

struct Slices {
  static RoundRobin::Attributes sample(absl::BitGenRef gen) {
    return {.slice = ticks(absl::Uniform<uint64_t>(gen, 0, 60))};
  }
};
struct Ranks {
  static FixedPriority::Attributes sample(absl::BitGenRef gen) {
    return {.priority = static_cast<uint16_t>(absl::Uniform(gen, 0, 260))};
  }
};
struct Deadlines {
  static Edf::Attributes sample(absl::BitGenRef gen) {
    return {.runtime = ticks(absl::Uniform<uint64_t>(gen, 0, 20)),
            .period = ticks(absl::Uniform<uint64_t>(gen, 20, 300))};
  }
};

TEST(Global, IsThePolicyItselfOnOneCpu) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    check_against_model<Global<RoundRobin>, Plain<RoundRobin, Slices>>(seed, 3000);
    check_against_model<Global<FixedPriority>, Plain<FixedPriority, Ranks>>(seed, 3000);
    check_against_model<Global<Edf>, Plain<Edf, Deadlines>>(seed, 3000);
  }
}

TEST(Global, RefusesEverybodyBeforeItHasJoined) {
  Harness<Global<Fifo>> h;
  EXPECT_FALSE(h.attach(0));
  EXPECT_EQ(h.pick().entity, Harness<Global<Fifo>>::kNobody);
}

// ---- Several CPUs, one after the other -------------------------------------------------------

// CPUs that do what a mechanism does: who is asked asks, when its time has come or by a kick.
template <Policy P, size_t kCpus>
class Machine : Mechanism {
 public:
  using G = Global<P>;
  static constexpr int kEntities = 16;

  struct Cpu {
    G policy;
    int current = -1;
    Instant until = never;
    bool is_due = true;
    bool is_kicked = false;
  };

  Machine() {
    for (size_t i = 0; i < kCpus; ++i) {
      cpus[i].policy.join(shared, static_cast<CpuNumber>(i));
      cpus[i].policy.online(now);
    }
  }

  bool attach(int e, const typename P::Attributes& attributes) {
    return cpus[0].policy.attach(detached(entity(e)), attributes);
  }
  // Nothing is done about it yet: see `settle`.
  void enqueue(size_t cpu, int e, Enter why) {
    Cpu& c = cpus[cpu];
    ASSERT_EQ(c.policy.enqueue(entity(e), why, now), Links::intact);
    if (c.current < 0) {
      c.is_due = true;
    } else if constexpr (Contends<P>) {
      ask_by(c, c.policy.contend(entity(e), entity(c.current), now));
    }
    c.policy.take_kicks([&](CpuNumber n) { cpus[n].is_kicked = true; });
  }
  // A task stops: on the CPU that runs it, or on any if none does.
  void dequeue(int e, Leave why) {
    const std::optional<size_t> where = runs_on(e);
    Cpu& c = cpus[where.value_or(0)];
    ASSERT_EQ(c.policy.dequeue(entity(e), why, now), Links::intact);
    if (where) {
      c.current = -1;
      c.is_due = true;
    }
  }
  void put_back(size_t cpu, Pause why) {
    Cpu& c = cpus[cpu];
    ASSERT_EQ(c.policy.put_back(entity(c.current), why, now), Links::intact);
    c.current = -1;
    c.is_due = true;
    c.policy.take_kicks([&](CpuNumber n) { cpus[n].is_kicked = true; });
  }
  void pick(size_t cpu) {
    Cpu& c = cpus[cpu];
    if (c.current >= 0) put_back(cpu, now >= c.until ? Pause::timed_out : Pause::preempted);
    const auto choice = c.policy.pick(now);
    ASSERT_GT(choice.until, now);
    const auto again = c.policy.pick(now);
    ASSERT_EQ(again.entity, choice.entity);
    c.until = choice.until;
    c.is_due = false;
    c.policy.take_kicks([&](CpuNumber n) { cpus[n].is_kicked = true; });
    if (choice.entity == nullptr) return;
    const int e = static_cast<int>(choice.entity - entities.data());
    ASSERT_FALSE(runs_on(e)) << e << " runs twice";
    c.current = e;
  }
  // Everybody who must ask does, in any order, until nobody must.
  void settle(absl::BitGenRef gen) {
    for (int rounds = 0; rounds < 100; ++rounds) {
      std::vector<size_t> due;
      for (size_t i = 0; i < kCpus; ++i) {
        Cpu& c = cpus[i];
        if (c.is_kicked) {
          c.is_kicked = false;
          ask_by(c, c.policy.asked_by(now));
        }
        if (c.is_due || now >= c.until) due.push_back(i);
      }
      if (due.empty()) return;
      ASSERT_NO_FATAL_FAILURE(pick(due[absl::Uniform<size_t>(gen, 0, due.size())]));
    }
    FAIL() << "they ask each other for ever";
  }

  std::optional<size_t> runs_on(int e) const {
    for (size_t i = 0; i < kCpus; ++i) {
      if (cpus[i].current == e) return i;
    }
    return std::nullopt;
  }
  std::vector<int> running() const {
    std::vector<int> all;
    for (const Cpu& c : cpus) {
      if (c.current >= 0) all.push_back(c.current);
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  G::Entity& entity(int e) { return entities[static_cast<size_t>(e)]; }

  Instant now = at(1);
  G::Shared shared;
  std::array<Cpu, kCpus> cpus;
  std::array<typename G::Entity, kEntities> entities{};

 private:
  void ask_by(Cpu& c, Instant until) {
    if (until <= now) {
      c.is_due = true;
    } else {
      c.until = std::min(c.until, until);
    }
  }
};

// After anything has happened and the CPUs have seen to it, no one who waits is more urgent than
// one who runs, and no CPU is idle while somebody waits.
template <size_t kCpus>
void check_most_urgent(uint64_t seed) {
  SCOPED_TRACE(seed);
  std::mt19937_64 gen = generator(seed);
  const auto below = [&](int bound) { return absl::Uniform(gen, 0, bound); };
  Machine<FixedPriority, kCpus> m;
  std::array<int, 16> priority{};  // of those runnable; -1: not
  priority.fill(-1);
  for (int action = 0; action < 600 && !testing::Test::HasFatalFailure(); ++action) {
    SCOPED_TRACE(action);
    m.now = m.now + ticks(static_cast<uint64_t>(below(3)));
    // Several things may happen before anybody gets to ask.
    for (int i = below(3); i >= 0; --i) {
      const int e = below(16);
      int& is = priority[static_cast<size_t>(e)];
      const size_t cpu = static_cast<size_t>(below(kCpus));
      if (is < 0) {
        is = below(6);
        ASSERT_TRUE(m.attach(e, {.priority = static_cast<uint16_t>(is)}));
        m.enqueue(cpu, e, Enter::woken);
      } else if (below(3) == 0) {
        m.dequeue(e, Leave::blocked);
        is = -1;
      } else if (m.cpus[cpu].current >= 0) {
        m.put_back(cpu, static_cast<Pause>(below(3)));
      }
    }
    m.settle(gen);
    std::vector<int> expected;
    for (const int p : priority) {
      if (p >= 0) expected.push_back(p);
    }
    std::sort(expected.rbegin(), expected.rend());
    if (expected.size() > kCpus) expected.resize(kCpus);
    std::vector<int> got;
    for (const int e : m.running()) got.push_back(priority[static_cast<size_t>(e)]);
    std::sort(got.rbegin(), got.rend());
    ASSERT_EQ(got, expected);
  }
}

TEST(Global, RunsTheMostUrgentOnAllCpus) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    check_most_urgent<1>(seed);
    check_most_urgent<2>(seed);
    check_most_urgent<3>(seed);
    check_most_urgent<4>(seed);
  }
}

TEST(Global, AsksAnIdleCpuFirstThenWhoeverRunsTheLeastUrgent) {
  Machine<FixedPriority, 3> m;
  std::mt19937_64 gen = generator(1);
  for (int e = 0; e < 6; ++e) {
    ASSERT_TRUE(m.attach(e, {.priority = static_cast<uint16_t>(10 * (e + 1))}));
  }
  const auto kicked = [&] {
    std::vector<size_t> who;
    for (size_t i = 0; i < 3; ++i) {
      if (m.cpus[i].is_kicked) who.push_back(i);
    }
    return who;
  };
  m.settle(gen);  // all idle
  m.enqueue(0, 1, Enter::woken);
  EXPECT_TRUE(kicked().empty());  // CPU 0 is idle itself
  m.settle(gen);
  m.enqueue(0, 2, Enter::woken);
  ASSERT_EQ(kicked().size(), 1u);
  m.enqueue(0, 4, Enter::woken);
  EXPECT_EQ(kicked(), (std::vector<size_t>{1, 2}));  // one each
  m.settle(gen);
  EXPECT_EQ(m.running(), (std::vector<int>{1, 2, 4}));
  m.enqueue(1, 0, Enter::woken);  // less urgent than all
  EXPECT_TRUE(kicked().empty());
  m.enqueue(1, 3, Enter::woken);
  EXPECT_EQ(m.cpus[0].is_kicked, m.cpus[0].current == 1);
  m.settle(gen);
  EXPECT_EQ(m.running(), (std::vector<int>{2, 3, 4}));
}

TEST(Global, GivesAllWhoRunASliceOnceSomebodyWaits) {
  Machine<RoundRobin, 2> m;
  std::mt19937_64 gen = generator(1);
  std::array<uint64_t, 3> used{};
  for (int e = 0; e < 3; ++e) {
    ASSERT_TRUE(m.attach(e, {.slice = ticks(10)}));
    m.enqueue(0, e, Enter::created);
    m.settle(gen);
  }
  for (int tick = 0; tick < 3000; ++tick) {
    m.now = m.now + ticks(1);
    for (const int e : m.running()) ++used[static_cast<size_t>(e)];
    m.settle(gen);
  }
  // (Who of two whose slices end at one instant chooses first is left to chance here.)
  for (const uint64_t u : used) EXPECT_NEAR(u, 2000, 250);
}

TEST(Global, RunsTheEarliestDeadlinesOnAllCpus) {
  Machine<Edf, 2> m;
  std::mt19937_64 gen = generator(1);
  const std::array<uint64_t, 4> deadline = {400, 100, 300, 200};
  for (int e = 0; e < 4; ++e) {
    ASSERT_TRUE(m.attach(e, {.runtime = ticks(10), .period = ticks(deadline[size_t(e)])}));
    m.enqueue(static_cast<size_t>(e) % 2, e, Enter::created);
    m.settle(gen);
  }
  EXPECT_EQ(m.running(), (std::vector<int>{1, 3}));
  m.dequeue(1, Leave::blocked);
  m.settle(gen);
  EXPECT_EQ(m.running(), (std::vector<int>{2, 3}));
}

TEST(Global, LeavesNoCpuIdleWhenSomebodyHeldBackMayRunAgain) {
  // Each may run for 10 of 100; what they have used is charged by hand.
  Machine<Edf, 2> m;
  std::mt19937_64 gen = generator(1);
  for (int e = 0; e < 3; ++e) {
    ASSERT_TRUE(m.attach(e, {.runtime = ticks(10), .period = ticks(100u + 50u * unsigned(e))}));
    m.enqueue(0, e, Enter::created);
    m.settle(gen);
  }
  std::array<uint64_t, 3> used{};
  for (int tick = 0; tick < 3000; ++tick) {
    const Instant next = m.now + ticks(1);
    for (auto& cpu : m.cpus) {
      if (cpu.current < 0) continue;
      cpu.policy.ran(m.entity(cpu.current), m.now, next);
      ++used[static_cast<size_t>(cpu.current)];
    }
    m.now = next;
    m.settle(gen);
    ASSERT_FALSE(HasFatalFailure());
  }
  EXPECT_EQ(used[0], 300u);
  EXPECT_EQ(used[1], 200u);
  EXPECT_EQ(used[2], 150u);
}

TEST(Global, AsksNobodyWhoIsOffline) {
  Machine<FixedPriority, 2> m;
  std::mt19937_64 gen = generator(1);
  m.settle(gen);
  m.cpus[1].policy.offline(m.now);
  for (int e = 0; e < 3; ++e) {
    ASSERT_TRUE(m.attach(e, {.priority = static_cast<uint16_t>(e)}));
    m.enqueue(0, e, Enter::created);
    EXPECT_FALSE(m.cpus[1].is_kicked);
    m.settle(gen);
  }
  m.cpus[1].policy.online(m.now);
  m.cpus[1].is_due = true;
  m.settle(gen);
  ASSERT_TRUE(m.attach(3, {.priority = 9}));
  m.enqueue(0, 3, Enter::created);
  EXPECT_TRUE(m.cpus[1].is_kicked);
}

// Whom it had chosen another one takes, and whoever comes by it.
TEST(Global, LeavesAllToOthersOnceItIsOffline) {
  Machine<FixedPriority, 2> m;
  std::mt19937_64 gen = generator(1);
  for (int e = 0; e < 3; ++e) {
    ASSERT_TRUE(m.attach(e, {.priority = static_cast<uint16_t>(5 + e)}));
  }
  m.enqueue(0, 1, Enter::created);
  m.settle(gen);
  ASSERT_EQ(m.running(), (std::vector<int>{1}));
  const size_t goes = *m.runs_on(1);
  const size_t stays = 1 - goes;
  const auto offline = [&] {
    m.cpus[goes].policy.offline(m.now);
    m.cpus[goes].current = -1;
    m.cpus[goes].is_due = true;
    m.cpus[goes].policy.take_kicks([&](CpuNumber n) { m.cpus[n].is_kicked = true; });
    m.settle(gen);
  };
  offline();
  EXPECT_EQ(m.runs_on(1), stays);
  m.enqueue(goes, 2, Enter::woken);  // by its mail, while it is about to go
  m.settle(gen);
  EXPECT_EQ(m.runs_on(2), stays);
  EXPECT_EQ(m.running(), (std::vector<int>{2}));

  // Idle when it goes, so that nobody had to be told of its end of a turn.
  m.dequeue(1, Leave::blocked);
  m.cpus[goes].policy.online(m.now);
  m.cpus[goes].is_due = true;
  m.settle(gen);
  offline();
  m.dequeue(2, Leave::blocked);
  m.enqueue(stays, 0, Enter::woken);
  m.settle(gen);
  ASSERT_EQ(m.runs_on(0), stays);
  m.enqueue(goes, 1, Enter::woken);
  m.settle(gen);
  EXPECT_EQ(m.runs_on(1), stays);
}

TEST(Global, ReportsBrokenLinks) {
  Machine<Fifo, 1> m;
  std::mt19937_64 gen = generator(1);
  for (int e = 0; e < 3; ++e) {
    ASSERT_TRUE(m.attach(e, {}));
    m.enqueue(0, e, Enter::created);
  }
  m.settle(gen);
  RingLink<Fifo>& link = m.entity(1);
  link.prev = &link;
  EXPECT_EQ(m.cpus[0].policy.dequeue(m.entity(0), Leave::blocked, m.now), Links::corrupt);
}

// ---- On threads --------------------------------------------------------------------------------

TEST(TicketLock, LetsOneInAtATime) {
  TicketLock lock;
  uint64_t count = 0;  // a race, were it not for the lock
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 300; ++n) {
        const TicketGuard guard(lock);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 900u);
}

template <Policy P>
void check_threads(const std::function<typename P::Attributes(int)>& attributes) {
  using G = Global<P>;
  constexpr int kCpus = 3;
  constexpr int kTasks = 8;
  struct Task : G::Entity {
    std::atomic<bool> runs{false};
    uint64_t work = 0;  // a race, if two run it at a time without the lock between them
  };
  struct Prover : Mechanism {
    static Detached<typename G::Entity> prove(Task& task) {
      return detached(static_cast<G::Entity&>(task));
    }
  };
  typename G::Shared shared;
  std::array<G, kCpus> cpus;
  for (int i = 0; i < kCpus; ++i) {
    cpus[size_t(i)].join(shared, static_cast<CpuNumber>(i));
    cpus[size_t(i)].online(at(1));
  }
  std::array<Task, kTasks> tasks;
  for (int i = 0; i < kTasks; ++i) {
    ASSERT_TRUE(cpus[0].attach(Prover::prove(tasks[size_t(i)]), attributes(i)));
    ASSERT_EQ(cpus[0].enqueue(tasks[size_t(i)], Enter::created, at(1)), Links::intact);
  }
  std::atomic<uint64_t> turns{0};
  const auto run = [&](size_t number) {
    G& cpu = cpus[number];
    std::mt19937_64 gen = generator(number + 1);
    Task* blocked = nullptr;
    for (uint64_t now = 1; now < 400; ++now) {
      cpu.take_kicks([](CpuNumber) {});
      const auto choice = cpu.pick(at(now));
      if (choice.entity != nullptr) {
        Task& task = static_cast<Task&>(*choice.entity);
        EXPECT_FALSE(task.runs.exchange(true, std::memory_order_relaxed));
        ++task.work;
        turns.fetch_add(1, std::memory_order_relaxed);
        task.runs.store(false, std::memory_order_relaxed);
        if (blocked == nullptr && absl::Bernoulli(gen, 0.3)) {
          EXPECT_EQ(cpu.dequeue(task, Leave::blocked, at(now)), Links::intact);
          blocked = &task;
        } else {
          const Pause why = static_cast<Pause>(absl::Uniform(gen, 0, 3));
          EXPECT_EQ(cpu.put_back(task, why, at(now)), Links::intact);
        }
      }
      if (blocked != nullptr && absl::Bernoulli(gen, 0.5)) {
        EXPECT_EQ(cpu.enqueue(*blocked, Enter::woken, at(now)), Links::intact);
        blocked = nullptr;
      }
      (void)cpu.asked_by(at(now));
    }
    if (blocked != nullptr) {
      EXPECT_EQ(cpu.enqueue(*blocked, Enter::woken, at(400)), Links::intact);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < kCpus; ++i) threads.emplace_back(run, i);
  run(0);
  for (std::thread& thread : threads) thread.join();
  // Nobody is lost.
  uint64_t work = 0;
  int found = 0;
  for (;; ++found) {
    const auto choice = cpus[0].pick(at(401));
    if (choice.entity == nullptr) break;
    work += static_cast<Task&>(*choice.entity).work;
    ASSERT_EQ(cpus[0].dequeue(*choice.entity, Leave::exited, at(401)), Links::intact);
  }
  EXPECT_EQ(found, kTasks);
  EXPECT_EQ(work, turns.load());
}

TEST(Global, RunsNobodyTwiceOnThreads) {
  check_threads<FixedPriority>(
      [](int i) { return FixedPriority::Attributes{.priority = static_cast<uint16_t>(i % 3)}; });
  check_threads<RoundRobin>([](int) { return RoundRobin::Attributes{.slice = ticks(5)}; });
}

// ---- The rules of every policy -----------------------------------------------------------------

template <Policy P>
struct Alone : Global<P> {
  typename Global<P>::Shared shared;
};

template <Policy P, typename Sample, Policy Tested = Alone<P>>
struct AloneSubject : conformance::Subject<Tested> {
  static P::Attributes sample(conformance::Source& source) { return Sample::sample(source); }
  static void begin(Tested& policy) { policy.join(policy.shared, 0); }
};

struct AnyPriority {
  static FixedPriority::Attributes sample(conformance::Source& source) {
    return {.priority = static_cast<uint16_t>(source.below(260))};
  }
};
struct AnyDeadline {
  static Edf::Attributes sample(conformance::Source& source) {
    return {.runtime = Duration{source.below(10)}, .period = Duration{source.below(300)}};
  }
};

TEST(Global, KeepsTheRulesOfEveryPolicy) {
  conforms<AloneSubject<FixedPriority, AnyPriority>>();
  conforms<AloneSubject<Edf, AnyDeadline>>();
}

// What the kit would say of one that forgets whom it has chosen.
struct Forgetful : Alone<FixedPriority> {
  CpuNumber chooser(const Entity&, CpuNumber otherwise) { return otherwise; }
};

TEST(Global, TellsWhomItHasChosen) {
  using Subject = AloneSubject<FixedPriority, AnyPriority, Forgetful>;
  const auto trial = std::make_unique<conformance::Trial<Subject>>();
  EXPECT_EQ(trial->run({.seed = 1}).rule, conformance::Rule::shared);
}

TEST(Global, AsksForNothingMoreOfATask) {
  static_assert(sizeof(Global<FixedPriority>::Entity) == sizeof(FixedPriority::Entity));
  static_assert(sizeof(Global<FixedPriority>) == 64);
  static_assert(sizeof(TicketLock) == 8);
}

constinit Global<FixedPriority>::Shared shared_in_static_memory;
constinit std::array<Global<FixedPriority>, 2> cpus_in_static_memory;

TEST(Global, IsConstantInitialised) {
  cpus_in_static_memory[0].join(shared_in_static_memory, 0);
  EXPECT_EQ(cpus_in_static_memory[0].pick(at(1)).entity, nullptr);
}

}  // namespace
}  // namespace sched::test
