// Processes under a scheduler: their tasks, their traps and their system calls (abi.h).
//
// A process is a task of the kernel's pool like any other, with its stack as the kernel stack: it
// enters user mode once, and is in the kernel from each trap until that has been dealt with, where
// it may block, be preempted, and go to another CPU like every task. So nothing here knows of
// policies but the one system call that sets attributes.
//
// Where there are several CPUs processes float: each wake looks for the CPU that they best run on,
// and CPUs that have nothing to do are given some. Its one task takes a space along (machine.h), so
// no CPU ever has to be told that a mapping is gone.

#ifndef BATON_KERNEL_DEMO_USER_PROCESSES_H_
#define BATON_KERNEL_DEMO_USER_PROCESSES_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "hal/interrupt.h"
#include "hal/native_user.h"
#include "kernel_demo/kernel.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/text.h"
#include "kernel_demo/user/abi.h"
#include "kernel_demo/user/machine.h"
#include "kernel_demo/user/process.h"
#include "kernel_demo/user/shared_spaces.h"
#include "kernel_demo/user/trap.h"
#include "sched/sync/address_wait.h"
#include "sched/sync/spin_lock.h"

namespace demo {

/// See the head of this file. Everything is static, as `Kernel` is.
template <typename Kernel>
class Processes {
  using S = typename Kernel::S;
  using Task = typename Kernel::Task;
  using Attributes = typename Kernel::Attributes;
  using Traits = typename Kernel::Traits;
  using Error = user::Error;

 public:
  using SharedSpaces = demo::SharedSpaces<Kernel>;

  /// Lets processes run, on every CPU. Once, from a task, before the first `spawn`.
  static void start() {
    Machine::kernel_space = user_machine::space_of(user_machine::top_table());
    set_user_trap(trap);
    Kernel::set_processes({.finished = bury, .describe = describe});
    // Before the CPUs forget what they know of its pages. That there is none is found out later.
    static_cast<void>(load_shared_image());
    for (const CpuNumber cpu : Kernel::cpus()) S::call_on(cpu, start_cpu);
  }

  /// A process of the program with this name, which begins as soon as the policy of the CPU that
  /// gets it lets it; one of another CPU may also refuse it then, and it ends as if it were killed.
  /// From a task. `parent`: the id of the process that may wait for it, `kKernel`, or 0 for nobody:
  /// then its place may be free again as soon as it could run.
  static std::expected<Process*, Error> spawn(std::string_view name, uint64_t argument,
                                              uint64_t parent, const Attributes& attributes) {
    const Program* const program = find_program(name);
    if (program == nullptr) return std::unexpected(Error::no_program);
    Process* const process = take_place();
    if (process == nullptr) return std::unexpected(Error::no_room);
    process->program = program;
    process->parent = parent;
    const char* problem;
    if (!load(*process, program->file(), argument, problem)) {
      if (problem != nullptr) kit::print("program {} {}\n", name, problem);
      free_place(*process);
      return std::unexpected(problem != nullptr ? Error::no_program : Error::no_room);
    }
    const Text task_name("{}.{}", name, process->id);
    const typename S::Where where{.floats = Kernel::cpus().size() > 1};
    const char* refusal;
    {
      // Its task is known before it can end.
      const Guard guard(table_);
      const auto task = Kernel::try_spawn_in(where, task_name, begin, process, attributes);
      if (task) {
        process->task = *task;
        return process;
      }
      refusal = task.error();
    }
    process->space.destroy();
    free_place(*process);
    const bool is_policys =
        refusal == std::string_view(to_string(sched::SpawnError::bad_attributes));
    return std::unexpected(is_policys ? Error::refused : Error::no_room);
  }

  /// What runs a process that lives; null: it has ended.
  static Task* task_of(const Process& process) { return static_cast<Task*>(process.task.load()); }

  /// Waits for the end of `parent`'s child `id`, once; how it ended, as `user::Call::wait` answers.
  /// From a task.
  static int64_t wait(uint64_t id, uint64_t parent) {
    Process* const child = begin_wait(id, parent);
    if (child == nullptr) return static_cast<int64_t>(Error::no_process);
    while (task_of(*child) != nullptr && !S::current().kill_requested()) S::park();
    const Guard guard(table_);
    child->waiter = nullptr;
    if (task_of(*child) != nullptr) return static_cast<int64_t>(Error::no_process);
    const int64_t ending = child->ending;
    clear_place(*child);
    return ending;
  }

  /// The process that `task` runs; null if it runs none.
  static Process* of(const Task& task) {
    const auto found = std::ranges::find_if(
        all_, [&](const Process& process) { return task_of(process) == &task; });
    return found == all_.end() ? nullptr : &*found;
  }

  /// Counts from here on how many system calls of each process were preempted.
  static void watch_calls() { watch_calls_ = true; }

 private:
  /// What lies at the top of a process's kernel stack.
  struct Room {
    hal::UserFrame frame;
    Process* process;
  };

  using Guard = sched::SpinGuard<S>;

  /// On each CPU, masked.
  static void start_cpu() {
    user_machine::start();
    // Whatever it remembers of pages that were mapped for another use.
    Machine::load_space(Machine::kernel_space);
    if constexpr (sched::Donates<typename S::Policy>) {
      if (Kernel::cpus().size() > 1) {
        S::balance(balancers_[S::here().number], milliseconds(kBalanceMs));
      }
    }
  }

  // ---- The table: who is who, and who waits for whom

  static Process* take_place() {
    const Guard guard(table_);
    const auto found = std::ranges::find(all_, 0, &Process::id);
    Process* const place = found == all_.end() ? nullptr : &*found;
    if (place != nullptr) place->id = ++last_id_;
    return place;
  }

  static void free_place(Process& process) {
    const Guard guard(table_);
    clear_place(process);
  }

  static void clear_place(Process& process) __attribute__((requires_capability(table_))) {
    process.program = nullptr;
    process.frame = nullptr;
    process.waiter = nullptr;
    process.uses_fpu = false;
    process.fpu = {};
    process.ending = user::kKilled;
    process.fault = {};
    process.preempted_calls = 0;
    process.shared_space = 0;
    process.has_shared_image = false;
    process.parent = 0;
    process.id = 0;
  }

  static Process* begin_wait(uint64_t id, uint64_t parent) {
    const Guard guard(table_);
    const auto found = std::ranges::find(all_, id, &Process::id);
    if (id == 0 || found == all_.end() || found->parent != parent) return nullptr;
    found->waiter = &S::current();
    return &*found;
  }

  // ---- Life

  [[noreturn]] static void begin(void* argument) {
    Process& self = *static_cast<Process*>(argument);
    Machine::adopt(S::current().context(), self.space.root(), nullptr);
    Machine::mask();
    Room room = {.frame = hal::UserFrame::at_entry(self.entry, user::kStackEnd - 16),
                 .process = &self};
    self.frame = &room.frame;
    hal::UserMode::leave(room.frame, false);
    hal::UserMode::enter(room.frame);
  }

  /// Unmasked.
  [[noreturn]] static void end(Process& self, int64_t ending) {
    self.ending = ending;
    {
      // Nobody will ask about them any more.
      const Guard guard(table_);
      for (Process& other : all_) {
        if (other.parent != self.id) continue;
        other.parent = 0;
        if (task_of(other) == nullptr) clear_place(other);
      }
    }
    S::exit();
  }

  /// From the sink: the task is off its stack. Nobody else looks at what is the process's own.
  static void bury(Task& task) {
    Process* const process = find_of(task);
    if (process == nullptr) return;
    Machine::forget(&process->fpu);
    {
      const typename S::Masked masked;
      Machine::leave_space(process->space.root());
    }
    SharedSpaces::leave(process->shared_space);
    process->space.destroy();
    const Guard guard(table_);
    process->task = nullptr;
    if (process->waiter != nullptr) S::wake(*static_cast<Task*>(process->waiter));
    if (process->parent == 0) clear_place(*process);
  }

  /// The same as `of`, also right after its spawn.
  static Process* find_of(const Task& task) {
    const Guard guard(table_);
    return of(task);
  }

  static void describe(const Task& task) {
    const Process* const process = of(task);
    if (process != nullptr) print_process(*process, task.context().sp);
  }

  // ---- Traps

  static void trap(hal::UserFrame& frame) {
    Process& self = *reinterpret_cast<Room&>(frame).process;
    using Kind = hal::UserTrap::Kind;
    const hal::UserTrap trap = frame.trap();
    switch (trap.kind) {
      case Kind::interrupt:
        if (baton_interrupt(trap.source)) baton_preempt();
        break;
      case Kind::call:
        Machine::unmask(Machine::kUnmasked);
        serve(self, frame);
        Machine::mask();
        break;
      case Kind::fpu:
        self.uses_fpu = true;
        Machine::adopt(S::current().context(), self.space.root(), &self.fpu);
        break;
      case Kind::fault:
        Machine::unmask(Machine::kUnmasked);
        self.fault = trap;
        print_fault(self);
        end(self, user::kEndedByFault);
    }
    if (S::current().kill_requested()) {
      Machine::unmask(Machine::kUnmasked);
      end(self, user::kKilled);
    }
    hal::UserMode::leave(frame, self.uses_fpu);
  }

  static void serve(Process& self, hal::UserFrame& frame) {
    if (!watch_calls_) return frame.answer(static_cast<uint64_t>(call(self, frame)));
    const uint64_t before = S::usage(S::current()).involuntary;
    frame.answer(static_cast<uint64_t>(call(self, frame)));
    if (S::usage(S::current()).involuntary != before) ++self.preempted_calls;
  }

  // ---- System calls

  static int64_t call(Process& self, const hal::UserFrame& frame) {
    const uint64_t first = frame.argument(0);
    const uint64_t second = frame.argument(1);
    const uint64_t third = frame.argument(2);
    switch (static_cast<user::Call>(frame.number())) {
      case user::Call::print: return print(self, first, second);
      case user::Call::yield: S::yield(); return 0;
      case user::Call::sleep: return sleep(first);
      case user::Call::exit: end(self, static_cast<int64_t>(first % user::kStatuses));
      case user::Call::spawn: return spawn_child(self, first, second, third);
      case user::Call::wait: return wait(first, self.id);
      case user::Call::time: return static_cast<int64_t>(to_nanoseconds(Duration{S::now().ticks}));
      case user::Call::self: return static_cast<int64_t>(self.id);
      case user::Call::wait_word: return wait_word(self, first, second, third);
      case user::Call::wake_word: return wake_word(self, first, second);
      case user::Call::attributes: return set_attributes(first);
      case user::Call::map_shared: return map_shared(self, first);
      case user::Call::do_yield: return SharedSpaces::yield(self.shared_space, first);
      case user::Call::ask: return SharedSpaces::ask(self.shared_space, first, second);
    }
    return static_cast<int64_t>(Error::unknown_call);
  }

  static int64_t print(const Process& self, uintptr_t text, size_t size) {
    std::array<char, user::kLongestText> copy;
    const std::span<char> room = std::span(copy).first(std::min(size, copy.size()));
    if (!self.space.copy_in(std::as_writable_bytes(room), text)) {
      return static_cast<int64_t>(Error::bad_address);
    }
    kit::write({room.data(), room.size()});
    return static_cast<int64_t>(room.size());
  }

  static int64_t sleep(uint64_t nanoseconds) {
    if (nanoseconds > user::kLongestSleep) return static_cast<int64_t>(Error::bad_value);
    S::sleep_for(demo::nanoseconds(nanoseconds));
    return 0;
  }

  static int64_t spawn_child(const Process& self, uintptr_t name, size_t size, uint64_t argument) {
    if (size > user::kLongestName) return static_cast<int64_t>(Error::bad_value);
    std::array<char, user::kLongestName> copy;
    const std::span<char> room = std::span(copy).first(size);
    if (!self.space.copy_in(std::as_writable_bytes(room), name)) {
      return static_cast<int64_t>(Error::bad_address);
    }
    const auto child = spawn({room.data(), room.size()}, argument, self.id, own_attributes());
    return child ? static_cast<int64_t>((*child)->id) : static_cast<int64_t>(child.error());
  }

  /// The word of user memory at `address`, as the kernel sees it.
  static std::expected<const std::atomic<uint32_t>*, Error> word_at(const Process& self,
                                                                    uintptr_t address) {
    if (address % sizeof(uint32_t) != 0) return std::unexpected(Error::bad_value);
    const std::byte* const found = self.space.find(address);
    if (found == nullptr) return std::unexpected(Error::bad_address);
    return reinterpret_cast<const std::atomic<uint32_t>*>(found);
  }

  static int64_t wait_word(const Process& self, uintptr_t address, uint64_t value,
                           uint64_t nanoseconds) {
    const auto word = word_at(self, address);
    if (!word) return static_cast<int64_t>(word.error());
    if (value > UINT32_MAX || nanoseconds > user::kLongestSleep) {
      return static_cast<int64_t>(Error::bad_value);
    }
    const Instant until = nanoseconds == 0 ? hal::never : S::now() + demo::nanoseconds(nanoseconds);
    const auto waited = words_.wait_until(**word, static_cast<uint32_t>(value), until);
    return waited == sched::Waited::timed_out ? user::kTimedOut : 0;
  }

  static int64_t wake_word(const Process& self, uintptr_t address, uint64_t count) {
    const auto word = word_at(self, address);
    if (!word) return static_cast<int64_t>(word.error());
    return static_cast<int64_t>(words_.wake(**word, count));
  }

  static int64_t map_shared(Process& self, uintptr_t address) {
    if (self.has_shared_image) return static_cast<int64_t>(Error::bad_value);
    const auto space = SharedSpaces::join(self.space, address == 0 ? user::kShared : address);
    self.has_shared_image = space || space.error() != Error::bad_value;
    if (!space) return static_cast<int64_t>(space.error());
    self.shared_space = *space;
    SharedSpaces::wait_for_turn(*space);
    return *space;
  }

  static Attributes own_attributes() {
    const typename S::Masked masked;
    return S::attributes(masked.self());
  }

  static int64_t set_attributes(uint64_t number) {
    Attributes attributes = own_attributes();
    Error error = Error::not_supported;
    const auto set = [&](const Knob& knob, auto assign) {
      if (*knob.number == '\0') return;
      error = number < knob.least || number > knob.most ? Error::bad_value : Error::refused;
      if (error == Error::refused) assign(static_cast<unsigned>(number));
    };
    // A policy that is one of several has the number of the one in force.
    if constexpr (requires { Traits::knob(size_t{}); }) {
      const size_t index = [] {
        const typename S::Masked masked;
        return S::here().policy().index();
      }();
      set(Traits::knob(index), [&](unsigned n) { Traits::set(attributes, index, n); });
    } else if constexpr (requires { Traits::set(attributes, 0u); }) {
      set(Traits::kKnob, [&](unsigned n) { Traits::set(attributes, n); });
    }
    if (error != Error::refused) return static_cast<int64_t>(error);
    return S::retune(S::current(), attributes) ? 0 : static_cast<int64_t>(error);
  }

  // How often CPUs look whether others have nothing to do.
  static constexpr uint64_t kBalanceMs = 5;

  static inline constinit sched::SpinLock<S> table_;
  static inline constinit std::array<Process, kStacks> all_{};
  static inline constinit uint64_t last_id_ = 0;
  static inline constinit bool watch_calls_ = false;
  static inline constinit std::array<typename S::Balancer, kCpus> balancers_{};
  static inline constinit sched::AddressWait<S, 16> words_;
};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_USER_PROCESSES_H_
