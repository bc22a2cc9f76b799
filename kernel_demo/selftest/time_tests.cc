// Time, by the machine's own timer: sleeps, waits with an end, and timers, in tasks and from the
// interrupt.
//
// While something is measured a task at the bottom keeps the CPU busy, so that the machine's time
// goes by its instructions and not by the host's.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/kernel.h"
#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"
#include "sched/sync/semaphore.h"

namespace demo::selftest {
namespace {

using Kernel = demo::Kernel<sched::FixedPriority>;
using S = Kernel::S;
using sched::Waited;
using sched::Woken;

/// What an instant may be missed by where nothing else is due: many times what it takes.
Duration grace() { return microseconds(500); }

/// Keeps the CPU busy below everybody else while it lives.
class Load {
 public:
  Load() : before_(Kernel::finished()) {
    over = false;
    Kernel::spawn("load",
                  [](void*) {
                    while (!over) continue;
                  },
                  nullptr, {.priority = 0});
  }
  ~Load() {
    over = true;
    Kernel::wait_for_finished(before_ + 1);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

 private:
  static inline constinit volatile bool over = false;
  const uint64_t before_;
};

/// Runs `body` as a task of its own beside the load until it has finished, and calls `meanwhile`
/// once it has blocked.
void beside(hal::Entry body, void (*meanwhile)(Kernel::Task&)) {
  const Load load;
  const uint64_t before = Kernel::finished();
  Kernel::Task* const task = Kernel::spawn("sleeper", body, nullptr, {.priority = 100});
  while (S::state(*task) != sched::State::blocked) S::sleep_for(microseconds(100));
  meanwhile(*task);
  Kernel::wait_for_finished(before + 1);
}

// ---- Sleeping

void sleeps_end_in_time(Test& test) {
  const Load load;
  for (uint64_t us : {1, 10, 100, 1'000, 5'000}) {
    const Instant end = S::now() + microseconds(us);
    test.expect(S::sleep_until(end) == Waited::timed_out, "the sleep says something else");
    const Instant now = S::now();
    test.expect(now >= end, "it ended before its instant");
    test.expect(now <= end + grace(), "it ended long after its instant");
  }
}

void idle_sleeps_end(Test& test) {
  for (int i = 0; i < 20; ++i) {
    const Instant end = S::now() + microseconds(200);
    test.expect(S::sleep_until(end) == Waited::timed_out, "the sleep says something else");
    test.expect(S::now() >= end, "it ended before its instant");
  }
}

void periods_do_not_drift(Test& test) {
  const Load load;
  const Instant start = S::now();
  Instant next = start;
  for (int i = 0; i < 50; ++i) {
    next = next + microseconds(300);
    spin_for(microseconds(20 * (i % 10)));  // work that takes its time, never the same
    S::sleep_until(next);
  }
  const Duration late = S::now() - next;
  test.expect(late <= grace(), "after fifty periods it is later than one may be");
}

void past_is_no_sleep(Test& test) {
  const uint64_t voluntary = S::usage(S::current()).voluntary;
  test.expect(S::sleep_until(Instant{}) == Waited::timed_out, "the sleep says something else");
  test.expect(S::sleep_for(Duration{}) == Waited::timed_out, "the sleep says something else");
  test.expect(S::park_until(Instant{}) == Woken::by_timeout, "the park says something else");
  test.expect_equal(S::usage(S::current()).voluntary - voluntary, 0, "it gave up the CPU");
}

void parks_end_by_either(Test& test) {
  const Load load;
  S::wake(S::current());
  test.expect(S::park_until(Instant{}) == Woken::by_wake, "a wake before it was lost");
  const Instant end = S::now() + milliseconds(1);
  test.expect(S::park_until(end) == Woken::by_timeout, "nobody woke it, and it was no timeout");
  test.expect(S::now() >= end, "it ended before its instant");
  static constinit Kernel::Task* self = nullptr;
  self = &S::current();
  Kernel::at_kick([] { S::wake(*self); });
  Machine::kick(0);
  test.expect(S::park_until(S::now() + milliseconds(1'000)) == Woken::by_wake,
              "the wake did not end it");
  Kernel::at_kick(nullptr);
}

void wakes_do_not_end_sleeps(Test& test) {
  static constinit Waited how{};
  static constinit Instant end, woke_at;
  static constinit Woken after{};
  beside(
      [](void*) {
        end = S::now() + milliseconds(2);
        how = S::sleep_until(end);
        woke_at = S::now();
        after = S::park_until(Instant{});
      },
      [](Kernel::Task& task) { S::wake(task); });
  test.expect(how == Waited::timed_out && woke_at >= end, "a wake ended it");
  test.expect(after == Woken::by_wake, "the wake was lost");
}

constinit Waited ended_by{};

void sleep_for_ever(void*) { ended_by = S::sleep_until(sched::never); }

void sleeps_can_be_cancelled(Test& test) {
  beside(sleep_for_ever, [](Kernel::Task& task) { S::cancel_wait(task); });
  test.expect(ended_by == Waited::cancelled, "a cancelled sleep does not say so");
  beside(sleep_for_ever, [](Kernel::Task& task) { S::kill(task); });
  test.expect(ended_by == Waited::killed, "a killed sleeper is not told");
}

// ---- Timers

constinit std::array<char, 16> log{};
constinit size_t logged = 0;

/// A timer that writes its letter down, and when.
struct Letter : sched::Timer {
  constexpr explicit Letter(char letter) : Timer(&note), letter(letter) {}

  static void note(Timer& timer) {
    Letter& self = static_cast<Letter&>(timer);
    if (logged < log.size()) log[logged++] = self.letter;
    self.fired = S::now();
  }

  const char letter;
  Instant fired;
};

constinit Letter letters[] = {Letter('a'), Letter('b'), Letter('c'), Letter('d')};

std::string_view text_after(Duration length) {
  spin_for(length);
  const std::string_view text(log.data(), logged);
  logged = 0;
  return text;
}

void timers_fire_in_order(Test& test) {
  auto& [a, b, c, d] = letters;
  const Instant start = S::now() + milliseconds(1);
  S::arm(d, start + milliseconds(2));
  S::arm(b, start + milliseconds(1));
  S::arm(c, start + milliseconds(1));
  S::arm(a, start);
  test.expect(text_after(milliseconds(5)) == "abcd", "not by instant, or equals not as armed");
  test.expect(a.fired >= start && a.fired <= start + grace(), "not at its instant");
  test.expect(d.fired >= start + milliseconds(2), "before its instant");
  S::arm(a, Instant{});
  test.expect(text_after(milliseconds(1)) == "a", "one in the past is not due at once");
}

void cancelled_timers_do_not_fire(Test& test) {
  auto& [a, b, c, d] = letters;
  const Instant soon = S::now() + milliseconds(1);
  for (Letter* letter : {&a, &b, &c}) S::arm(*letter, soon);
  S::arm(d, sched::never);
  test.expect(S::cancel(b), "it was in time, and says that it was not");
  test.expect(S::cancel(d), "one that never comes cannot be cancelled");
  test.expect(!S::cancel(b), "it was in time twice");
  test.expect(text_after(milliseconds(3)) == "ac", "it fired, or the others did not");
  test.expect(!S::cancel(a), "one that has fired was cancelled in time");
}

void armed_timers_are_moved(Test& test) {
  auto& [a, b, c, d] = letters;
  const Instant soon = S::now() + milliseconds(1);
  S::arm(a, soon);
  S::arm(b, soon + milliseconds(1));
  S::arm(a, soon + milliseconds(2));
  test.expect(text_after(milliseconds(5)) == "ba", "it fired when it was armed for first");
}

void timers_arm_themselves(Test& test) {
  static constinit Instant first;
  struct Periodic : sched::Timer {
    constexpr Periodic() : Timer(&tick) {}
    static void tick(Timer& timer) {
      Periodic& self = static_cast<Periodic&>(timer);
      const Duration late = S::now() - timer.when();
      if (late > self.latest) self.latest = late;
      self.count = self.count + 1;
      if (self.count < 20) S::arm(timer, timer.when() + microseconds(200));
    }
    volatile uint64_t count = 0;
    Duration latest;
  };
  static constinit Periodic periodic;
  periodic.count = 0;
  first = S::now() + microseconds(200);
  S::arm(periodic, first);
  test.expect(spin_until(periodic.count, 20), "it stopped");
  test.expect(!periodic.armed(), "it is armed without being told to");
  const Duration all{19 * microseconds(200).ticks};
  test.expect(periodic.when() == first + all, "its periods drift");
  test.expect(periodic.latest <= grace(), "it fired long after its instant");
}

void slack_is_used_and_kept(Test& test) {
  const Duration slack = milliseconds(2);
  const Instant start = S::now() + milliseconds(1);
  std::array<Instant, 4> wanted;
  for (size_t i = 0; i < 4; ++i) {
    wanted[i] = start + microseconds(150 * i);
    S::arm(letters[i], wanted[i], slack);
  }
  test.expect_equal(text_after(milliseconds(5)).size(), 4, "timers that fired");
  size_t instants = 0;
  for (size_t i = 0; i < 4; ++i) {
    const Letter& letter = letters[i];
    test.expect(letter.fired >= wanted[i], "one fired before its instant");
    test.expect(letter.fired <= wanted[i] + slack + grace(), "one fired after its slack");
    const auto is_same = [&](const Letter& other) { return other.when() == letter.when(); };
    instants += std::none_of(letters, letters + i, is_same) ? 1 : 0;
  }
  test.expect(instants < 4, "four that could share an interrupt have one each");
}

// ---- Races

// The timeout and what it waits for come at almost the same instant: before, at, and after it.
void either_ends_a_wait_once(Test& test) {
  struct Giver : sched::Timer {
    constexpr Giver() : Timer(&fire) {}
    static void fire(Timer& timer) { static_cast<Giver&>(timer).semaphore.give(); }
    sched::Semaphore<S> semaphore;
  };
  static constinit Giver giver;
  constexpr uint64_t kRounds = 300;
  uint64_t taken = 0;
  uint64_t timeouts = 0;
  const Load load;
  for (uint64_t i = 0; i < kRounds; ++i) {
    const Instant start = S::now();
    S::arm(giver, start + nanoseconds(95'000 + 500 * (i % 21)));
    const Waited how = giver.semaphore.take_until(start + microseconds(100));
    (how == Waited::done ? taken : timeouts) += 1;
    test.expect(how == Waited::done || how == Waited::timed_out, "it ended by something else");
    while (giver.armed()) spin_for(microseconds(1));
  }
  const uint64_t left = static_cast<uint64_t>(giver.semaphore.permits());
  test.expect_equal(taken + left, kRounds, "permits taken and left");
  test.expect(taken != 0, "none was ever in time");
}

constexpr Case kCases[] = {
    {"a sleep ends at its instant, not before", sleeps_end_in_time},
    {"a sleep ends on an idle CPU", idle_sleeps_end},
    {"periods by instants do not drift", periods_do_not_drift},
    {"an instant that has passed is no wait", past_is_no_sleep},
    {"a park with an end ends by wake or timeout", parks_end_by_either},
    {"a wake does not end a sleep, and is kept", wakes_do_not_end_sleeps},
    {"a sleep is ended by cancel and by kill", sleeps_can_be_cancelled},
    {"timers fire by instant, equals in order of arming", timers_fire_in_order},
    {"a cancelled timer does not fire, and cancel knows", cancelled_timers_do_not_fire},
    {"an armed timer can be armed for another instant", armed_timers_are_moved},
    {"a timer arms itself from its own callback", timers_arm_themselves},
    {"timers with slack share an interrupt, within it", slack_is_used_and_kept},
    {"a wait that races with its timeout ends once", either_ends_a_wait_once},
};

}  // namespace

void run_time_tests() { run_cases("time", kCases); }

}  // namespace demo::selftest
