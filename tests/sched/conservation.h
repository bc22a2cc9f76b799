// That no CPU idles for long while a floating task that it may take waits on another one: looked at
// before each machine call, as what tests/sched/invariants.h says, and beside it.
//
// The bound is that of docs/many_cpus.md. A CPU with somebody to give away gives one away each
// period, as long as there is an idle one to have him. So whoever could be given away, as his
// policy says (`surplus`), has not waited beside an idle CPU for longer than a period, and one for
// each that has gone from there meanwhile.
//
//     Conservation conservation(kernel, period, from);   // before `run`; by `from` all balance
//
// Without stalls that is exact: interrupts are never masked for any time. What comes then, the way,
// is the mail's.

#ifndef BATON_TESTS_SCHED_CONSERVATION_H_
#define BATON_TESTS_SCHED_CONSERVATION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "sched/mailbox.h"
#include "tests/sched/kernel.h"

namespace sched::test {

template <typename K>
class Conservation {
 public:
  using S = typename K::S;
  using P = typename S::Policy;
  using CpuSet = typename S::CpuSet;
  using Thread = typename K::Thread;

  Conservation(K& kernel, Duration period, Instant from)
      : kernel_(kernel),
        period_(period),
        from_(from),
        gone_(kernel.count()),
        others_(std::exchange(kernel.on_step, [this] { look(); })) {}
  ~Conservation() { kernel_.on_step = std::move(others_); }
  Conservation(const Conservation&) = delete;
  Conservation& operator=(const Conservation&) = delete;

  /// How many have gone that waited beside an idle CPU, and how long any has waited so.
  uint64_t moved() const { return moved_; }
  Duration longest() const { return longest_; }

 private:
  struct Wait {
    CpuNumber at = kNoOwner;  // the CPU whose it is, or was last
    bool is_on = false;       // beside an idle CPU, and since when
    Instant since = {};
    uint64_t gone = 0;  // from that CPU, by then
  };

  void look() {
    if (others_) others_();
    const Instant now = kernel_.world.now();
    if (now < from_ || testing::Test::HasFailure()) return;
    CpuSet idle;
    for (CpuNumber cpu = 0; cpu < kernel_.count(); ++cpu) {
      const auto& at = kernel_.cpu(cpu);
      if (at.current() == &at.idle() && !at.has_mail()) idle.insert(cpu);
    }
    waits_.resize(kernel_.threads.size());
    for (size_t i = 0; i < waits_.size(); ++i) {
      const CpuNumber owner = kernel_.threads[i].ownership().owner();
      if (owner != waits_[i].at) go(waits_[i], owner);
    }
    for (size_t i = 0; i < waits_.size(); ++i) {
      Wait& wait = waits_[i];
      Thread& thread = kernel_.threads[i];
      if (!is_surplus(thread, idle, now)) {
        wait.is_on = false;
      } else if (!wait.is_on) {
        wait = {.at = wait.at, .is_on = true, .since = now, .gone = gone_[wait.at]};
      } else {
        longest_ = std::max(longest_, now - wait.since);
        const uint64_t before = gone_[wait.at] - wait.gone;
        EXPECT_LE(now - wait.since, Duration{(1 + before) * period_.ticks})
            << thread.text << " waits on CPU " << wait.at << " beside an idle one, " << before
            << " others have gone\n"
            << kernel_.world;
      }
    }
  }

  void go(Wait& wait, CpuNumber to) {
    if (wait.at < kernel_.count() && to < kernel_.count()) ++gone_[wait.at];
    if (wait.is_on) ++moved_;
    wait = Wait{.at = to};
  }

  // Whether its CPU has somebody else to run, and it could run at once on an idle one.
  bool is_surplus(Thread& thread, CpuSet idle, Instant now) {
    const Ownership seen = thread.ownership();
    if (seen.owner() >= kernel_.count() || seen.pending() != request::none) return false;
    if (!thread.floats || thread.kill_requested()) return false;
    auto& cpu = kernel_.cpu(seen.owner());
    idle.erase(seen.owner());
    if (idle.empty() || cpu.current() == &thread || S::state(thread) != State::ready) return false;
    if ((S::affinity(thread) & idle).empty()) return false;
    return cpu.policy().surplus(
               [&](const typename P::Entity& entity) {
                 return &entity == static_cast<typename P::Entity*>(&thread);
               },
               now) != nullptr;
  }

  K& kernel_;
  const Duration period_;
  const Instant from_;
  std::vector<uint64_t> gone_;
  std::vector<Wait> waits_;
  std::function<void()> others_;
  uint64_t moved_ = 0;
  Duration longest_;
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_CONSERVATION_H_
