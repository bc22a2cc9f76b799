// Runs what the pages of the policies draw, on the simulated machine, and compares each drawing
// with its page.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/classes.h"
#include "sched/policy/edf.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/lottery.h"
#include "sched/policy/mlfq.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/stride.h"
#include "sched/policy/vtime.h"
#include "sched/scheduler.h"
#include "tests/docs/lifo.h"

namespace {

using hal::sim::Machine;

constexpr uint64_t kMillisecond = 1'000'000;  // in ticks of the simulated clock
constexpr size_t kLength = 16;

constexpr hal::Duration ms(uint64_t count) { return hal::Duration{count * kMillisecond}; }

// When a task comes, how long it works, and what it is to its policy.
template <sched::Policy P>
struct Job {
  const char* name;
  uint64_t arrival;
  uint64_t work;
  typename P::Attributes attributes = {};
};

// The life of each job, a line each: `#` it runs, `.` it waits.
template <sched::Policy P>
class Timeline {
 public:
  using S = sched::Scheduler<Machine, P>;

  explicit Timeline(std::initializer_list<Job<P>> jobs) {
    for (const Job<P>& job : jobs) actors_.emplace_back(job);
  }

  P& policy() { return cpu_.policy(); }

  std::string draw() {
    hal::sim::World world({.interrupt = [this](hal::Interrupt i) { return interrupt(i); },
                           .preempt = [] { S::preempt(); }});
    world.boot(0, [this] {
      S::start({&cpu_, 1}, 0, [](typename S::Task& task) {
        Actor& actor = static_cast<Actor&>(task);
        const size_t end = (S::now().ticks + kMillisecond / 2) / kMillisecond;
        for (size_t t = actor.job.arrival; t < end; ++t) {
          if (actor.row[t] == ' ') actor.row[t] = '.';
        }
      });
      S::run();
    });
    for (size_t i = 0; i < actors_.size(); ++i) {
      world.raise_at(0, static_cast<uint32_t>(i),
                     hal::Instant{1 + actors_[i].job.arrival * kMillisecond});
    }
    EXPECT_EQ(world.run(), hal::sim::End::quiet);
    std::string drawing = "ms  0    5    10   15\n";
    for (const Actor& actor : actors_) {
      const std::string row = actor.row.substr(0, actor.row.find_last_not_of(' ') + 1);
      drawing += std::string(actor.job.name) + "   " + row + "\n";
    }
    return drawing;
  }

 private:
  struct Actor : S::Task {
    explicit Actor(const Job<P>& job) : S::Task(job.name), job(job) {}
    const Job<P> job;
    hal::sim::Stack stack;
    std::string row = std::string(kLength, ' ');
  };

  // Line i: the arrival of the job number i.
  bool interrupt(hal::Interrupt interrupt) {
    typename S::Interrupt guard;
    switch (interrupt.cause) {
      case hal::Cause::timer: S::on_timer(); break;
      case hal::Cause::kick: S::on_kick(); break;
      default: {
        Actor& actor = actors_[interrupt.line];
        EXPECT_TRUE(S::spawn(actor, actor.stack, work, &actor, actor.job.attributes).has_value());
      }
    }
    return guard.leave();
  }

  static void work(void* argument) {
    Actor& actor = *static_cast<Actor*>(argument);
    // In small steps, so that each millisecond in which the task runs has the beginning of one.
    constexpr uint64_t kSteps = 10;
    for (uint64_t i = 0; i < kSteps * actor.job.work; ++i) {
      actor.row.at((S::now().ticks - 1) / kMillisecond) = '#';
      Machine::spend(hal::Duration{kMillisecond / kSteps});
    }
  }

  typename S::Cpu cpu_;
  std::deque<Actor> actors_;
};

// What the pages say of sizes.
static_assert(sizeof(sched::Fifo::Entity) == 16);
static_assert(sizeof(sched::RoundRobin::Entity) == 24);
static_assert(sizeof(sched::FixedPriority::Entity) == 24);
static_assert(sizeof(sched::FixedPriorityThreshold::Entity) == 24);
static_assert(sizeof(sched::FixedPriority) == 8256);
static_assert(sizeof(sched::Mlfq::Entity) == 40);
static_assert(sizeof(sched::Mlfq) == 176);
static_assert(sizeof(sched::Stride::Entity) == 64);
static_assert(sizeof(sched::Stride) == 64);
static_assert(sizeof(sched::Lottery::Entity) == 56);
static_assert(sizeof(sched::Lottery) == 40);
static_assert(sizeof(sched::Eevdf::Entity) == 112);
static_assert(sizeof(sched::Eevdf) == 128);
static_assert(sizeof(sched::Vtime::Entity) == 48);
static_assert(sizeof(sched::Vtime) == 40);
static_assert(sizeof(sched::Budgeted<sched::Fifo>::Entity) - sizeof(sched::Fifo::Entity) == 152);
static_assert(sizeof(sched::Budgeted<sched::Fifo, 1>::Entity) - sizeof(sched::Fifo::Entity) == 104);
static_assert(sizeof(sched::Budgeted<sched::Fifo>) - sizeof(sched::Fifo) == 48);
static_assert(sizeof(sched::Classes<sched::FixedPriority, sched::RoundRobin>::Entity) == 56);
static_assert(sizeof(sched::Classes<sched::Fifo, sched::Fifo>) - 2 * sizeof(sched::Fifo) == 128);
static_assert(sizeof(sched::Classes<sched::Fifo, sched::Fifo, sched::Fifo>) -
                  3 * sizeof(sched::Fifo) ==
              200);

void expect_in_page(const std::string& drawing, const std::string& page) {
  std::ifstream file("docs/policies/" + page);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find("```text\n" + drawing + "```\n"), std::string::npos)
      << page << " does not show what happens:\n"
      << drawing;
}

TEST(Timelines, Fifo) {
  Timeline<sched::Fifo> timeline({{"a", 0, 6}, {"b", 2, 4}, {"c", 3, 2}});
  expect_in_page(timeline.draw(), "fifo.md");
}

TEST(Timelines, RoundRobin) {
  const sched::RoundRobin::Attributes two = {.slice = ms(2)};
  Timeline<sched::RoundRobin> timeline({{"a", 0, 6, two}, {"b", 3, 3, two}, {"c", 4, 1, two}});
  expect_in_page(timeline.draw(), "round_robin.md");
}

TEST(Timelines, FixedPriority) {
  Timeline<sched::FixedPriority> timeline(
      {{"a", 0, 6, {.priority = 1}}, {"b", 2, 3, {.priority = 5}}, {"c", 4, 2, {.priority = 9}}});
  expect_in_page(timeline.draw(), "fixed_priority.md");
}

TEST(Timelines, FixedPriorityThreshold) {
  Timeline<sched::FixedPriorityThreshold> timeline({{"a", 0, 6, {.priority = 1, .threshold = 5}},
                                                    {"b", 2, 3, {.priority = 5}},
                                                    {"c", 4, 2, {.priority = 9}}});
  expect_in_page(timeline.draw(), "fixed_priority.md");
}

TEST(Timelines, Mlfq) {
  Timeline<sched::Mlfq> timeline({{"a", 0, 10}, {"b", 1, 3}, {"c", 10, 1}});
  for (uint8_t level = 0; level < 8; ++level) timeline.policy().set_quantum(level, ms(2 << level));
  timeline.policy().set_boost({});
  expect_in_page(timeline.draw(), "mlfq.md");
}

TEST(Timelines, Stride) {
  Timeline<sched::Stride> timeline(
      {{"a", 0, 8, {.tickets = 3}}, {"b", 0, 5, {.tickets = 2}}, {"c", 0, 3, {.tickets = 1}}});
  timeline.policy().set_quantum(ms(1));
  expect_in_page(timeline.draw(), "stride.md");
}

TEST(Timelines, Lottery) {
  Timeline<sched::Lottery> timeline(
      {{"a", 0, 8, {.tickets = 3}}, {"b", 0, 5, {.tickets = 2}}, {"c", 0, 3, {.tickets = 1}}});
  timeline.policy().set_quantum(ms(1));
  timeline.policy().set_seed(1);
  expect_in_page(timeline.draw(), "lottery.md");
}

TEST(Timelines, Edf) {
  using sched::Overrun;
  for (const Overrun overrun : {Overrun::throttle, Overrun::postpone}) {
    Timeline<sched::Edf> timeline(
        {{"a", 0, 5, {.runtime = ms(2), .period = ms(6), .overrun = overrun}},
         {"b", 1, 5, {.runtime = ms(6), .period = ms(14)}}});
    expect_in_page(timeline.draw(), "edf.md");
  }
}

TEST(Timelines, Eevdf) {
  using Policy = sched::Eevdf;
  for (const uint64_t slice : {1, 4}) {
    Timeline<Policy> timeline({{"a", 0, 7, {.slice = ms(4)}},
                               {"b", 0, 7, {.slice = ms(4)}},
                               {"c", 5, 2, {.slice = ms(slice)}}});
    timeline.policy().set_quantum(ms(4));
    expect_in_page(timeline.draw(), "eevdf.md");
  }
}

TEST(Timelines, Vtime) {
  Timeline<sched::Vtime> timeline({{"a", 0, 8, {.weight = 2048}}, {"b", 0, 4}, {"c", 5, 4}});
  timeline.policy().set_slice(ms(1));
  expect_in_page(timeline.draw(), "vtime.md");
}

TEST(Timelines, Sporadic) {
  Timeline<sched::Budgeted<sched::FixedPriority>> timeline(
      {{"a", 0, 5, {.inner = {.priority = 9}, .budget = ms(3), .period = ms(8)}},
       {"b", 0, 8, {.inner = {.priority = 1}}}});
  expect_in_page(timeline.draw(), "sporadic.md");
}

TEST(Timelines, Classes) {
  using Policy = sched::Classes<sched::Fifo, sched::Fifo>;
  Timeline<Policy> timeline({{"a", 0, 10, Policy::in<0>()}, {"b", 1, 5, Policy::in<1>()}});
  timeline.policy().set_reserve_below<0>(ms(2), ms(8));
  expect_in_page(timeline.draw(), "classes.md");
}

TEST(Timelines, Lifo) {
  Timeline<Lifo> timeline({{"a", 0, 6}, {"b", 2, 4}, {"c", 3, 2}});
  expect_in_page(timeline.draw(), "../writing_a_policy.md");
}

}  // namespace
