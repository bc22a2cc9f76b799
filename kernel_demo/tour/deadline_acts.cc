// Acts of classes: deadlines that hold under load, and what is left for those who have none.

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_demo/kernel.h"
#include "kernel_demo/tour/acts.h"
#include "kernel_demo/tour/report.h"
#include "kernel_demo/tour/timeline.h"

namespace demo::tour {
namespace {

using P = DeadlinesAndShares;
using Kernel = demo::Kernel<P>;
using S = Kernel::S;

constinit Timeline timeline;

constexpr std::array<const char*, Timeline::kLanes> kNames = {"audio", "video", "load", "more"};

// A task that has a job to do in each of its periods. Its yield is the end of a job: the next one
// begins with the next period.
struct Periodic {
  uint64_t period_ms;
  uint64_t work_us;
  uint64_t jobs = 0;
  uint64_t late = 0;
};
constinit std::array<Periodic, 2> periodic{};

Duration own_run() { return S::usage(S::current()).run; }

void do_jobs(void* lane) {
  const auto number = reinterpret_cast<uintptr_t>(lane);
  Periodic& self = periodic[number];
  const Duration period = milliseconds(self.period_ms);
  for (Instant deadline = S::now() + period; !timeline.is_full(); deadline = deadline + period) {
    timeline.work(number, own_run, microseconds(self.work_us));
    ++self.jobs;
    if (S::now() > deadline) ++self.late;
    S::yield();
  }
}

void compute(void* lane) {
  while (!timeline.is_full()) timeline.mark(reinterpret_cast<uintptr_t>(lane));
}

bool deadlines() {
  periodic = {Periodic{.period_ms = 5, .work_us = 900},
              Periodic{.period_ms = 15, .work_us = 4'800}};
  const uint64_t before = Kernel::finished();
  Kernel::Task* load;
  {
    const S::NoPreempt guard;
    for (size_t lane = 0; lane < periodic.size(); ++lane) {
      const Periodic& p = periodic[lane];
      Kernel::spawn(kNames[lane], do_jobs, reinterpret_cast<void*>(lane),
                    P::in<0>({.runtime = microseconds(p.work_us + 100),
                              .period = milliseconds(p.period_ms)}));
    }
    load = Kernel::spawn(kNames[2], compute, reinterpret_cast<void*>(2), P::in<1>());
    Kernel::spawn(kNames[3], compute, reinterpret_cast<void*>(3), P::in<1>());
    timeline.begin(milliseconds(1));
  }
  Kernel::wait_for_finished(before + 4);
  timeline.print(kNames, 4);
  kit::print("\n");
  for (size_t lane = 0; lane < periodic.size(); ++lane) {
    const Periodic& p = periodic[lane];
    kit::print("  {} does {} us of work every {} ms: {} jobs, {} late.\n", kNames[lane], p.work_us,
               p.period_ms, p.jobs, p.late);
  }
  return periodic[0].jobs >= 12 && periodic[1].jobs >= 4 && periodic[0].late == 0 &&
         periodic[1].late == 0 && S::usage(*load).run > milliseconds(10);
}

// A deadline task that never ends a job gets what it has reserved, and no more.
bool runaway() {
  const uint64_t before = Kernel::finished();
  Kernel::Task* greedy;
  Duration ran;
  {
    const S::NoPreempt guard;
    greedy = Kernel::spawn("greedy", compute, reinterpret_cast<void*>(0),
                           P::in<0>({.runtime = milliseconds(4), .period = milliseconds(10)}));
    Kernel::spawn("load", compute, reinterpret_cast<void*>(1), P::in<1>());
    timeline.begin(milliseconds(1));
  }
  Kernel::wait_for_finished(before + 2);
  ran = S::usage(*greedy).run;
  timeline.print({"greedy", "load", nullptr, nullptr}, 2);
  kit::print("\n  greedy reserved 4 ms in 10 and wants all: it had {} of 60 ms.\n", to_text(ran));
  const bool refused =
      !Kernel::try_spawn("too much", compute, nullptr,
                         P::in<0>({.runtime = milliseconds(95), .period = milliseconds(100)}));
  kit::print("  Somebody who asked for 95 % beside the others was {}.\n",
             refused ? "refused" : "ADMITTED");
  return refused && ran >= milliseconds(22) && ran <= milliseconds(26);
}

constexpr Act kActs[] = {
    {"Deadlines", "whoever was admitted meets every deadline", deadlines},
    {"Isolation", "who wants more than it reserved harms nobody", runaway},
};

}  // namespace

void play_deadlines() { play("deadlines above shares", kActs); }

}  // namespace demo::tour
