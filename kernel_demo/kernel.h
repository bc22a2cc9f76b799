// The kernel around a scheduler: a static pool of tasks and stacks, the sink that gives them back,
// interrupts, and what a panic wants to know. The same code under every policy: `Kernel<Policy>`
// changes one alias.

#ifndef BATON_KERNEL_DEMO_KERNEL_H_
#define BATON_KERNEL_DEMO_KERNEL_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "kernel_demo/kit.h"
#include "kernel_demo/machine.h"
#include "kernel_demo/policies.h"
#include "kernel_demo/stacks.h"
#include "kernel_demo/stage.h"
#include "kernel_demo/text.h"
#include "sched/scheduler.h"

namespace demo {

/// `text` of a refused spawn.
constexpr const char* to_string(sched::SpawnError error) {
  switch (error) {
    case sched::SpawnError::already_spawned: return "the task lives already";
    case sched::SpawnError::stack_too_small: return "the stack is too small";
    case sched::SpawnError::bad_attributes: return "the policy refuses these attributes";
    case sched::SpawnError::cpu_not_started: return "there is no such CPU";
  }
  return "unknown error";
}

constexpr const char* to_string(sched::State state) {
  switch (state) {
    case sched::State::fresh: return "fresh";
    case sched::State::ready: return "ready";
    case sched::State::running: return "running";
    case sched::State::blocked: return "blocked";
    case sched::State::finished: return "finished";
    case sched::State::suspended: return "suspended";
    case sched::State::suspended_blocked: return "susp., blocked";
  }
  return "unknown state";
}

/// Everything is static: a `Kernel` has the CPUs while it is the stage. Whatever it does for the
/// current CPU is CPU 0's where nothing else is said.
template <sched::Policy P>
class Kernel {
 public:
  // The one alias that changes.
  using S = sched::Scheduler<Machine, P, sched::Options{.latency = true}>;
  using Task = typename S::Task;
  using Attributes = typename S::Attributes;
  using Traits = PolicyTraits<P>;

  /// Starts this scheduler from nothing, with one task, `main`, above all others. On a stack that
  /// becomes the idle task's: at boot, or where `leave_stage` has led. With more than one of `cpus`
  /// only once, at boot; a CPU that does not start is named, and the rest do without it.
  [[noreturn]] static void boot(hal::Entry main, void* argument = nullptr, unsigned cpus = 1) {
    Machine::mask();
    std::destroy_at(&all_);
    std::construct_at(&all_);
    static constexpr Stage kStage = {
        .interrupt = interrupt,
        .preempt = [] { S::preempt(); },
        .name_of_context = name_of_context,
        .name_of_stack = [](size_t index) -> const char* { return all_.slots[index].name.data(); },
        .name_of_current = [] { return S::current().name(); },
        .print_tasks = print_tasks,
    };
    set_stage(kStage);
    all_.cpus[0].hardware_ids = kit::hardware_ids();
    start_this_cpu(0);
    for (CpuNumber number = 1; number < cpus; ++number) start_cpu(number);
    if (!spawn("main", main, argument, Traits::attributes(kTopRank, hal::forever))) {
      kit::panic("the first task cannot be spawned", nullptr);
    }
    S::run();
  }

  /// Sets this CPU's policy up for turns of this length, where they are the policy's to choose.
  static void prepare(Duration slice) {
    const Machine::Irq irq = Machine::mask();
    Traits::prepare(S::here().policy(), slice);
    Machine::unmask(irq);
  }

  /// Spawns a task of the pool. Null stands for a pool that is empty.
  static std::expected<Task*, const char*> try_spawn(std::string_view name, hal::Entry entry,
                                                     void* argument, const Attributes& attributes) {
    return launch(name, [&](Task& task, std::span<std::byte> stack) {
      return S::spawn(task, stack, entry, argument, attributes);
    });
  }
  static std::expected<Task*, const char*> try_spawn_on(CpuNumber cpu, std::string_view name,
                                                        hal::Entry entry, void* argument,
                                                        const Attributes& attributes) {
    return launch(name, [&](Task& task, std::span<std::byte> stack) {
      return S::spawn_on(cpu, task, stack, entry, argument, attributes);
    });
  }

  static std::expected<Task*, const char*> try_spawn_in(const typename S::Where& where,
                                                        std::string_view name, hal::Entry entry,
                                                        void* argument,
                                                        const Attributes& attributes) {
    return launch(name, [&](Task& task, std::span<std::byte> stack) {
      // From a queue that all share each CPU takes what comes next.
      if constexpr (sched::Shares<P>) {
        return S::spawn(task, stack, entry, argument, attributes);
      } else {
        return S::spawn_in(where, task, stack, entry, argument, attributes);
      }
    });
  }

  /// The same where it cannot go wrong: panics if it does.
  static Task* spawn(std::string_view name, hal::Entry entry, void* argument,
                     const Attributes& attributes) {
    return or_panic(try_spawn(name, entry, argument, attributes));
  }
  static Task* spawn_on(CpuNumber cpu, std::string_view name, hal::Entry entry, void* argument,
                        const Attributes& attributes) {
    return or_panic(try_spawn_on(cpu, name, entry, argument, attributes));
  }

  /// Parks the calling task until `count` tasks in all have reached the sink since the boot.
  static void wait_for_finished(uint64_t count) {
    all_.waiter = &S::current();
    while (finished() < count) S::park();
    all_.waiter = nullptr;
  }

  /// How many tasks have reached the sink since the boot.
  static uint64_t finished() { return all_.finished; }

  /// `function` runs in the interrupt of every kick from here on; null: none does.
  static void at_kick(void (*function)()) { all_.at_kick = function; }

  /// `task` is woken whenever something was typed.
  static void set_reader(Task* task) { all_.reader = task; }

  /// The tasks that live or lie in wait of the sink, a function's call each.
  template <typename Visit>
  static void for_each_task(Visit visit) {
    for (Slot& slot : all_.slots) {
      if (slot.used.load(std::memory_order_acquire)) visit(slot.task);
    }
  }

  /// Which stack of the pool `task` has.
  static size_t stack_of(const Task& task) {
    for (size_t i = 0; i < kStacks; ++i) {
      if (&all_.slots[i].task == &task) return i;
    }
    kit::panic("not a task of the pool", task.name());
  }

  static typename S::Cpu& cpu(CpuNumber number = 0) { return all_.cpus[number]; }

  /// The numbers of the CPUs that have started.
  static std::span<const CpuNumber> cpus() {
    return std::span(all_.started).first(all_.started_count);
  }

  /// What a kernel with user programs wants to be asked (user/processes.h).
  struct ProcessHooks {
    void (*finished)(Task& task);        ///< has reached the sink
    void (*describe)(const Task& task);  ///< prints a line more, if it runs a process
  };
  static void set_processes(const ProcessHooks& hooks) { all_.processes = hooks; }

  /// A line about the process that `task` runs, if it does.
  static void describe_process(const Task& task) {
    if (all_.processes.describe != nullptr) all_.processes.describe(task);
  }

 private:
  struct Slot {
    Task task{"nobody"};
    std::array<char, 16> name{};
    std::atomic<bool> used = false;
  };

  struct All {
    typename S::Cpu cpus[kCpus];
    std::array<CpuNumber, kCpus> started{};
    // Up to which of these is there to be read. The last to write is the CPU that starts.
    std::atomic<size_t> started_count = 0;
    Slot slots[kStacks];
    // Sequentially consistent, both: the sink adds and then looks for a waiter, the waiter says
    // that it waits and then looks at the count.
    std::atomic<uint64_t> finished = 0;
    std::atomic<Task*> waiter = nullptr;
    Task* reader = nullptr;
    void (*at_kick)() = nullptr;
    ProcessHooks processes{};
  };

  static size_t index_of(const Slot& slot) { return static_cast<size_t>(&slot - all_.slots); }

  // On CPU 0. `prepare_cpu` takes from there what the CPUs have in common.
  static void start_cpu(CpuNumber number) {
    Machine::prepare_cpu(all_.cpus[number], all_.cpus[0]);
    const bool runs = kit::start_cpu(number, [](CpuNumber self) {
      start_this_cpu(self);
      S::run();
    });
    if (!runs) return kit::print("CPU {} does not start; the others go on without it.\n", number);
    while (cpus().back() != number) S::relax();
  }

  static void start_this_cpu(CpuNumber number) {
    if constexpr (requires { Traits::join(all_.cpus[number].policy(), number); }) {
      Traits::join(all_.cpus[number].policy(), number);
    }
    S::start(all_.cpus, number, sink);
    prepare(milliseconds(kUsualSliceMs));
    const size_t count = all_.started_count.load(std::memory_order_relaxed);
    all_.started[count] = number;
    all_.started_count.store(count + 1, std::memory_order_release);
  }

  // The first free one: so a stack that was given back is the next one used.
  static Slot* take_slot() {
    for (Slot& slot : all_.slots) {
      if (!slot.used.exchange(true, std::memory_order_acquire)) return &slot;
    }
    return nullptr;
  }

  template <typename Spawn>
  static std::expected<Task*, const char*> launch(std::string_view name, Spawn spawn) {
    Slot* const slot = take_slot();
    if (slot == nullptr) return std::unexpected("all tasks of the pool are in use");
    const size_t size = std::min(name.size(), slot->name.size() - 1);
    std::ranges::copy(name.substr(0, size), slot->name.begin());
    slot->name[size] = '\0';
    slot->task.set_name(slot->name.data());
    const auto spawned = spawn(slot->task, stack(index_of(*slot)));
    if (spawned) return &slot->task;
    slot->used.store(false, std::memory_order_release);
    return std::unexpected(to_string(spawned.error()));
  }

  static Task* or_panic(std::expected<Task*, const char*> task) {
    if (!task) kit::panic(task.error(), S::current().name());
    return *task;
  }

  // If the task still used its stack, this would be its end.
  static void sink(Task& task) {
    if (all_.processes.finished != nullptr) all_.processes.finished(task);
    const size_t index = stack_of(task);
    poison_stack(index);
    all_.slots[index].used.store(false, std::memory_order_release);
    ++all_.finished;
    if (Task* const waiter = all_.waiter; waiter != nullptr) S::wake(*waiter);
  }

  static bool interrupt(uintptr_t source) {
    typename S::Interrupt interrupt;
    const hal::Interrupt cause = Machine::acknowledge(source);
    switch (cause.cause) {
      case hal::Cause::timer: S::on_timer(); break;
      case hal::Cause::kick:
        S::on_kick();
        if (all_.at_kick != nullptr) all_.at_kick();
        break;
      case hal::Cause::device:
        if (kit::console_interrupt(cause) && all_.reader != nullptr) S::wake(*all_.reader);
        Machine::complete(cause);
        break;
      case hal::Cause::none: break;
    }
    return interrupt.leave();
  }

  static const char* name_of_context(const hal::Native::Context* context) {
    for (const CpuNumber number : cpus()) {
      if (context == &all_.cpus[number].idle().context()) return "idle";
    }
    for (const Slot& slot : all_.slots) {
      if (context == &slot.task.context()) return slot.name.data();
    }
    return "(unknown)";
  }

  static void print_tasks() {
    kit::print("tasks under {}:\n", Traits::kName);
    for_each_task([](const Task& task) {
      const sched::Usage usage = S::usage(task);
      kit::print("  {:<12} {:<14} ran {:>10}, {} switches\n", task.name(),
                 to_string(S::state(task)), to_text(usage.run),
                 usage.voluntary + usage.involuntary);
      describe_process(task);
    });
  }

  static inline constinit All all_;
};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_KERNEL_H_
