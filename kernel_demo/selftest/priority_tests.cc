// The most urgent runs, from the moment it can: by a wake in a task, in an interrupt, by new
// attributes; and with thresholds, not before it is urgent enough.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/kernel.h"
#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"

namespace demo::selftest {
namespace {

/// A log of single characters, by whoever runs.
class Log {
 public:
  void add(char c) {
    if (size_ < text_.size()) text_[size_++] = c;
  }
  std::string_view text() const { return {text_.data(), size_}; }
  void clear() { size_ = 0; }

 private:
  std::array<char, 32> text_{};
  size_t size_ = 0;
};

constinit Log log;

template <typename P>
struct Priorities {
  using Kernel = demo::Kernel<P>;
  using S = typename Kernel::S;
  using Task = typename Kernel::Task;
  using Attributes = typename Kernel::Attributes;

  static inline constinit Task* high = nullptr;

  static Task* spawn(const char* name, const Attributes& attributes, hal::Entry entry) {
    return Kernel::spawn(name, entry, nullptr, attributes);
  }

  /// Runs `director` as a task of these attributes, beside a parked task of priority 100 that logs
  /// `h` whenever it is woken; returns what was logged when the director and the `children` that it
  /// spawns have finished.
  static std::string_view with_high(hal::Entry director, const Attributes& attributes,
                                    uint64_t children = 0) {
    log.clear();
    const uint64_t before = Kernel::finished();
    high = spawn("high", {.priority = 100}, [](void*) {
      while (S::park() != sched::Woken::by_kill) log.add('h');
    });
    spawn("director", attributes, director);
    Kernel::wait_for_finished(before + 1 + children);
    S::kill(*high);
    Kernel::wait_for_finished(before + 2 + children);
    return log.text();
  }
};

using Plain = Priorities<sched::FixedPriority>;
using Raised = Priorities<sched::FixedPriorityThreshold>;

void wake_preempts_at_once(Test& test) {
  const std::string_view text = Plain::with_high(
      [](void*) {
        log.add('1');
        Plain::S::wake(*Plain::high);
        log.add('2');
        Plain::S::wake(*Plain::high);
        log.add('3');
      },
      {.priority = 50});
  test.expect(text == "1h2h3", "the woken task did not run first");
}

void interrupt_preempts_at_once(Test& test) {
  Plain::Kernel::at_kick([] { Plain::S::wake(*Plain::high); });
  const std::string_view text = Plain::with_high(
      [](void*) {
        for (char c = '1'; c < '5'; ++c) {
          log.add(c);
          Machine::kick(0);
          spin_for(milliseconds(1));
        }
      },
      {.priority = 50});
  Plain::Kernel::at_kick(nullptr);
  test.expect(text == "1h2h3h4h", "the task woken in the interrupt did not run after it");
}

void spawn_preempts_at_once(Test& test) {
  const std::string_view text = Plain::with_high(
      [](void*) {
        log.add('1');
        Plain::spawn("higher", {.priority = 200}, [](void*) { log.add('n'); });
        log.add('2');
        Plain::spawn("lower", {.priority = 20}, [](void*) { log.add('l'); });
        log.add('3');
      },
      {.priority = 50}, 2);
  test.expect(text == "1n23l", "the order of priorities was not kept");
}

void guard_defers(Test& test) {
  const std::string_view text = Plain::with_high(
      [](void*) {
        {
          const Plain::S::NoPreempt outer;
          {
            const Plain::S::NoPreempt inner;
            Plain::S::wake(*Plain::high);
            Plain::S::wake(*Plain::high);
            log.add('1');
          }
          log.add('2');
        }
        log.add('3');
      },
      {.priority = 50});
  // The second wake came while it was ready, so its next park passed: one switch, two rounds.
  test.expect(text == "12hh3", "the switch did not wait for the outer guard, or came twice");
}

void masked_defers(Test& test) {
  const std::string_view text = Plain::with_high(
      [](void*) {
        const Machine::Irq irq = Machine::mask();
        Plain::S::wake(*Plain::high);
        log.add('1');
        Machine::unmask(irq);
        spin_for(milliseconds(1));
        log.add('2');
      },
      {.priority = 50});
  test.expect(text == "1h2", "the switch did not come when interrupts did");
}

void retune_preempts(Test& test) {
  const std::string_view text = Plain::with_high(
      [](void*) {
        Plain::Task* const low = Plain::spawn("low", {.priority = 20}, [](void*) { log.add('l'); });
        log.add('1');
        Plain::S::retune(*low, {.priority = 60});
        log.add('2');
        Plain::S::retune(Plain::S::current(), {.priority = 30});
        log.add('3');
      },
      {.priority = 50}, 1);
  test.expect(text == "1l23", "the raised task did not run at once");
}

void out_of_range_is_refused(Test& test) {
  const auto spawned = Plain::Kernel::try_spawn("never", [](void*) {}, nullptr, {.priority = 256});
  test.expect(!spawned, "priority 256 was accepted");
  test.expect(!Plain::S::retune(Plain::S::current(), {.priority = 1'000}),
              "priority 1000 was accepted");
  test.expect(Plain::S::attributes(Plain::S::current()).priority == kTopRank,
              "a refusal has changed the priority");
}

void below_threshold_waits(Test& test) {
  const std::string_view text = Raised::with_high(
      [](void*) {
        Raised::S::wake(*Raised::high);  // 100, and the threshold is 150
        log.add('1');
        Raised::spawn("above", {.priority = 200}, [](void*) { log.add('a'); });
        log.add('2');
        Raised::S::yield();  // its turn ends: it counts as 50 again
        log.add('3');
      },
      {.priority = 50, .threshold = 150}, 1);
  test.expect(text == "1a2h3", "somebody at or below the threshold preempted");
}

void bad_threshold_is_refused(Test& test) {
  const auto spawned =
      Raised::Kernel::try_spawn("never", [](void*) {}, nullptr, {.priority = 50, .threshold = 40});
  test.expect(!spawned, "a threshold below the priority was accepted");
}

constexpr Case kPriorityCases[] = {
    {"a wake of a higher task switches at once", wake_preempts_at_once},
    {"a wake in an interrupt switches when it ends", interrupt_preempts_at_once},
    {"a spawn of a higher task switches at once", spawn_preempts_at_once},
    {"a guard defers the switch, which comes once", guard_defers},
    {"masked interrupts defer the switch", masked_defers},
    {"a raised priority counts at once", retune_preempts},
    {"a priority out of range is refused", out_of_range_is_refused},
};

constexpr Case kThresholdCases[] = {
    {"only tasks above the threshold preempt", below_threshold_waits},
    {"a threshold below the priority is refused", bad_threshold_is_refused},
};

}  // namespace

void run_priority_tests() { run_cases("priorities", kPriorityCases); }

void run_threshold_tests() { run_cases("thresholds", kThresholdCases); }

}  // namespace demo::selftest
