// However much mail a CPU gets, its tasks have half of its time; and mail that rests is not lost.

#include "sched/mail_share.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/round_robin.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"
#include "tests/sched/seeds.h"

namespace sched::test {
namespace {

using internal::MailShare;

class Mail {
 public:
  // A piece that takes so long.
  bool handle(Duration length, bool more) {
    now_ = now_ + length;
    EXPECT_TRUE(share_.has_turn());
    share_.handled(more, now_);
    return !share_.has_turn() && !share_.weigh(now_);
  }
  // Tasks have some time.
  void pause(Duration length) { now_ = now_ + length; }
  // Pieces that follow each other, the last one alone: how long mail rests after them.
  Duration rest_after(unsigned pieces) {
    for (unsigned i = 1; i < pieces; ++i) EXPECT_FALSE(handle(ticks(10), true));
    return handle(ticks(10), false) ? share_.rests_until() - now_ : ticks(0);
  }

  MailShare& share() { return share_; }

 private:
  MailShare share_;
  Instant now_ = at(1000);
};

// The first of them counts for nothing: that others wait is known at its end.
TEST(MailShare, RestsForAsLongAsMailTookWithoutAPause) {
  EXPECT_EQ(Mail().rest_after(MailShare::kPieces), ticks(0));
  EXPECT_EQ(Mail().rest_after(MailShare::kPieces + 1), ticks(MailShare::kPieces * 10));
}

TEST(MailShare, CountsWhatTasksHadInBetween) {
  constexpr uint64_t kMail = MailShare::kPieces * 10;
  for (const uint64_t pause : {uint64_t{0}, kMail / 2, kMail}) {
    Mail mail;
    EXPECT_EQ(mail.rest_after(MailShare::kPieces / 2 + 1), ticks(0));
    mail.pause(ticks(pause));
    // With what the first one after it takes.
    const uint64_t had = std::min(pause + 10, kMail);
    EXPECT_EQ(mail.rest_after(MailShare::kPieces / 2 + 1), ticks(kMail - had));
  }
}

TEST(MailShare, BeginsAnewAfterARest) {
  Mail mail;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(mail.rest_after(MailShare::kPieces + 1), ticks(MailShare::kPieces * 10));
    EXPECT_TRUE(mail.share().rests());
    EXPECT_FALSE(mail.share().has_turn());
    mail.share().end_rest();
    EXPECT_FALSE(mail.share().rests());
    mail.pause(ticks(1000));
  }
}

constexpr CpuNumber kSenders = 3;
constexpr size_t kTargets = 32;
constexpr Duration kTime = ticks(150'000);

// A kernel in which mail takes time, as every machine call does, and comes to CPU 0 faster than
// that can handle it: from three others that wake its tasks without a pause.
class Flood : public Kernel<RoundRobin> {
 public:
  explicit Flood(uint64_t seed)
      : Kernel({.cpus = kSenders + 1, .seed = seed, .call_cost = ticks(10), .find_races = true}) {
    for (size_t i = 0; i < kTargets; ++i) {
      make("target " + std::to_string(i), [this, i] {
        while (!is_over_) S::park();
        ++lives_[i];
      });
    }
    for (CpuNumber sender = 1; sender <= kSenders; ++sender) {
      make("sender " + std::to_string(sender),
           [this] {
             while (!is_over_) {
               for (size_t i = 0; i < kTargets; ++i) S::wake(threads[i]);
             }
           },
           {.slice = ticks(1000)});
    }
  }

  // In the task that is to be disturbed: whoever is waked is suspended and asks for no time.
  void begin() {
    for (size_t i = 0; i < kTargets; ++i) {
      spawn(threads[i]);
      S::suspend(threads[i]);
    }
    for (CpuNumber sender = 1; sender <= kSenders; ++sender) {
      spawn_on(sender, threads[kTargets + sender - 1]);
    }
  }
  void end() {
    is_over_ = true;
    for (size_t i = 0; i < kTargets; ++i) S::resume(threads[i]);
    for (size_t i = 0; i < kTargets; ++i) S::wake(threads[i]);
  }

  void run_to_the_end() {
    Invariants invariants(*this);
    finish();
    invariants.expect_nothing_left();
    for (const int lives : lives_) EXPECT_EQ(lives, 1);
  }

 private:
  std::atomic<bool> is_over_ = false;
  std::array<int, kTargets> lives_{};
};
using S = Flood::S;

TEST(Flood, LeavesTasksHalfOfTheTime) {
  for_each_seed([](uint64_t seed) {
    Flood kernel(seed);
    auto& worker = kernel.make("worker", [&] {
      kernel.begin();
      const uint64_t before = kernel.world.report(0).worked.ticks;
      const Instant end = S::now() + kTime;
      while (S::now() < end) Sim::spend(ticks(1000));
      const uint64_t worked = kernel.world.report(0).worked.ticks - before;
      EXPECT_GE(worked, kTime.ticks * 46 / 100);  // reading the clock takes some, too
      EXPECT_LE(worked, kTime.ticks * 60 / 100) << "no flood";
      kernel.end();
    });
    // Its last timer fires while mail rests, under some of the seeds.
    auto& sleeper = kernel.make("sleeper", [&] {
      for (int i = 0; i < 10; ++i) S::sleep_for(ticks(700));
    });
    kernel.boot_with(worker, sleeper);
    kernel.run_to_the_end();
  });
}

// The idle task has to look up from mail, too.
TEST(Flood, LetsATaskWakeUp) {
  for_each_seed([](uint64_t seed) {
    Flood kernel(seed);
    auto& sleeper = kernel.make("sleeper", [&] {
      kernel.begin();
      for (int i = 0; i < 10; ++i) S::sleep_for(ticks(100));
      kernel.end();
    });
    kernel.boot_with(sleeper);
    kernel.run_to_the_end();
  });
}

TEST(Flood, LetsACallIn) {
  for_each_seed([](uint64_t seed) {
    Flood kernel(seed);
    auto& caller = kernel.make("caller", [&] {
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(S::call_on(0, [] {}));
      kernel.end();
    });
    auto& worker = kernel.make("worker", [&] {
      kernel.begin();
      kernel.spawn_on(1, caller);
      while (caller.finishes == 0) Sim::spend(ticks(100));
    });
    kernel.boot_with(worker);
    kernel.run_to_the_end();
  });
}

TEST(Flood, EndsWhereTheCpuGoesOffline) {
  for_each_seed([](uint64_t seed) {
    Flood kernel(seed);
    auto& operator_task = kernel.make("operator", [&] {
      EXPECT_TRUE(S::take_offline(0));
      while (!S::is_offline(0)) S::sleep_for(ticks(1000));
      kernel.end();
    });
    auto& worker = kernel.make("worker", [&] {
      kernel.begin();
      for (int i = 0; i < 30; ++i) Sim::spend(ticks(1000));
      kernel.spawn_on(1, operator_task);
      while (S::here().number == 0) Sim::spend(ticks(1000));
    });
    kernel.boot_with(worker);
    kernel.run_to_the_end();
  });
}

// Calls that take long, from every other CPU: they rest, too, and are answered all the same by a
// CPU that goes offline meanwhile.
TEST(Calls, LeaveTasksTheirTimeAndAreAllAnswered) {
  for_each_seed([](uint64_t seed) {
    Kernel<RoundRobin> kernel(world_of(seed, 4));
    std::atomic<int> answered = 0;
    std::atomic<bool> is_offline = false;
    for (int cpu = 1; cpu < 4; ++cpu) {
      kernel.make("caller", [&] {
        for (int after = 0; after < 40; after += is_offline ? 1 : 0) {
          EXPECT_TRUE(S::call_on(0, [] { Sim::spend(ticks(500)); }));
          ++answered;
        }
      });
    }
    auto& worker = kernel.make("worker", [&] {
      for (CpuNumber cpu = 1; cpu < 4; ++cpu) kernel.spawn_on(cpu, kernel.threads[cpu - 1]);
      const Instant begin = S::now();
      for (int i = 0; i < 100; ++i) Sim::spend(ticks(1000));
      EXPECT_GE(answered, 100);
      EXPECT_LE(S::now() - begin, ticks(300'000));
      EXPECT_TRUE(S::take_offline(0));
      while (!S::is_offline(0)) S::sleep_for(ticks(1000));
      is_offline = true;
    });
    kernel.boot_with(worker);
    kernel.finish();
  });
}

// What has passed while it was offline is no mail's time.
TEST(Offline, EndsWhatWasMeasured) {
  Kernel<RoundRobin> kernel({.cpus = 2, .call_cost = ticks(1), .kick_latency = ticks(2000)});
  bool is_over = false;
  const auto work = [&] {
    while (!is_over) Sim::spend(ticks(100));
  };
  std::array<Kernel<RoundRobin>::Thread*, 3> parked;
  for (auto& task : parked) task = &kernel.make("parked", [] { S::park(); });
  std::array<Kernel<RoundRobin>::Thread*, 2 * MailShare::kPieces> crowd;
  for (auto& task : crowd) task = &kernel.make("one of many", [] {});
  auto& second = kernel.make("second", work, {.slice = ticks(1000)});
  Instant sent;
  auto& late = kernel.make("late", [&] { EXPECT_LE(S::now(), sent + ticks(100'000)); });
  auto& first = kernel.make("first",
                            [&] {
                              // So that there is more mail than one interrupt handles when it goes.
                              const auto irq = Sim::mask();
                              Sim::spend(ticks(20'000));
                              Sim::unmask(irq);
                              work();
                            },
                            {.slice = ticks(1000)});
  auto& operator_task = kernel.make("operator",
                                    [&] {
                                      Sim::spend(ticks(5000));
                                      EXPECT_TRUE(S::take_offline(0));
                                      for (auto* task : parked) S::wake(*task);
                                      while (!S::is_offline(0)) S::sleep_for(ticks(1000));
                                      S::sleep_for(ticks(10'000'000));
                                      EXPECT_TRUE(S::bring_online(0));
                                      while (S::is_offline(0)) S::sleep_for(ticks(1000));
                                      kernel.spawn_on(0, second);
                                      S::sleep_for(ticks(10'000));
                                      for (auto* task : crowd) kernel.spawn_on(0, *task);
                                      S::sleep_for(ticks(10'000));
                                      sent = S::now();
                                      kernel.spawn_on(0, late);
                                      S::sleep_for(ticks(100'000));
                                      is_over = true;
                                    },
                                    {.slice = ticks(1000)});
  kernel.boot([&] {
    for (auto* task : parked) kernel.spawn(*task);
    kernel.spawn(first);
    kernel.spawn_on(1, operator_task);
  });
  kernel.finish();
}

}  // namespace
}  // namespace sched::test
