// Acts of waiting: for an instant, for a lock that somebody less urgent has, and for a lock that
// lends.

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_demo/kernel.h"
#include "kernel_demo/tour/acts.h"
#include "kernel_demo/tour/report.h"
#include "kernel_demo/tour/timeline.h"
#include "sched/sync/mutex.h"
#include "sched/sync/semaphore.h"

namespace demo::tour {
namespace {

using Kernel = demo::Kernel<sched::FixedPriority>;
using S = Kernel::S;

constinit Timeline timeline;

Duration own_run() { return S::usage(S::current()).run; }

// ---- Sleeping

constexpr uint64_t kPeriodMs = 5;
constexpr std::array<const char*, Timeline::kLanes> kSleepers = {"until", "for", "load", nullptr};

struct Sleeper {
  uint64_t turns = 0;
  Duration latest;  // from when it should have begun, by the wall
};
constinit std::array<Sleeper, 2> sleepers{};
constinit Instant curtain;

// A millisecond of work every five; the one sleeps until an instant, the other for a while.
void work_and_sleep(void* argument) {
  const auto lane = reinterpret_cast<uintptr_t>(argument);
  Sleeper& self = sleepers[lane];
  for (Instant due = curtain; !timeline.is_full(); due = due + milliseconds(kPeriodMs)) {
    self.latest = S::now() - due;
    ++self.turns;
    timeline.work(lane, own_run, milliseconds(1));
    if (lane == 0) {
      S::sleep_until(due + milliseconds(kPeriodMs));
    } else {
      S::sleep_for(milliseconds(kPeriodMs));
    }
  }
}

bool sleeping() {
  const uint64_t before = Kernel::finished();
  sleepers = {};
  // The clock goes on while the CPU idles, as fast as the host's; with this it goes by
  // instructions.
  Kernel::spawn(kSleepers[2],
                [](void*) {
                  while (!timeline.is_full()) timeline.mark(2, "▁");
                },
                nullptr, {.priority = 1});
  for (size_t lane = 0; lane < sleepers.size(); ++lane) {
    Kernel::spawn(kSleepers[lane], work_and_sleep, reinterpret_cast<void*>(lane),
                  {.priority = static_cast<uint16_t>(20 - lane)});
  }
  timeline.begin(milliseconds(1));
  curtain = S::now();
  Kernel::wait_for_finished(before + 3);
  timeline.print(kSleepers, 3);
  const auto& [until, length] = sleepers;
  kit::print(
      "\n  Both work 1 ms every {} ms. `until` sleeps until the next instant of a grid: {}\n"
      "  turns, the last {} late. `for` sleeps {} ms after its work: {} turns, the\n"
      "  last {} late.\n",
      kPeriodMs, until.turns, to_text(until.latest), kPeriodMs, length.turns,
      to_text(length.latest));
  return until.turns == Timeline::kColumns / kPeriodMs && until.latest < milliseconds(1) &&
         length.turns < until.turns && length.latest > milliseconds(kPeriodMs);
}

// ---- Priority inversion

constexpr std::array<const char*, Timeline::kLanes> kNames = {"high", "middle", "low", nullptr};
constexpr uint64_t kMiddleMs = 24;

/// One permit: a lock that does not know who has it, and so cannot lend.
class PermitLock {
 public:
  void lock() { permits_.take(); }
  void unlock() { permits_.give(); }

 private:
  sched::Semaphore<S> permits_{1};
};

/// How long high waits for a lock that low has, while middle has work to do.
template <typename Lock>
struct Three {
  static inline constinit Lock lock;
  static inline constinit Instant start;
  static inline constinit Duration waited;

  /// Comes `after` so many milliseconds, and works so long with the lock.
  static Duration with_lock(size_t lane, uint64_t after, uint64_t work) {
    S::sleep_until(start + milliseconds(after));
    const Instant asked = S::now();
    lock.lock();
    const Duration waited = S::now() - asked;
    if (waited >= milliseconds(1)) timeline.waited(lane, asked);
    timeline.work(lane, own_run, milliseconds(work), "▓");
    lock.unlock();
    return waited;
  }

  static void be_high(void*) { waited = with_lock(0, 6, 8); }
  static void be_middle(void*) {
    S::sleep_until(start + milliseconds(10));
    timeline.work(1, own_run, milliseconds(kMiddleMs));
  }
  static void be_low(void*) {
    with_lock(2, 0, 16);
    timeline.work(2, own_run, milliseconds(6));
  }

  static Duration run() {
    const uint64_t before = Kernel::finished();
    timeline.begin(milliseconds(1));
    start = S::now();
    Kernel::spawn(kNames[0], be_high, nullptr, {.priority = 30});
    Kernel::spawn(kNames[1], be_middle, nullptr, {.priority = 20});
    Kernel::spawn(kNames[2], be_low, nullptr, {.priority = 10});
    Kernel::wait_for_finished(before + 3);
    timeline.print(kNames, 3);
    return waited;
  }
};

bool inversion() {
  const Duration middle = milliseconds(kMiddleMs);
  kit::print("  ▓ works with the lock, ░ waits for it, █ works without; middle never wants it\n\n");
  const Duration without = Three<PermitLock>::run();
  kit::print(
      "\n  A semaphore as the lock: high waits {}. Middle, less urgent than high,\n"
      "  keeps low from its work, and so high from the lock.\n\n",
      to_text(without));
  const Duration with = Three<sched::Mutex<S>>::run();
  kit::print(
      "\n  A mutex as the lock: high waits {}. While it does, low counts as much as\n"
      "  high, and goes before middle.\n",
      to_text(with));
  return without > middle && with < middle;
}

constexpr Act kActs[] = {
    {"Sleeping", "periods that are instants do not drift", sleeping},
    {"Priority inversion", "who waits for a mutex waits for its owner only", inversion},
};

}  // namespace

void play_waiting() { play("fixed priorities", kActs); }

}  // namespace demo::tour
