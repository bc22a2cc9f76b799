// The shell is a task that parks until the console's interrupt wakes it. Under fixed priorities it
// is above all it commands; under the others it takes turns with them. `policy` exchanges the
// policy under the running tasks.
//
// A task that it spawns computes until it is killed. Under fifo, where nobody is preempted, it
// yields from time to time: a shell needs a CPU too.
//
// Of several CPUs the shell has the first; on each other one it has a task that does for it what is
// only done there.

#include "kernel_demo/shell/shell.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>
#include <variant>

#include "kernel_demo/crash.h"
#include "kernel_demo/kernel.h"
#include "kernel_demo/registers.h"
#include "kernel_demo/shell/line_editor.h"
#include "kernel_demo/table.h"
#include "kernel_demo/user/processes.h"
#include "kernel_demo/words.h"
#include "sched/sync/mutex.h"

namespace demo {
namespace {

class Shell {
  using Kernel = demo::Kernel<Exchangeable>;
  using S = typename Kernel::S;
  using Task = typename Kernel::Task;
  using Attributes = typename Kernel::Attributes;
  using Traits = Kernel::Traits;
  using State = sched::State;
  using Processes = demo::Processes<Kernel>;
  static constexpr size_t kLongestName = 15;

 public:
  /// Begins under this policy, which is one of the exchangeable.
  [[noreturn]] static void begin(PolicyName policy, unsigned cpus) {
    static constinit PolicyName first{};
    first = policy;
    Kernel::boot([](void*) { serve(first); }, nullptr, cpus);
  }

 private:
  struct Command {
    const char* name;
    const char* form;
    const char* meaning;
    void (*run)(std::string_view words);
  };

  static size_t policy_now() { return Kernel::cpu().policy().index(); }

  /// On all CPUs; the shell's own last: `compute` looks there, and a hand may need its yields.
  static void exchange(size_t index) {
    for (const CpuNumber cpu : std::views::reverse(Kernel::cpus())) {
      on_cpu(cpu, [index] {
        S::adjust([index](Exchangeable& policy, Instant now) {
          Traits::exchange(policy, index, now, milliseconds(kUsualSliceMs));
        });
      });
    }
  }

  // ---- Other CPUs

  /// A task on each other CPU, as urgent as the shell, for what only a task there may do.
  struct Hand {
    Task* task;
    std::atomic<void (*)(void*)> errand;  // null: it is done
    void* argument;
  };
  static inline constinit std::array<Hand, kCpus> hands_{};
  static inline constinit Task* shell_ = nullptr;

  static bool has_many_cpus() { return Kernel::cpus().size() > 1; }

  // Their names have a blank, so that no command can name them.
  static void spawn_hands() {
    shell_ = &S::current();
    for (const CpuNumber cpu : Kernel::cpus().subspan(1)) {
      hands_[cpu].task = Kernel::spawn_on(cpu, Text("hand {}", cpu), lend_hand, &hands_[cpu],
                                          Traits::attributes(kTopRank, milliseconds(1)));
    }
  }

  static void lend_hand(void* argument) {
    Hand& self = *static_cast<Hand*>(argument);
    for (;;) {
      const auto errand = self.errand.load(std::memory_order_acquire);
      if (errand == nullptr) {
        S::park();
        continue;
      }
      errand(self.argument);
      self.errand.store(nullptr, std::memory_order_release);
      S::wake(*shell_);
    }
  }

  /// Calls `function` in a task of that CPU, and waits until it has returned.
  template <typename F>
  static void on_cpu(CpuNumber cpu, F function) {
    Hand& hand = hands_[cpu];
    if (hand.task == nullptr) return function();  // the shell's own
    hand.argument = &function;
    hand.errand.store([](void* f) { (*static_cast<F*>(f))(); }, std::memory_order_release);
    S::wake(*hand.task);
    while (hand.errand.load(std::memory_order_acquire) != nullptr) S::park();
  }

  static CpuNumber cpu_of(const Task& task) { return S::usage(task).cpu; }

  /// The CPU that has the fewest tasks.
  static CpuNumber emptiest_cpu() {
    std::array<size_t, kCpus> tasks{};
    Kernel::for_each_task([&](const Task& task) { ++tasks[cpu_of(task)]; });
    return *std::ranges::min_element(Kernel::cpus(), {}, [&](CpuNumber cpu) { return tasks[cpu]; });
  }

  static std::span<const Command> commands() {
    static constexpr Command kCommands[] = {
        {"ps", "", "the tasks there are, and what they do", ps},
        {"top", "", "who had the CPUs since the last top", top},
        {"spawn", "[name]", "a task that computes until it is killed", spawn},
        {"lock", "[name]", "the same with a mutex: waits while another has it", lock},
        {"run", "[program]", "a process of a user program, with a number as its argument", run},
        {"nice", "name", "another priority, weight or length of turns", nice},
        {"kill", "name", "asks a task to finish", kill},
        {"suspend", "name", "keeps a task from running", suspend},
        {"resume", "name", "takes back one suspend", resume},
        {"policy", "[name]", "the policy; with a name: that one takes over", policy},
        {"stats", "", "what each CPU has done, and how long tasks waited for it", stats},
        {"crash", "[way]", "goes wrong, to see the diagnosis", crash},
        {"help", "", "this", help},
        {"exit", "", "ends the machine", [](std::string_view) { kit::finish(true); }},
    };
    return kCommands;
  }

  // ---- Reading

  [[noreturn]] static void serve(PolicyName first) {
    S::current().set_name("shell");
    Kernel::set_reader(&S::current());
    // The shell's own turns: short, so that others are not held up by long output.
    S::retune(S::current(), Traits::attributes(kTopRank, milliseconds(kUsualSliceMs)));
    spawn_hands();
    exchange(static_cast<size_t>(first));
    kit::listen();
    Processes::start();
    kit::print("\nA shell under {}{}; `help` says what it can do.\n", Traits::name(policy_now()),
               has_many_cpus() ? Text(" on {} CPUs", Kernel::cpus().size()) : Text(""));
    for (;;) {
      kit::print("baton> ");
      obey(read_line());
    }
  }

  static std::string_view read_line() {
    static constinit LineEditor editor;
    for (;;) {
      const int c = kit::read();
      if (c < 0) {
        S::park();
        continue;
      }
      const LineEditor::Event event = editor.feed(static_cast<char>(c));
      kit::write(editor.echo());
      if (event == LineEditor::Event::end) kit::finish(true);
      if (event != LineEditor::Event::none) return editor.line();
    }
  }

  static void obey(std::string_view line) {
    const std::string_view name = take_word(line);
    if (name.empty()) return;
    for (const Command& command : commands()) {
      if (name == command.name) return command.run(line);
    }
    kit::print("{}: no such command; `help` lists them\n", name);
  }

  // ---- Tasks

  static Attributes usual() { return Traits::attributes(100, milliseconds(kUsualSliceMs)); }

  static void compute(void*) {
    uint64_t rounds = 0;
    while (!S::current().kill_requested()) {
      hold_registers(++rounds, 1'000);
      if (policy_now() == static_cast<size_t>(PolicyName::fifo)) S::yield();
    }
  }

  /// The same with the mutex that they have in common, once this one has it: what `acquire` answers
  /// is beyond the analysis.
  [[clang::no_thread_safety_analysis]] static void compute_locked(void*) {
    static constinit sched::Mutex<S> mutex;
    if (!has(mutex.acquire())) return;  // it was killed before it came to that
    mutex.assert_held();
    compute(nullptr);
    mutex.unlock();
  }

  /// Those below the shell, too.
  static void let_others_run() { S::sleep_for(milliseconds(1)); }

  static Task* find(std::string_view name) {
    Task* found = nullptr;
    Kernel::for_each_task([&](Task& task) {
      if (name == task.name()) found = &task;
    });
    if (found == nullptr) kit::print("{}: no such task; `ps` lists them\n", name);
    return found;
  }

  /// Attributes from the next word; `fallback` where there is none. Says what is wrong with it.
  static std::optional<Attributes> read_attributes(std::string_view& words,
                                                   const Attributes& fallback) {
    const std::string_view word = take_word(words);
    if (word.empty()) return fallback;
    const Knob knob = Traits::knob(policy_now());
    if (*knob.number == '\0') {
      kit::print("{}: under {} a task has no attributes\n", word, Traits::name(policy_now()));
      return {};
    }
    const auto number = read_number(word, knob.most);
    if (!number || *number < knob.least) {
      kit::print("{}: {} is a number from {} to {}\n", word, knob.number, knob.least, knob.most);
      return {};
    }
    Attributes attributes = fallback;
    Traits::set(attributes, policy_now(), *number);
    return attributes;
  }

  static bool is_end(std::string_view words) {
    const std::string_view word = take_word(words);
    if (!word.empty()) kit::print("{}: that is a word too many\n", word);
    return word.empty();
  }

  // ---- Commands

  static void spawn(std::string_view words) { spawn_with(compute, words); }

  static void lock(std::string_view words) { spawn_with(compute_locked, words); }

  static void spawn_with(hal::Entry entry, std::string_view words) {
    static constinit unsigned number = 0;
    const std::string_view given = take_word(words);
    const Text name = given.empty() ? Text("task{}", ++number) : Text("{}", given);
    bool taken = false;
    Kernel::for_each_task([&](Task& task) { taken |= std::string_view(name) == task.name(); });
    if (taken) return kit::print("{}: there is a task of this name\n", name);
    if (given.size() > kLongestName) {
      return kit::print("{}: a name has at most {} characters\n", given, kLongestName);
    }
    const auto attributes = read_attributes(words, usual());
    if (!attributes || !is_end(words)) return;
    const CpuNumber cpu = emptiest_cpu();
    const auto task = Kernel::try_spawn_on(cpu, name, entry, nullptr, *attributes);
    if (!task) return kit::print("{}: {}\n", name, task.error());
    kit::print("{}: spawned{}\n", name, has_many_cpus() ? Text(" on CPU {}", cpu) : Text(""));
    let_others_run();  // it may want to begin before the next prompt
  }

  static void run(std::string_view words) {
    const std::string_view name = take_word(words);
    const std::string_view given = take_word(words);
    if (name.empty()) {
      kit::print("programs:");
      for (const Program& program : programs()) kit::print(" {}", program.name);
      return kit::print("\n");
    }
    const auto argument = given.empty() ? std::optional(0u) : read_number(given, UINT32_MAX);
    if (!argument) return kit::print("{}: the argument is a number below 2^32\n", given);
    if (!is_end(words)) return;
    {
      const typename S::NoPreempt guard;  // it must not end before its number was printed
      constexpr uint64_t kNobody = 0;     // waits for its end
      const auto process = Processes::spawn(name, *argument, kNobody, usual());
      if (!process) {
        return kit::print("{}: {}\n", name,
                          process.error() == user::Error::no_program
                              ? "no such program; `run` lists them"
                              : "there is no room for another process");
      }
      kit::print("{}: process {}\n", name, (*process)->id);
    }
    let_others_run();
  }

  static void nice(std::string_view words) {
    const std::string_view name = take_word(words);
    if (name.empty()) return kit::print("usage: nice name {}\n", Traits::knob(policy_now()).number);
    Task* const task = find(name);
    if (task == nullptr) return;
    Attributes before;
    on_cpu(cpu_of(*task), [&] { before = S::attributes(*task); });
    const auto attributes = read_attributes(words, before);
    if (!attributes || !is_end(words)) return;
    bool done = false;
    on_cpu(cpu_of(*task), [&] { done = S::retune(*task, *attributes); });
    if (!done) return kit::print("{}: refused\n", name);
    kit::print("{}: {}, was {}\n", name, Traits::describe(*attributes, policy_now()),
               Traits::describe(before, policy_now()));
  }

  static void kill(std::string_view words) {
    const std::string_view name = take_word(words);
    if (name.empty()) return kit::print("usage: kill name\n");
    Task* const task = find(name);
    if (task == nullptr || !is_end(words)) return;
    if (task == &S::current()) return kit::print("that is the shell; `exit` ends it\n");
    const uint64_t finished = Kernel::finished();
    S::kill(*task);
    // Under fixed priorities it may be below others that never end: then it takes as long as that.
    let_others_run();
    kit::print("{}: {}\n", name, Kernel::finished() > finished ? "finished" : "told to finish");
  }

  static void suspend(std::string_view words) {
    Task* const task = find_other(words, "suspend");
    if (task == nullptr) return;
    on_cpu(cpu_of(*task), [task] {
      kit::print("{}: {}\n", task->name(),
                 S::suspend(*task) ? "suspended" : "has been suspended too often");
    });
  }

  static void resume(std::string_view words) {
    Task* const task = find_other(words, "resume");
    if (task == nullptr) return;
    on_cpu(cpu_of(*task), [task] {
      const bool was = S::resume(*task);
      const State now = S::state(*task);
      const bool is = now == State::suspended || now == State::suspended_blocked;
      kit::print("{}: {}\n", task->name(),
                 !was ? "was not suspended"
                 : is ? "is still suspended"
                      : "not suspended any more");
    });
  }

  /// The one task that the words name; null, and said what is wrong, if it is not another one's.
  static Task* find_other(std::string_view words, const char* command) {
    const std::string_view name = take_word(words);
    if (name.empty()) {
      kit::print("usage: {} name\n", command);
      return nullptr;
    }
    Task* const task = find(name);
    if (task == nullptr || !is_end(words)) return nullptr;
    if (task != &S::current()) return task;
    kit::print("that is the shell\n");
    return nullptr;
  }

  /// What a task counts for with all that waiters lend it: its policy's word for it.
  static Text counts_as(Task& task) {
    const S::Masked masked;
    Text text;
    const S::Claim claim = S::claim(task);
    Traits::at(claim.index(), [&](auto index) {
      const auto& own = *std::get_if<index>(&claim);
      using Own = std::remove_cvref_t<decltype(own)>;
      if constexpr (std::is_integral_v<Own>) text = Text("{}", own);
      if constexpr (std::is_same_v<Own, Instant>) {
        const Instant now = S::now();
        text = own == sched::never ? Text("no time")
               : own < now         ? Text("overdue")
                                   : Text("in {}", to_text(own - now));
      }
    });
    return text;
  }

  static void ps(std::string_view words) {
    if (!is_end(words)) return;
    kit::print("  {:<16}{:<15}{:<9}{:<10}{:>9}{:>7}{:>6}{:>6}\n", "task", "state",
               Traits::knob(policy_now()).column, "counts as", "ran", "invol.", "vol.",
               has_many_cpus() ? "CPU" : "stack");
    for (const CpuNumber cpu : Kernel::cpus()) {
      on_cpu(cpu, [cpu] {
        Kernel::for_each_task([cpu](Task& task) {
          const sched::Usage usage = S::usage(task);
          if (usage.cpu != cpu) return;
          kit::print("  {:<16}{:<15}{:<9}{:<10}{:>9}{:>7}{:>6}{:>6}\n", task.name(),
                     to_string(S::state(task)), Traits::describe(S::attributes(task), policy_now()),
                     counts_as(task), to_text(usage.run), usage.involuntary, usage.voluntary,
                     has_many_cpus() ? cpu : Kernel::stack_of(task));
          Kernel::describe_process(task);
        });
      });
      kit::print("  {:<50}{:>9}{:>19}\n", "idle", to_text(S::usage(Kernel::cpu(cpu)).idle),
                 has_many_cpus() ? Text("{}", cpu) : Text(""));
    }
  }

  static void top(std::string_view words) {
    if (!is_end(words)) return;
    // What each had used at the last top, by the place of its stack.
    static constinit std::array<Duration, kStacks + kCpus> before{};
    std::array<Row, kStacks + 1> rows;
    size_t count = 0;
    const auto add = [&](const char* name, Duration run, size_t place) {
      // A place that a new task has taken begins at nothing.
      const Duration last = run < before[place] ? Duration{} : before[place];
      before[place] = run;
      Row& row = rows[count++];
      row.name = name;
      row.usage.run = Duration{run.ticks - last.ticks};
    };
    for (const CpuNumber cpu : Kernel::cpus()) {
      count = 0;
      {
        const typename S::NoPreempt guard;
        Kernel::for_each_task([&](Task& task) {
          const sched::Usage usage = S::usage(task);
          if (usage.cpu == cpu) add(task.name(), usage.run, Kernel::stack_of(task));
        });
        add("idle", S::usage(Kernel::cpu(cpu)).idle, kStacks + cpu);
      }
      print_heading(cpu);
      print_chart(std::span(rows).first(count));
    }
  }

  /// Of what is said of each CPU, where there are several.
  static void print_heading(CpuNumber cpu) {
    if (has_many_cpus()) kit::print("  ── CPU {} {}\n", cpu, kit::Repeat{"─", 67});
  }

  static void stats(std::string_view words) {
    if (!is_end(words)) return;
    for (const CpuNumber cpu : Kernel::cpus()) {
      print_heading(cpu);
      const typename S::CpuUsage usage = S::usage(Kernel::cpu(cpu));
      kit::print("  busy {}, idle {}\n", to_text(usage.busy), to_text(usage.idle));
      kit::print("  switches: {} voluntary, {} involuntary, {} of them preemptions\n",
                 usage.voluntary, usage.involuntary, usage.preemptions);
      kit::print("  wakes {}, of tasks that were not alive {}, finished tasks {}\n", usage.wakes,
                 usage.stale, Kernel::finished());
      if (has_many_cpus()) {
        kit::print("  tasks gone to other CPUs {}, come from there {}; kicks sent {}, spared {}\n",
                   usage.departures, usage.arrivals, usage.kicks, usage.spared);
      }
      kit::print("  ready before running:\n");
      print_histogram(S::latency(Kernel::cpu(cpu)));
    }
  }

  static void policy(std::string_view words) {
    const std::string_view name = take_word(words);
    if (name.empty()) {
      kit::print("{}; there are", Traits::name(policy_now()));
      for (size_t i = 0; i < Exchangeable::kPolicies; ++i) kit::print(" {}", Traits::name(i));
      return kit::print("\n");
    }
    if (!is_end(words)) return;
    for (size_t i = 0; i < Exchangeable::kPolicies; ++i) {
      if (name != Traits::name(i)) continue;
      exchange(i);
      size_t tasks = 0;
      Kernel::for_each_task([&](Task&) { ++tasks; });
      return kit::print("{} takes over {} {}\n", name, tasks, tasks == 1 ? "task" : "tasks");
    }
    kit::print("{}: no such policy; `policy` lists them\n", name);
  }

  static void crash(std::string_view words) {
    const std::string_view name = take_word(words);
    if (const auto* const way = Crash<Exchangeable>::find(name))
      return Crash<Exchangeable>::go(*way);
    if (!name.empty()) kit::print("{}: no such way\n", name);
    kit::print("ways to crash:\n");
    for (const auto& way : Crash<Exchangeable>::kWays)
      kit::print("  {:<10} {}\n", way.name, way.what);
  }

  static void help(std::string_view) {
    for (const Command& command : commands()) {
      const bool takes = command.run == spawn || command.run == lock || command.run == nice;
      const Text form("{} {}", command.form,
                      takes ? Text("[{}]", Traits::knob(policy_now()).number) : Text(""));
      kit::print("  {:<8}{:<22}{}\n", command.name, form, command.meaning);
    }
  }
};

}  // namespace

void run_shell(const Arguments& arguments) {
  if (static_cast<size_t>(arguments.policy) >= Exchangeable::kPolicies) {
    kit::print("\nthe shell exchanges policies, and {} is not one of those that it can:",
               policy_names()[static_cast<size_t>(arguments.policy)]);
    for (size_t i = 0; i < Exchangeable::kPolicies; ++i) kit::print(" {}", policy_names()[i]);
    kit::print("\n");
    kit::finish(false);
  }
  Shell::begin(arguments.policy, arguments.cpus);
}

}  // namespace demo
