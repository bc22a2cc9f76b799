// Every task holds a pattern of its own in every register it can, so that a preemption that loses
// one is found, and keeps the CPU until it is taken away.
//
// Where the policy promises shares all work until the same instant, at which one of them writes
// down what each has used: so that the comparison is fair. Under the others each works for a fixed
// time of its own, and what is compared is the order in which they begin and finish.

#include "kernel_demo/threads.h"

#include <algorithm>
#include <functional>
#include <ranges>
#include <type_traits>

#include "kernel_demo/kernel.h"
#include "kernel_demo/registers.h"
#include "kernel_demo/table.h"

namespace demo {
namespace {

template <typename P>
class Threads {
  using Kernel = demo::Kernel<P>;
  using S = typename Kernel::S;
  using Traits = typename Kernel::Traits;
  static constexpr bool kShares = Traits::kPromise == Promise::shares;
  static constexpr bool kPriorities = Traits::kPromise == Promise::priority;

 public:
  [[noreturn]] static void run(const Arguments& arguments) {
    arguments_ = arguments;
    Kernel::boot([](void*) { direct(); });
  }

 private:
  struct Worker {
    typename Kernel::Task* task = nullptr;
    unsigned arrival = 0;
    uint64_t checks = 0;  // of all registers
    uint64_t corrupt = 0;
    Instant began, finished;
    Row row;
  };

  static std::span<Worker> workers() { return std::span(workers_).first(arguments_.tasks); }

  // The first task: has the others work, then looks at what came of it.
  static void direct() {
    const uint64_t ms = uint64_t{arguments_.seconds} * 1'000;
    // Turns are never exactly equal in number: short enough that one more does not matter.
    slice_ = arguments_.slice != 0 ? microseconds(arguments_.slice)
                                   : std::min(milliseconds(kUsualSliceMs),
                                              microseconds(ms * 1'000 / arguments_.tasks / 250));
    quota_ = microseconds(ms * 1'000 / arguments_.tasks);
    kit::print("{} tasks under {} for {} s", arguments_.tasks, Traits::kName, arguments_.seconds);
    if constexpr (kShares) kit::print(", {} a turn", to_text(slice_));
    kit::print(". None of them ever yields.\n\n");

    Kernel::prepare(slice_);
    {
      const typename S::NoPreempt guard;  // so that all begin together
      for (Worker& worker : workers()) {
        worker.arrival = static_cast<unsigned>(&worker - workers_);
        worker.task = Kernel::spawn(Text("worker {}", worker.arrival), work, &worker,
                                    Traits::worker(worker.arrival, arguments_.tasks, slice_));
      }
      end_ = S::now() + milliseconds(ms);
    }
    Kernel::wait_for_finished(arguments_.tasks);

    std::ranges::copy(workers() | std::views::transform(&Worker::row), rows_);
    const auto rows = std::span<const Row>(rows_).first(arguments_.tasks);
    print_table(rows, Traits::kKnob.column);
    kit::print("\n");
    print_chart(rows);
    kit::print("\n");
    const bool kept = check_promise();
    const bool intact = check_registers();
    kit::finish(kept && intact);
  }

  static void work(void* argument) {
    Worker& self = *static_cast<Worker*>(argument);
    self.began = S::now();
    // Odd, large and different for each: no two registers of any two tasks are alike.
    const uint64_t seed = (self.arrival + 1) * 0x9e37'79b9'7f4a'7c15;
    while (!is_done(self)) {
      constexpr uint64_t kSpins = 200;
      self.corrupt |= hold_registers(seed + self.checks, kSpins);
      ++self.checks;
    }
    self.finished = S::now();
    if constexpr (!kShares) self.row = row_of<Kernel>(*self.task);
  }

  static bool is_done(const Worker& self) {
    if constexpr (!kShares) return S::usage(*self.task).run >= quota_;
    if (S::now() < end_) return false;
    const typename S::NoPreempt guard;
    if (!measured_) {
      for (Worker& worker : workers()) worker.row = row_of<Kernel>(*worker.task);
      measured_ = true;
    }
    return true;
  }

  static bool check_promise() {
    if constexpr (kShares) return check_shares();
    return check_order();
  }

  static bool check_shares() {
    const auto rows = std::span<const Row>(rows_).first(arguments_.tasks);
    const uint64_t total = total_run(rows).ticks;
    uint64_t all_parts = 0;
    uint64_t least_parts = UINT64_MAX;
    for (unsigned i = 0; i < rows.size(); ++i) {
      all_parts += Traits::parts(i, arguments_.tasks);
      least_parts = std::min(least_parts, Traits::parts(i, arguments_.tasks));
    }
    const Row* worst = &rows[0];
    uint64_t most = 0;
    for (unsigned i = 0; i < rows.size(); ++i) {
      const uint64_t due = total * Traits::parts(i, arguments_.tasks) / all_parts;
      const uint64_t run = rows[i].usage.run.ticks;
      const uint64_t off = (run > due ? run - due : due - run) * 10'000 / due;
      if (off >= most) {
        most = off;
        worst = &rows[i];
      }
    }
    const uint64_t tolerance = Traits::tolerance(total / slice_.ticks * least_parts / all_parts);
    const bool kept = most <= tolerance;
    kit::print("{}: every share is within {} % of its due ({} is {} % off, the most)\n",
               kept ? "kept" : "BROKEN", hundredths(tolerance), worst->name, hundredths(most));
    return kept;
  }

  static bool check_order() {
    // In the order in which they should have worked, each may begin only when the one before it has
    // finished.
    Worker* order[kMostTasks];
    const auto expected = std::span(order).first(arguments_.tasks);
    std::ranges::transform(workers(), order, [](Worker& worker) { return &worker; });
    if constexpr (kPriorities) {
      const auto priority = [](const Worker* worker) {
        return Traits::worker(worker->arrival, arguments_.tasks, slice_).priority;
      };
      std::ranges::sort(expected, std::greater<>(), priority);
    }
    bool kept = true;
    kit::print("finished:");
    for (const Worker* worker : expected) kit::print(" {}", worker->arrival);
    kit::print("\n");
    for (size_t i = 1; i < expected.size(); ++i) {
      if (expected[i]->began >= expected[i - 1]->finished) continue;
      kit::print("BROKEN: {} began before {} had finished\n", expected[i]->row.name,
                 expected[i - 1]->row.name);
      kept = false;
    }
    if (kept) {
      kit::print("kept: {}\n", kPriorities ? "the highest priority runs first, and to its end"
                                           : "who came first runs first, and to its end");
    }
    return kept;
  }

  static bool check_registers() {
    uint64_t checks = 0;
    uint64_t forced = 0;
    const Worker* corrupt = nullptr;
    for (const Worker& worker : workers()) {
      checks += worker.checks;
      forced += worker.row.usage.involuntary;
      if (worker.corrupt != 0) corrupt = &worker;
    }
    if (corrupt != nullptr) {
      kit::print("BROKEN: registers of {} changed by bits {:#x} of something that interrupted it\n",
                 corrupt->row.name, corrupt->corrupt);
      return false;
    }
    kit::print(
        "kept: registers survive preemption ({} switches by force, {} checks of all of them)\n",
        forced, checks);
    return true;
  }

  static inline constinit Arguments arguments_{};
  static inline constinit Worker workers_[kMostTasks]{};
  static inline constinit Row rows_[kMostTasks]{};
  static inline constinit Instant end_{};
  static inline constinit Duration slice_{};
  static inline constinit Duration quota_{};
  static inline constinit bool measured_ = false;
};

}  // namespace

void run_threads(const Arguments& arguments) {
  with_policy(arguments.policy,
              [&]<typename P>(std::type_identity<P>) { Threads<P>::run(arguments); });
}

}  // namespace demo
