// Processes on the machine that is being compiled for: what they may do, what they may not, and
// what becomes of the others meanwhile. The guest's argument is the name of an act.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/kernel.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/stacks.h"
#include "kernel_demo/stage.h"
#include "kernel_demo/user/pages.h"
#include "kernel_demo/user/pattern.h"
#include "kernel_demo/user/processes.h"
#include "sched/policy/edf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "tests/kernel_demo/user/acts.h"

namespace {

using demo::kKernel;
using demo::milliseconds;
using user::PatternArgument;
using user_test::Act;

void check(bool holds, const char* what) {
  if (!holds) kit::panic(what, nullptr);
}

/// Under policy `P`. Everything begins in the task `main`, above all others where there are ranks.
template <typename P>
class Acts {
  using Kernel = demo::Kernel<P>;
  using Processes = demo::Processes<Kernel>;
  using S = typename Kernel::S;
  using Traits = typename Kernel::Traits;

 public:
  struct Way {
    std::string_view name;
    void (*go)();
    unsigned cpus = 1;
  };

  [[noreturn]] static void run(const Way& way) {
    static constinit const Way* chosen = nullptr;
    chosen = &way;
    const auto direct = [](void*) {
      Processes::start();
      const size_t before = demo::pages_in_use();
      chosen->go();
      check(demo::pages_in_use() == before, "every page comes back");
      kit::print("all is well\n");
      kit::finish(true);
    };
    Kernel::boot(direct, nullptr, way.cpus);
  }

 private:
  static auto usual() { return Traits::attributes(10, milliseconds(1)); }

  static demo::Process& spawn(std::string_view program, uint64_t argument) {
    const auto process = Processes::spawn(program, argument, kKernel, usual());
    check(process.has_value(), "a process is spawned");
    return **process;
  }
  static demo::Process& spawn(Act act) { return spawn("tester", static_cast<uint64_t>(act)); }

  static int64_t wait(const demo::Process& process) { return Processes::wait(process.id, kKernel); }

  static void expect(Act act, int64_t ending) {
    const int64_t ended = wait(spawn(act));
    if (ended != ending) kit::print("ended with {}\n", ended);
    check(ended == ending, "the tester ends as it should");
  }

  // ---- Preemption

  struct Pattern {
    demo::Process* process;
    typename Kernel::Task* task;
    uint64_t forced;
  };

  static Pattern spawn_pattern(uint16_t first, bool with_fpu) {
    const PatternArgument argument = {
        .first = first, .with_fpu = with_fpu, .quiet = true, .milliseconds = 300};
    demo::Process& process = spawn("pattern", argument.word());
    return {&process, Processes::task_of(process), 0};
  }

  static void end_pattern(Pattern& pattern) {
    check(wait(*pattern.process) == 0, "every register is as it was");
    pattern.forced = S::usage(*pattern.task).involuntary;
  }

  static uint64_t run_patterns(bool first_uses_fpu, bool second_uses_fpu) {
    Pattern first = spawn_pattern(1, first_uses_fpu);
    Pattern second = spawn_pattern(0x101, second_uses_fpu);
    check(first.process->space.find(user::kBegin) != second.process->space.find(user::kBegin),
          "the same address is another page");
    end_pattern(first);
    end_pattern(second);
    check(first.forced >= 50 && second.forced >= 50, "both are preempted");
    kit::print("{} and {} preemptions\n", first.forced, second.forced);
    return first.forced + second.forced;
  }

  static void preemption() { run_patterns(true, true); }

  /// Whoever has never used the FPU pays nothing for it: its registers are neither saved nor
  /// loaded.
  static void no_fpu() {
    const uint64_t before = Machine::fpu_swaps;
    run_patterns(false, false);
    check(Machine::fpu_swaps == before, "nothing is saved or loaded for those who use no FPU");
  }

  /// One user of the FPU among others keeps its registers where they are.
  static void one_fpu() {
    const uint64_t before = Machine::fpu_swaps;
    run_patterns(true, false);
    check(Machine::fpu_swaps == before + 1, "the only user of the FPU loads it once");
  }

  /// Two take turns: each turn is a swap, and no more.
  static void fpu() {
    const uint64_t before = Machine::fpu_swaps;
    const uint64_t forced = run_patterns(true, true);
    const uint64_t swaps = Machine::fpu_swaps - before;
    check(swaps > 20 && swaps <= forced + 8, "a turn is a swap at most");
    expect(Act::fresh_fpu, 0);
  }

  /// A call that takes long is preempted and goes on.
  static void preempted_call() {
    Processes::watch_calls();
    demo::Process& busy =
        spawn("pattern", PatternArgument{.quiet = true, .milliseconds = 100}.word());
    // So that its number is still there when it has ended.
    demo::Process& parent = spawn(Act::long_calls);
    uint64_t preempted = 0;
    while (parent.task != nullptr) {
      preempted = parent.preempted_calls;
      S::sleep_for(milliseconds(1));
    }
    check(wait(parent) == 0, "calls answer as they should");
    check(wait(busy) == 0, "every register is as it was");
    kit::print("{} calls were preempted\n", preempted);
    check(preempted > 0, "some call is preempted");
  }

  // ---- Several CPUs

  static uint64_t arrivals() {
    uint64_t sum = 0;
    for (const auto cpu : Kernel::cpus()) sum += S::usage(Kernel::cpu(cpu)).arrivals;
    return sum;
  }

  /// Processes that are sent from CPU to CPU all the while, with what they have in their registers,
  /// half of them in the FPU's too, in their own spaces. On each CPU they find another one.
  static void migration() {
    check(Kernel::cpus().size() == 4, "there are four CPUs");
    const uint64_t before = arrivals();
    for (size_t round = 0; round < 2 || arrivals() < before + 100; ++round) {
      Pattern patterns[6];
      for (uint16_t i = 0; i < std::size(patterns); ++i) {
        patterns[i] = spawn_pattern(static_cast<uint16_t>(0x101 * i + 1), i % 2 == 0);
      }
      const auto lives = [](const Pattern& pattern) {
        return Processes::task_of(*pattern.process) != nullptr;
      };
      for (size_t step = round; std::ranges::any_of(patterns, lives); ++step) {
        for (size_t i = 0; i < std::size(patterns); ++i) {
          typename S::CpuSet cpus;
          cpus.insert(Kernel::cpus()[(step / (i + 1) + i) % Kernel::cpus().size()]);
          auto* const task = Processes::task_of(*patterns[i].process);
          if (task != nullptr) S::set_affinity(*task, cpus);
        }
        S::sleep_for(milliseconds(1));
      }
      for (Pattern& pattern : patterns) {
        check(wait(*pattern.process) == 0, "every register is as it was");
      }
    }
    // Each has ended somewhere, and all that they do there they can do.
    for (const Act act : {Act::calls, Act::family, Act::fresh_fpu}) expect(act, 0);
  }

  // ---- Faults

  static void faults() {
    // Somebody who has nothing to do with it, all the while.
    demo::Process& bystander =
        spawn("pattern", PatternArgument{.quiet = true, .milliseconds = 200}.word());
    for (const auto& fault : user_test::kFaults) {
      kit::print("-- {}\n", fault.name);
      const demo::Process& process = spawn(fault.act);
      while (process.task != nullptr) S::sleep_for(milliseconds(1));
      const hal::UserTrap trap = process.fault;
      const int64_t ended = wait(process);
      if (fault.act == Act::divide && ended == user_test::kNoTrap)
        continue;  // the machine has none
      check(ended == user::kEndedByFault, "what may not be done ends the process by a fault");
      check(std::string_view(trap.reason).contains(fault.reason),
            "the fault is the one it should be");
    }
    check(wait(bystander) == 0, "nothing else is touched");
  }

  // ---- Limits

  /// With fewer pages than it takes, spawn says so and gives back what it had.
  static void no_pages() {
    const size_t before = demo::pages_in_use();
    for (size_t allowed = 0;; ++allowed) {
      check(allowed < 100, "some number of pages is enough");
      demo::limit_pages(before + allowed);
      const auto process =
          Processes::spawn("tester", static_cast<uint64_t>(Act::calls), kKernel, usual());
      demo::limit_pages(SIZE_MAX);
      if (process) {
        check(allowed > 5, "a process takes some pages");
        check(wait(**process) == 0, "the first that fits runs");
        return;
      }
      check(process.error() == user::Error::no_room, "it says that there is no room");
      check(demo::pages_in_use() == before, "what it had is given back");
    }
  }

  /// A process ends when the kernel asks it to, wherever it is.
  static void kill() {
    for (const Act act : {Act::spin, Act::sleep_long, Act::wait_for_ever}) {
      demo::Process& process = spawn(act);
      S::sleep_for(milliseconds(5));
      check(process.task != nullptr, "it lives");
      S::kill(*Processes::task_of(process));
      for (int ms = 0; process.task != nullptr && ms < 50; ++ms) S::sleep_for(milliseconds(1));
      check(process.task == nullptr, "it ends soon");
      check(wait(process) == user::kKilled, "it was killed");
    }
    // One that has never run.
    const typename S::NoPreempt guard;
    demo::Process& process = spawn(Act::spin);
    S::kill(*Processes::task_of(process));
  }

  /// A process whose parent has ended leaves nothing behind either, not even its place: of these
  /// there are fewer than it takes here.
  static void orphan() {
    for (size_t i = 0; i < demo::kStacks; ++i) expect(Act::orphan, 0);
    S::sleep_for(milliseconds(10));
  }

  /// For the diagnosis: panics while a process is in user mode.
  static void panic() {
    spawn(Act::spin);
    S::sleep_for(milliseconds(5));
    kit::panic("with a process around", nullptr);
  }

  using Machine = demo::Machine;

 public:
  static constexpr Way kWays[] = {
      {"first_entry", [] { expect(Act::first_entry, 0); }},
      {"calls", [] { expect(Act::calls, 0); }},
      {"bad_pointers", [] { expect(Act::bad_pointers, 0); }},
      {"fuzz", [] { expect(Act::fuzz, 0); }},
      {"family", [] { expect(Act::family, 0); }},
      {"words", [] { expect(Act::words, 0); }},
      {"orphan", orphan},
      {"preemption", preemption},
      {"preempted_call", preempted_call},
      {"fpu", fpu},
      {"no_fpu", no_fpu},
      {"one_fpu", one_fpu},
      {"faults", faults},
      {"no_pages", no_pages},
      {"kill", kill},
      {"attributes", [] { expect(Act::attributes, 0); }},
      {"reserve", [] { expect(Act::reserve, 0); }},
      {"panic", panic},
      {"migration", migration, 4},
  };
};

template <typename P>
[[noreturn]] void go(std::string_view name) {
  for (const auto& way : Acts<P>::kWays) {
    if (name == way.name) Acts<P>::run(way);
  }
  kit::panic("there is no such act", nullptr);
}

}  // namespace

void kernel_main() {
  demo::guard_stacks();
  demo::prepare_diagnosis();
  const std::string_view name = kit::arguments();
  if (name == "attributes") go<sched::FixedPriority>(name);
  if (name == "reserve") go<sched::Edf>(name);
  go<sched::RoundRobin>(name);
}
