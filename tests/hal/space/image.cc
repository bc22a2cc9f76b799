// Address spaces and FPU states on the machine that is being compiled for.
//
// Two tasks live in spaces that share all of the kernel's mappings and map one address to a page of
// their own each; each has an FPU state, and a third task has neither. Whatever takes turns with
// them, by yield or by the timer, each must read its own value at that address and find all its FPU
// registers as it left them; and the machine must have been asked to load a space or an FPU state
// as often as the next of the two was not the last, and not once more.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/hal.h"
#include "hal/interrupt.h"
#include "hal/native.h"
#include "hal/space.h"
#include "kernel_demo/kit.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/hal/space/fpu.h"
#include "tests/hal/space/tables.h"

namespace {

using hal::Native;
using space_test::kAddress;
using space_test::kLevels;

// Without spaces nothing has changed.
static_assert(sizeof(Native::Context) == sizeof(void*));
static_assert(sizeof(hal::WithSpaces<Native>::Context) == 3 * sizeof(void*));

struct Counts {
  uint64_t space_loads = 0;
  uint64_t fpu_saves = 0;
  uint64_t fpu_loads = 0;
  friend bool operator==(const Counts&, const Counts&) = default;
  friend Counts operator+(const Counts& a, const Counts& b) {
    return {a.space_loads + b.space_loads, a.fpu_saves + b.fpu_saves, a.fpu_loads + b.fpu_loads};
  }
};

/// The machine of the target, which counts what it is asked for, and what it ought to be.
struct Counting : Native {
  static inline constinit Counts counts;
  /// The tasks that have a space and an FPU state.
  static inline constinit std::array<const void*, 2> owners = {};
  /// How often a switch led to one of them that was not the last of them to run.
  static inline constinit uint64_t changes = 0;

  static void load_space(Space space) {
    ++counts.space_loads;
    Native::load_space(space);
  }

  static void swap_fpu(Fpu* save, const Fpu* load) {
    counts.fpu_saves += save != nullptr;
    counts.fpu_loads += load != nullptr;
    Native::swap_fpu(save, load);
  }

  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    if (std::ranges::contains(owners, to) && to != last_) {
      ++changes;
      last_ = to;
    }
    Native::switch_to<kOffset>(from, to);
  }

  [[noreturn]] static void panic(const char* rule, const char* task) { kit::panic(rule, task); }

 private:
  static inline constinit const void* last_ = nullptr;
};

using Machine = hal::WithSpaces<Counting>;
static_assert(hal::SpaceMachine<Machine>);

using S = sched::Scheduler<Machine, sched::RoundRobin, sched::Options{.debug_checks = true}>;

constexpr uint64_t kRounds = 100;
constexpr uint64_t kPreemptions = 50;
constexpr std::byte kPoison{0xdb};

struct alignas(kit::kPageSize) Table {
  uint64_t entries[512] = {};
};

struct alignas(kit::kPageSize) Page {
  uint64_t word = 0;
};

/// A task with all that is its own.
struct Owner {
  S::Task task;
  uint64_t seed;  // of what it stores and of its FPU registers
  Machine::Space space{};
  Machine::Fpu fpu{};
  Page page{};
  Table tables[kLevels]{};
  alignas(16) std::byte stack[8192] = {};
};

constinit S::Cpu cpus[1];
// Other bits everywhere, and another rounding mode.
constinit Owner left = {.task = S::Task("left"), .seed = 0x0123'4567'89ab'cd01};
constinit Owner right = {.task = S::Task("right"), .seed = 0x7654'3210'fedc'ba02};
constinit S::Task visitor{"visitor"};
alignas(16) constinit std::byte visitor_stack[8192] = {};

// Written in one task and read in another.
constinit volatile uint64_t visits = 0;
constinit volatile bool sliced = false;  // turns end by the timer; nobody yields any more
constinit volatile unsigned preempted = 0;

// What the sink leaves to `right`.
constinit volatile bool left_has_finished = false;
constinit Counts at_finish;

void check(bool holds, const char* what) {
  if (!holds) kit::panic(what, S::current().name());
}

void spawn(S::Task& task, std::span<std::byte> stack, hal::Entry entry) {
  // Turns without an end: at first nobody is preempted, so that every switch is a known one.
  check(S::spawn(task, stack, entry, nullptr).has_value(), "a task is spawned");
}

/// Fills in a space with all that is mapped now, and with the owner's page at `kAddress`. Memory
/// is where it is mapped.
void make_space(Owner& owner) {
  const auto address_of = [](const auto& object) { return reinterpret_cast<uintptr_t>(&object); };
  owner.tables[0] = *reinterpret_cast<const Table*>(space_test::top_table());
  for (unsigned i = 0; i < kLevels; ++i) {
    uint64_t& entry = owner.tables[i].entries[kAddress >> (12 + 9 * (kLevels - 1 - i)) & 511];
    check(entry == 0, "nothing is mapped near the address yet");
    entry = i + 1 < kLevels ? space_test::branch(address_of(owner.tables[i + 1]))
                            : space_test::leaf(address_of(owner.page));
  }
  owner.space = space_test::space_of(address_of(owner.tables[0]));
}

/// The calling task moves into its space and begins to use the FPU.
void settle(Owner& self) {
  Machine::adopt(self.task.context(), self.space, &self.fpu);
  check(space_test::compare_fresh_fpu() == 0, "an FPU state begins as a program expects it");
  *reinterpret_cast<volatile uint64_t*>(kAddress) = self.seed;
  space_test::fill_fpu(self.seed);
}

/// That the calling task finds everything as it left it.
void look(const Owner& self) {
  check(*reinterpret_cast<volatile uint64_t*>(kAddress) == self.seed, "a space keeps its value");
  check(space_test::compare_fpu(self.seed) == 0, "FPU registers survive");
}

/// Looks until the timer has taken the CPU from both owners many times.
void look_while_preempted(const Owner& self) {
  const uint64_t before = S::usage(self.task).involuntary;
  while (S::usage(self.task).involuntary < before + kPreemptions) look(self);
  for (preempted = preempted + 1; preempted < 2;) look(self);
}

void visit(void*) {
  for (;;) {
    visits = visits + 1;
    if (!sliced) S::yield();
  }
}

void be_right(void*) {
  settle(right);
  while (!sliced) {
    S::yield();
    look(right);
  }
  look_while_preempted(right);

  // Asleep, so that the sink finds the FPU as `left` left it.
  while (!left_has_finished) S::park();
  look(right);
  const std::span state = std::as_bytes(std::span(&left.fpu, 1));
  check(std::ranges::all_of(state, [](std::byte byte) { return byte == kPoison; }),
        "nothing is saved to a state that was given to `forget`");
  check(Counting::counts == at_finish + Counts{1, 0, 1}, "after `forget` there is only a load");

  check(left.page.word == left.seed && right.page.word == right.seed, "each has a page of its own");
  kit::print("{} changes, {} preemptions\n", Counting::changes,
             S::usage(left.task).involuntary + S::usage(right.task).involuntary);
  kit::print("all is well\n");
  kit::finish(true);
}

void be_left(void*) {
  check(Counting::counts == Counts{}, "nothing is loaded for tasks that have adopted nothing");
  settle(left);
  check(Counting::counts == Counts{1, 0, 1}, "at first use there is nothing to save");

  for (uint64_t i = 0; i < kRounds; ++i) {
    S::yield();
    look(left);
  }
  check(visits == kRounds, "the visitor came in between");
  check(Counting::counts == Counts{1, 0, 1}, "a visit to a task that has neither costs nothing");

  spawn(right.task, right.stack, be_right);
  for (uint64_t i = 0; i < kRounds; ++i) {
    const Counts before = Counting::counts;
    S::yield();
    look(left);
    check(Counting::counts == before + Counts{2, 2, 2}, "there and back is two loads of each");
  }

  const auto slice = hal::to_ticks(1'000'000, Machine::ticks_per_second());
  for (S::Task* const task : {&left.task, &right.task, &visitor}) {
    check(S::retune(*task, {.slice = slice}), "a slice is taken");
  }
  sliced = true;
  look_while_preempted(left);
  while (S::state(right.task) != sched::State::blocked) look(left);

  const auto irq = Machine::mask();
  const Counts needed = {Counting::changes, Counting::changes - 1, Counting::changes};
  check(Counting::counts == needed, "every change of owner is a load of each, and nothing else is");
  Machine::unmask(irq);
}

void on_finish(S::Task& task) {
  check(&task == &left.task, "only `left` finishes");
  std::ranges::fill(std::as_writable_bytes(std::span(&left.fpu, 1)), kPoison);
  Machine::forget(&left.fpu);
  at_finish = Counting::counts;
  left_has_finished = true;
  S::wake(right.task);
}

}  // namespace

extern "C" bool baton_interrupt(uintptr_t source) {
  S::Interrupt interrupt;
  switch (Machine::acknowledge(source).cause) {
    case hal::Cause::timer: S::on_timer(); break;
    case hal::Cause::kick: S::on_kick(); break;
    default: kit::panic("an interrupt that nobody asked for", nullptr);
  }
  return interrupt.leave();
}

extern "C" void baton_preempt() { S::preempt(); }

extern "C" void kernel_main() {
  Counting::owners = {&left.task, &right.task};
  space_test::turn_fpu_on();
  S::start(cpus, 0, on_finish);
  make_space(left);
  make_space(right);
  spawn(left.task, left.stack, be_left);
  spawn(visitor, visitor_stack, visit);
  S::run();
}
