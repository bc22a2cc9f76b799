// What the mechanism tells a policy, and in which order: the head of sched/policy/policy.h, line by
// line, on a policy that has every optional callback and writes down each call.

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/policy.h"
#include "sched/policy/ring.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using Lines = std::vector<std::string>;

/// Higher rank first, in order of arrival within a rank; ten ticks a turn. Its attributes do not
/// fit into a word.
class Scribe {
 public:
  struct Attributes {
    std::string_view name = "?";
    int rank = 0;
    bool admit = true;
  };
  struct Entity : RingLink<Scribe> {
    Attributes given;
    Instant charged_until;
    bool runnable = false;
  };

  bool attach(Detached<Entity> e, const Attributes& attributes) {
    EXPECT_FALSE(e->runnable);
    log(attributes.name, attributes.admit ? "attach" : "refuse");
    if (attributes.admit) e->given = attributes;
    return attributes.admit;
  }
  Attributes attributes(const Entity& e) const { return e.given; }
  void detach(Detached<Entity> e) {
    EXPECT_FALSE(e->runnable);
    log(e->given.name, "detach");
  }
  Links enqueue(Entity& e, Enter why, Instant now) {
    static constexpr const char* kWhy[] = {"created",   "woken", "retuned",
                                           "inherited", "moved", "dispatched"};
    EXPECT_FALSE(e.runnable);
    expect_charged(now);
    e.runnable = true;
    log(e.given.name, std::string("enqueue ") + kWhy[static_cast<int>(why)]);
    return queues_[e.given.rank].push_back(e);
  }
  Links dequeue(Entity& e, Leave why, Instant now) {
    static constexpr const char* kWhy[] = {"blocked", "exited", "retuned", "inherited", "moved"};
    EXPECT_TRUE(e.runnable);
    expect_charged(now);
    e.runnable = false;
    if (current_ == &e) current_ = nullptr;
    log(e.given.name, std::string("dequeue ") + kWhy[static_cast<int>(why)]);
    return queues_[e.given.rank].remove(e);
  }
  Links put_back(Entity& e, Pause why, Instant now) {
    static constexpr const char* kWhy[] = {"yielded", "preempted", "timed_out"};
    end_turn(e, now);
    log(e.given.name, std::string("put_back ") + kWhy[static_cast<int>(why)]);
    return why == Pause::preempted ? Links::intact : queues_[e.given.rank].rotate(e);
  }
  Links yield_to(Entity& current, Entity& target, Instant now) {
    EXPECT_TRUE(target.runnable);
    EXPECT_NE(&current, &target);
    end_turn(current, now);
    log(current.given.name, "yield_to " + std::string(target.given.name));
    EXPECT_EQ(queues_[target.given.rank].remove(target), Links::intact);
    return queues_[target.given.rank].push_front(target);
  }
  Choice<Entity> pick(Instant now) {
    EXPECT_EQ(current_, nullptr);
    for (int rank = kRanks - 1; rank >= 0; --rank) {
      if (queues_[rank].empty()) continue;
      current_ = &queues_[rank].front();
      charged_until_ = now;
      log(current_->given.name, "pick");
      return {current_, queues_[rank].front_is_alone() ? never : now + ticks(10)};
    }
    return {};
  }
  void ran(Entity& e, Instant from, Instant to) {
    EXPECT_EQ(&e, current_);
    EXPECT_EQ(from, charged_until_);
    EXPECT_LT(from, to);
    charged_until_ = to;
    log(e.given.name, "ran " + std::to_string((to - from).ticks));
  }
  Instant contend(Entity& entered, Entity& current, Instant now) {
    EXPECT_EQ(&current, current_);
    log(entered.given.name, "contend " + std::string(current.given.name));
    return entered.given.rank > current.given.rank ? now : now + ticks(10);
  }
  void online(Instant) { lines.push_back("online"); }
  void offline(Instant) { lines.push_back("offline"); }

  Lines lines;

 private:
  static constexpr int kRanks = 3;

  void expect_charged(Instant now) {
    if (current_ != nullptr) EXPECT_EQ(charged_until_, now);
  }
  void end_turn(Entity& e, Instant now) {
    EXPECT_EQ(&e, current_);
    expect_charged(now);
    current_ = nullptr;
  }
  void log(std::string_view name, std::string what) {
    lines.push_back(std::string(name) + ": " + what);
  }

  Ring<Entity, Scribe> queues_[kRanks];
  Entity* current_ = nullptr;
  Instant charged_until_;
};

static_assert(Charges<Scribe> && Contends<Scribe> && YieldsTo<Scribe> && Detaches<Scribe> &&
              HearsOfCpu<Scribe> && !KnowsPeers<Scribe> && !holds_back<Scribe>);

using K = Kernel<Scribe>;
using S = K::S;

/// What is told from here on.
Lines told(K& kernel, auto action) {
  Lines& lines = kernel.cpu(0).policy().lines;
  lines.clear();
  action();
  return lines;
}

void expect_lines(K& kernel, const Lines& expected) {
  EXPECT_EQ(kernel.cpu(0).policy().lines, expected);
}

TEST(Contract, ATaskFromItsSpawnToItsEnd) {
  K kernel;
  auto& a = kernel.make("a", [] { Sim::spend(ticks(7)); }, {.name = "a"});
  kernel.boot_with(a);
  EXPECT_EQ(kernel.run(), End::quiet);
  expect_lines(kernel, {"online", "a: attach", "a: enqueue created", "a: pick", "a: ran 7",
                        "a: dequeue exited", "a: detach"});
}

TEST(Contract, WhatIsRefusedIsNotDetached) {
  K kernel;
  auto& a = kernel.make("a", [] {}, {.name = "a", .admit = false});
  kernel.boot([&] { EXPECT_EQ(kernel.try_spawn(a).error(), SpawnError::bad_attributes); });
  EXPECT_EQ(kernel.run(), End::quiet);
  expect_lines(kernel, {"online", "a: refuse"});
}

TEST(Contract, AWakeChargesTheCurrentOneFirst) {
  K kernel;
  auto& low = kernel.make("low", [] { S::park(); }, {.name = "low", .rank = 1});
  auto& high = kernel.make("high", [] { S::park(); }, {.name = "high", .rank = 2});
  auto& a = kernel.make("a",
                        [&] {
                          Sim::spend(ticks(3));
                          EXPECT_EQ(told(kernel, [&] { S::wake(low); }),
                                    (Lines{"a: ran 3", "low: enqueue woken", "low: contend a"}));
                          Sim::spend(ticks(2));
                          EXPECT_EQ(told(kernel, [&] { S::wake(high); }),
                                    (Lines{"a: ran 2", "high: enqueue woken", "high: contend a",
                                           "a: put_back preempted", "high: pick",
                                           "high: dequeue exited", "high: detach", "a: pick"}));
                        },
                        {.name = "a", .rank = 1});
  kernel.boot([&] {
    for (auto* thread : {&high, &low}) kernel.spawn(*thread);
    kernel.spawn(a);
  });
  // Both park before `a` is let in.
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(a.finishes, 1);
}

TEST(Contract, ATickIsTheEndOfUntil) {
  K kernel;
  auto& a = kernel.make("a", [] { Sim::spend(ticks(15)); }, {.name = "a"});
  auto& b = kernel.make("b", [] {}, {.name = "b"});
  kernel.boot_with(a, b);
  EXPECT_EQ(kernel.run(), End::quiet);
  expect_lines(kernel,
               {"online", "a: attach", "a: enqueue created", "b: attach", "b: enqueue created",
                "a: pick", "a: ran 10", "a: put_back timed_out", "b: pick", "b: dequeue exited",
                "b: detach", "a: pick", "a: ran 5", "a: dequeue exited", "a: detach"});
}

TEST(Contract, YieldAndYieldToAndPark) {
  K kernel;
  auto& a = kernel.make("a", [] { Sim::spend(ticks(1)), S::yield(); }, {.name = "a"});
  auto& c = kernel.make("c", [] {}, {.name = "c"});
  auto& b = kernel.make("b",
                        [&] {
                          Sim::spend(ticks(2));
                          kernel.cpu(0).policy().lines.clear();
                          S::yield_to(c);  // although `a` is before it in line
                        },
                        {.name = "b"});
  kernel.boot([&] {
    for (auto* thread : {&a, &b}) kernel.spawn(*thread);
    kernel.spawn(c);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  const Lines& lines = kernel.cpu(0).policy().lines;
  ASSERT_GE(lines.size(), 3u);
  EXPECT_EQ((Lines{lines.begin(), lines.begin() + 3}),
            (Lines{"b: ran 2", "b: yield_to c", "c: pick"}));
}

TEST(Contract, AYieldToWhomCannotRunIsAYield) {
  K kernel;
  auto& blocked = kernel.make("blocked", [] { S::park(); }, {.name = "blocked", .rank = 1});
  auto& fresh = kernel.make("fresh", [] {}, {.name = "fresh"});
  auto& a = kernel.make("a",
                        [&] {
                          for (K::Thread* target : {&blocked, &fresh, &K::current()}) {
                            EXPECT_EQ(told(kernel, [&] { S::yield_to(*target); }),
                                      (Lines{"a: put_back yielded", "a: pick"}));
                          }
                          S::wake(blocked);
                        },
                        {.name = "a"});
  kernel.boot_with(blocked, a);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(Contract, OtherAttributes) {
  K kernel;
  auto& blocked = kernel.make("blocked", [] { S::park(); }, {.name = "blocked", .rank = 2});
  auto& ready = kernel.make("ready", [] {}, {.name = "ready"});
  auto& a = kernel.make(
      "a",
      [&] {
        EXPECT_EQ(told(kernel, [&] { S::retune(blocked, {.name = "blocked", .rank = 1}); }),
                  (Lines{"blocked: attach"}));
        Sim::spend(ticks(4));
        EXPECT_EQ(told(kernel, [&] { S::retune(ready, {.name = "ready", .rank = 1}); }),
                  (Lines{"a: ran 4", "ready: dequeue retuned", "ready: attach",
                         "ready: enqueue retuned", "ready: contend a"}));
        Sim::spend(ticks(4));
        EXPECT_EQ(told(kernel, [&] { S::retune(S::current(), {.name = "a", .rank = 2}); }),
                  (Lines{"a: ran 4", "a: dequeue retuned", "a: attach", "a: enqueue retuned",
                         "a: pick"}));
        EXPECT_EQ(told(kernel,
                       [&] { S::retune(S::current(), {.name = "a", .rank = 0, .admit = false}); }),
                  (Lines{"a: dequeue retuned", "a: refuse", "a: enqueue retuned", "a: pick"}));
        S::wake(blocked);
      },
      {.name = "a", .rank = 1});
  kernel.boot_with(blocked, a, ready);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(ready.finishes, 1);
}

// Between its new attributes and the next choice a running task is queued: nobody is charged.
TEST(Contract, NobodyIsCurrentFromOtherAttributesToTheEndOfAGuard) {
  K kernel;
  auto& a = kernel.make(
      "a",
      [&] {
        Lines& lines = kernel.cpu(0).policy().lines;
        lines.clear();
        {
          S::NoPreempt guard;
          S::retune(S::current(), {.name = "a", .rank = 1});
          Sim::spend(ticks(5));
        }
        Sim::spend(ticks(1));
        S::yield();
        EXPECT_EQ(lines, (Lines{"a: dequeue retuned", "a: attach", "a: enqueue retuned", "a: pick",
                                "a: ran 1", "a: put_back yielded", "a: pick"}));
      },
      {.name = "a"});
  kernel.boot_with(a);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(Contract, APolicyIsAdjustedBetweenTurns) {
  K kernel;
  auto& a =
      kernel.make("a",
                  [&] {
                    Sim::spend(ticks(3));
                    const auto change = [](Scribe& policy, Instant now) {
                      EXPECT_EQ(now, Sim::now());
                      policy.lines.push_back("adjusted");
                    };
                    EXPECT_EQ(told(kernel, [&] { S::adjust(change); }),
                              (Lines{"a: ran 3", "a: put_back preempted", "adjusted", "a: pick"}));
                    S::NoPreempt guard;
                    EXPECT_EQ(told(kernel,
                                   [&] {
                                     S::adjust(change);
                                     Sim::spend(ticks(1));
                                     S::adjust(change);
                                   }),
                              (Lines{"a: put_back preempted", "adjusted", "adjusted"}));
                  },
                  {.name = "a"});
  kernel.boot([&] {
    kernel.spawn(a);
    S::adjust([](Scribe& policy, Instant) { policy.lines.push_back("adjusted"); });
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(a.finishes, 1);
}

// Whom a newcomer contends with is current, or nobody is asked: a choice is due then as it is.
TEST(Contract, NobodyContendsWithOneThatIsQueued) {
  K kernel;
  auto& other = kernel.make("other", [] { S::park(); }, {.name = "other"});
  auto& a = kernel.make("a",
                        [&] {
                          S::yield();  // to `other`, which parks
                          S::NoPreempt guard;
                          S::retune(S::current(), {.name = "a"});
                          EXPECT_EQ(told(kernel, [&] { S::wake(other); }),
                                    (Lines{"other: enqueue woken"}));
                        },
                        {.name = "a"});
  kernel.boot_with(a, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(other.finishes, 1);
}

// Attributes larger than a word travel to another CPU whole.
TEST(Contract, AttributesOfAnySizeTravelByMail) {
  K kernel({.cpus = 2});
  auto& target = kernel.make("target",
                             [&] {
                               EXPECT_EQ(S::attributes(S::current()).name, "spawned");
                               S::park();
                               EXPECT_EQ(S::attributes(S::current()).name, "retuned");
                               EXPECT_EQ(S::attributes(S::current()).rank, 2);
                             },
                             {.name = "spawned", .rank = 1});
  auto& tuner = kernel.make("tuner",
                            [&] {
                              Sim::spend(ticks(500));
                              EXPECT_TRUE(S::retune(target, {.name = "lost", .rank = 0}));
                              EXPECT_TRUE(S::retune(target, {.name = "retuned", .rank = 2}));
                              S::wake(target);
                            },
                            {.name = "tuner"});
  kernel.boot([&] {
    kernel.spawn_on(1, target);
    kernel.spawn(tuner);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(target.finishes, 1);
}

}  // namespace
}  // namespace sched::test
