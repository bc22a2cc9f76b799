// Joining: the exit value of one life, before its end and after, by any number of tasks, and every
// other way in which a join ends. What a task is bound to when it ends. Which life is meant.

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;
using Lines = std::vector<std::string>;
using Joined = std::expected<uint64_t, JoinError>;

Joined error(JoinError why) { return std::unexpected(why); }

TEST(Join, GetsTheValueBeforeTheEndAndAfter) {
  K kernel;
  auto& task = kernel.make("task",
                           [&] {
                             Sim::spend(ticks(100));
                             S::exit(~uint64_t{6});
                           },
                           {.priority = 1});
  auto& joiner = kernel.make("joiner",
                             [&] {
                               EXPECT_EQ(S::join(task), error(JoinError::not_alive));
                               kernel.spawn(task);
                               EXPECT_EQ(S::join(task), ~uint64_t{6});
                               EXPECT_EQ(task.finishes, 1);  // off its stack, and the sink had it
                               EXPECT_EQ(S::now(), at(110));
                               EXPECT_EQ(S::join(task), ~uint64_t{6});
                               EXPECT_EQ(S::join(task, at(0)), ~uint64_t{6});
                             },
                             {.priority = 2});
  kernel.boot_with(joiner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(joiner.finishes, 1);
}

TEST(Join, OfATaskThatReturnsGetsZero) {
  K kernel;
  auto& task = kernel.make("task", [] {}, {.priority = 2});
  auto& joiner =
      kernel.make("joiner", [&] { EXPECT_EQ(S::join(task), uint64_t{0}); }, {.priority = 1});
  kernel.boot_with(task, joiner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(joiner.finishes, 1);
}

TEST(Join, IsForAnyNumberOfTasks) {
  K kernel;
  int joined = 0;
  auto& task = kernel.make("task", [&] { S::exit(7); }, {.priority = 1});
  std::vector<K::Thread*> joiners;
  for (uint16_t i = 0; i < 20; ++i) {
    joiners.push_back(&kernel.make("joiner",
                                   [&] {
                                     EXPECT_EQ(S::join(task), uint64_t{7});
                                     ++joined;
                                   },
                                   {.priority = static_cast<uint16_t>(2 + i % 3)}));
  }
  kernel.boot([&] {
    kernel.spawn(task);
    for (auto* joiner : joiners) kernel.spawn(*joiner);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(joined, 20);
}

TEST(Join, EndsByTimeoutCancelAndKillToo) {
  K kernel;
  auto& task = kernel.make("task",
                           [&] {
                             S::sleep_until(at(1000));
                             S::exit(5);
                           },
                           {.priority = 1});
  auto& joiner = kernel.make("joiner",
                             [&] {
                               EXPECT_EQ(S::join(task, at(0)), error(JoinError::timed_out));
                               EXPECT_EQ(S::join(task, at(200)), error(JoinError::timed_out));
                               EXPECT_EQ(S::now(), at(200));
                               EXPECT_EQ(S::join(task), error(JoinError::cancelled));
                               EXPECT_EQ(S::now(), at(300));
                               EXPECT_EQ(S::join(S::current()), error(JoinError::itself));
                               EXPECT_EQ(S::join(task), error(JoinError::killed));
                               EXPECT_EQ(S::now(), at(400));
                               EXPECT_EQ(S::join(task), error(JoinError::killed));
                             },
                             {.priority = 2});
  auto& patient = kernel.make("patient", [&] { EXPECT_EQ(S::join(task, at(1001)), uint64_t{5}); },
                              {.priority = 3});
  kernel.on_device = [&](uint32_t line, auto&) {
    line == 1 ? S::cancel_wait(joiner) : S::kill(joiner);
  };
  kernel.world.raise_at(0, 1, at(300));
  kernel.world.raise_at(0, 2, at(400));
  kernel.boot([&] {
    for (auto* thread : {&task, &patient, &joiner}) kernel.spawn(*thread);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(joiner.finishes, 1);
  EXPECT_EQ(patient.finishes, 1);
}

TEST(Join, LearnsThatATaskNeverRan) {
  K kernel;
  auto& task = kernel.make("task", [] { ADD_FAILURE() << "it runs"; }, {.priority = 1});
  auto& joiner = kernel.make("joiner",
                             [&] {
                               EXPECT_EQ(S::join(task), error(JoinError::never_ran));
                               EXPECT_EQ(S::join(task), error(JoinError::never_ran));
                             },
                             {.priority = 3});
  auto& killer = kernel.make("killer", [&] { S::kill(task); }, {.priority = 2});
  kernel.boot([&] {
    for (auto* thread : {&task, &joiner, &killer}) kernel.spawn(*thread);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(joiner.finishes, 1);
}

TEST(Join, LearnsThatATaskWasRefusedElsewhere) {
  K kernel({.cpus = 2});
  auto& task = kernel.make("task", [] { ADD_FAILURE() << "it runs"; }, {.priority = 256});
  auto& joiner = kernel.make(
      "joiner", [&] { EXPECT_EQ(S::join(task), error(JoinError::never_ran)); }, {.priority = 3});
  kernel.boot([&] {
    kernel.spawn_on(1, task);
    kernel.spawn(joiner);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_TRUE(task.refused());
  EXPECT_EQ(joiner.finishes, 1);
}

// The sink spawns it again at once: those who waited for the first life have its value, a join of
// that life learns that it is over, and one of the task waits for the life it has by then.
TEST(Join, OfALifeIsNeverOfAnother) {
  K kernel;
  uint64_t life = 0;
  auto& task = kernel.make("task",
                           [&] {
                             ++life;
                             Sim::spend(ticks(100));
                             S::exit(life);
                           },
                           {.priority = 1});
  kernel.on_finish = [&](K::Thread& thread) {
    if (&thread == &task && life < 3) kernel.spawn(task);
  };
  auto& joiner = kernel.make("joiner",
                             [&] {
                               kernel.spawn(task);
                               const S::Life first = S::life(task);
                               EXPECT_EQ(S::join(first), uint64_t{1});
                               EXPECT_NE(S::life(task), first);
                               EXPECT_EQ(S::join(first), error(JoinError::not_alive));
                               EXPECT_EQ(S::join(task), uint64_t{2});
                               const S::Life third = S::life(task);
                               EXPECT_EQ(S::join(third), uint64_t{3});
                               EXPECT_EQ(S::life(task), third);
                               EXPECT_EQ(S::join(third), uint64_t{3});
                               EXPECT_EQ(S::join(first), error(JoinError::not_alive));
                             },
                             {.priority = 2});
  kernel.boot_with(joiner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(joiner.finishes, 1);
}

// An interrupt at every instant of the end, which spawns it anew as soon as that is possible.
TEST(Join, GetsTheValueOfItsLifeHoweverSoonTheNextBegins) {
  int respawned = 0;
  for (uint64_t when = 100; when < 220; ++when) {
    K kernel({.call_cost = ticks(1)});
    int lives = 0;
    auto& task = kernel.make("task",
                             [&] {
                               const int life = ++lives;
                               Sim::spend(ticks(60));
                               S::exit(static_cast<uint64_t>(life));
                             },
                             {.priority = 1});
    auto& joiner = kernel.make("joiner",
                               [&] {
                                 kernel.spawn(task);
                                 EXPECT_EQ(S::join(task), uint64_t{1}) << when;
                               },
                               {.priority = 2});
    kernel.on_device = [&](uint32_t, auto&) {
      if (lives == 1 && kernel.try_spawn(task).has_value()) ++respawned;
    };
    kernel.world.raise_at(0, 1, at(when));
    kernel.boot_with(joiner);
    ASSERT_EQ(kernel.run(), End::quiet) << when;
    EXPECT_EQ(joiner.finishes, 1) << when;
  }
  EXPECT_GT(respawned, 0);
}

// Requests for a life that is over do nothing to the one after it.
TEST(Life, OfBeforeIsNotWokenCancelledOrKilled) {
  K kernel;
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_EQ(S::park_until(at(1000)), Woken::by_timeout);
                             EXPECT_FALSE(S::current().kill_requested());
                           },
                           {.priority = 3});
  auto& other = kernel.make("other",
                            [&] {
                              kernel.spawn(task);
                              const S::Life first = S::life(task);
                              S::sleep_until(at(1100));
                              EXPECT_EQ(task.finishes, 1);
                              S::wake(first);
                              kernel.spawn(task);
                              S::wake(first);
                              S::cancel_wait(first);
                              S::kill(first);
                              EXPECT_EQ(S::usage(kernel.cpu(0)).stale, 4u);
                            },
                            {.priority = 2});
  task.body = [&, body = task.body] {
    if (task.finishes == 0) return body();
    EXPECT_EQ(S::park_until(at(2000)), Woken::by_timeout);
    EXPECT_FALSE(S::current().kill_requested());
  };
  kernel.boot_with(other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 2);
}

// A finished task keeps its exit value where a living one keeps what it waits in. While there is
// mail for it, behind other mail, it still looks alive to its own CPU.
TEST(Join, AnyExitValueIsHarmlessToLateRequests) {
  int asked = 0;
  for (const uint64_t value : {uint64_t{0}, uint64_t{3}, ~uint64_t{0}}) {
    for (uint64_t when = 1150; when < 1250; ++when) {
      K kernel({.cpus = 2, .interleave = 0, .call_cost = ticks(1), .kick_latency = ticks(500)});
      auto& task = kernel.make("task",
                               [&] {
                                 Sim::spend(ticks(150));
                                 S::exit(value);
                               },
                               {.priority = 1});
      auto& sleeper = kernel.make("sleeper", [&] { S::park(); }, {.priority = 2});
      auto& waker = kernel.make("waker",
                                [&] {
                                  S::wake(sleeper);
                                  S::wake(task);
                                  EXPECT_EQ(S::join(task), value);
                                },
                                {.priority = 1});
      kernel.on_device = [&](uint32_t, auto&) {
        if (S::state(task) != State::finished || !task.ownership().is_alive()) return;
        ++asked;
        S::cancel_wait(task);
        S::wake(task);
        S::kill(task);
        S::suspend(task);
      };
      kernel.world.raise_at(0, 1, at(when));
      kernel.boot([&] {
        kernel.spawn_on(1, waker);
        kernel.spawn(sleeper);
        kernel.spawn(task);
      });
      ASSERT_EQ(kernel.run(), End::quiet);
      EXPECT_EQ(waker.finishes, 1);
      EXPECT_EQ(task.finishes, 1);
    }
  }
  EXPECT_GT(asked, 0);
}

// ---- Bonds ----

struct LoggedBond : Bond {
  LoggedBond(K& kernel, std::string name)
      : Bond([](Bond& self) {
          auto& bond = static_cast<LoggedBond&>(self);
          const Sim::Irq irq = Sim::mask();
          EXPECT_EQ(irq, Sim::Irq::unmasked);
          Sim::unmask(irq);
          bond.kernel.log(bond.name + " by " + S::current().name());
          if (bond.then) bond.then();
        }),
        kernel(kernel),
        name(std::move(name)) {}
  K& kernel;
  std::string name;
  std::function<void()> then;
};

TEST(Bond, AreAbandonedYoungestFirstByTheTaskThatEnds) {
  K kernel;
  LoggedBond a(kernel, "a"), b(kernel, "b"), c(kernel, "c"), d(kernel, "d");
  auto& task = kernel.make("task",
                           [&] {
                             for (auto* bond : {&a, &b, &c, &d}) S::bind(*bond);
                             S::unbind(b);
                             S::unbind(d);
                             S::bind(b);
                             // Around a wait.
                             S::sleep_for(ticks(100));
                             S::unbind(a);
                             S::bind(a);
                           },
                           {.priority = 1});
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"a by task", "b by task", "c by task"}));
}

// Whoever is called may block, unbind another one, or bind one more. Only then is the value told.
TEST(Bond, ThatIsAbandonedMayDoWhatATaskDoes) {
  K kernel;
  LoggedBond a(kernel, "a"), b(kernel, "b"), c(kernel, "c"), d(kernel, "d");
  d.then = [&] {
    S::sleep_for(ticks(100));
    S::unbind(b);
    S::bind(c);
  };
  auto& task = kernel.make("task",
                           [&] {
                             for (auto* bond : {&a, &b, &d}) S::bind(*bond);
                             S::exit(3);
                           },
                           {.priority = 1});
  auto& joiner = kernel.make("joiner",
                             [&] {
                               EXPECT_EQ(S::join(task), uint64_t{3});
                               kernel.log("joined");
                             },
                             {.priority = 2});
  kernel.boot_with(task, joiner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"d by task", "c by task", "a by task", "joined"}));
}

TEST(Bond, IsForgottenWithTheLife) {
  K kernel;
  LoggedBond a(kernel, "a");
  auto& task = kernel.make("task",
                           [&] {
                             if (kernel.threads[0].finishes == 0) S::bind(a);
                           },
                           {.priority = 1});
  auto& other = kernel.make("other",
                            [&] {
                              kernel.spawn(task);
                              S::join(task).value();
                              kernel.spawn(task);
                            },
                            {.priority = 2});
  kernel.boot_with(other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 2);
  EXPECT_EQ(kernel.lines, Lines{"a by task"});
}

TEST(Bond, OfNobodyCannotBeUnbound) {
  K kernel;
  LoggedBond a(kernel, "a"), b(kernel, "b");
  auto& task = kernel.make("task", [&] {
    S::bind(a);
    S::unbind(b);
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(),
            (Panic{"unlock of what another task holds, or unbind of its bond", "task"}));
}

// ---- Several CPUs ----

// Everybody joins everybody's lives while they end and begin anew: a value is always that of the
// life that was asked for.
TEST(Join, AcrossCpusIsOfTheRightLife) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    constexpr int kTasks = 3, kLives = 6;
    int lives[kTasks] = {};
    int values = 0, timeouts = 0, late = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < kTasks; ++i) {
      tasks.push_back(&kernel.make("task",
                                   [&, i] {
                                     ++lives[i];
                                     Sim::spend(ticks(static_cast<uint64_t>(20 + 13 * i)));
                                     S::exit(S::life(S::current()).generation);
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.on_finish = [&](K::Thread& thread) {
      for (int i = 0; i < kTasks; ++i) {
        if (&thread == tasks[static_cast<size_t>(i)] && lives[i] < kLives) {
          kernel.spawn_on(static_cast<CpuNumber>((i + lives[i]) % 3), thread);
        }
      }
    };
    std::vector<K::Thread*> joiners;
    for (int j = 0; j < 6; ++j) {
      joiners.push_back(&kernel.make(
          "joiner",
          [&, j] {
            for (int round = 0; round < 8; ++round) {
              auto& task = *tasks[static_cast<size_t>((j + round) % kTasks)];
              const S::Life life = S::life(task);
              const Joined joined = S::join(life, round % 3 == 0 ? S::now() + ticks(30) : never);
              if (joined.has_value()) {
                EXPECT_EQ(*joined, life.generation);
                ++values;
              } else {
                ++(joined.error() == JoinError::timed_out ? timeouts : late);
                EXPECT_TRUE(joined.error() == JoinError::timed_out ||
                            joined.error() == JoinError::not_alive);
              }
            }
          },
          {.priority = static_cast<uint16_t>(j)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < kTasks; ++i) kernel.spawn_on(static_cast<CpuNumber>(i), *tasks[i]);
      for (size_t j = 0; j < 6; ++j) kernel.spawn_on(static_cast<CpuNumber>(j % 3), *joiners[j]);
    });
    ASSERT_EQ(kernel.run(), End::quiet);
    for (auto* joiner : joiners) ASSERT_EQ(joiner->finishes, 1);
    EXPECT_EQ(values + timeouts + late, 48);
    EXPECT_GT(values, 0);
  }
}

}  // namespace
}  // namespace sched::test
