// The simulated machine: virtual CPUs and virtual time in one host thread, so that the scheduler
// that boots runs, unchanged and on real stacks, inside an ordinary test, in milliseconds.
//
//     hal::sim::World world({.cpus = 2, .seed = 7, .interrupt = on_interrupt, .preempt =
//     S::preempt}); world.boot(0, [&] { S::start(cpus, 0, sink); S::spawn(task, ...); S::run(); });
//     world.boot(1, [&] { S::start(cpus, 1, sink); S::run(); });
//     EXPECT_EQ(world.run(), hal::sim::End::quiet);
//
// What is virtual and what is not
// - Time: one clock for all CPUs, 1 GHz where nothing else is asked for, first instant 1. Guest
// code
//   (whatever runs inside `run`) takes no time, except where it says so: `Machine::spend(work)` is
//   CPU-bound work, and `Machine::wait` sleeps. The world always continues the CPU whose next event
//   is earliest, so a cause comes before its effect on every CPU; nothing depends on the host's
//   clock.
// - CPUs: one runs at a time; which one, where several could, is drawn from the seed. Besides at
//   `spend` and `wait`, another CPU may come in between at every machine call (`.interleave`).
//   Between two machine calls guest code is one indivisible step: call `spend({})` where a test
//   wants another point. The same seed gives the same run, on every host. With an explorer
//   (`hal/sim/explorer.h`) each atomic operation is a step, and a test sees every run.
// - Stacks and the switch are real: the switch is the bare-metal one of this host's architecture.
// - Memory order is not simulated. With an explorer, and under ThreadSanitizer, where virtual CPUs
//   can be taken for threads (`.find_races`), accesses that only the simulation orders are data
//   races, though.
//
// The world is also the checker of the contract in `hal/hal.h`: a call that breaks it ends the run
// as `End::misuse`, naming the rule. A guest that hangs ends as `quiet`, `until` or `steps`; only
// a loop without any machine call can hang the test.
//
// Several worlds may exist in a process; one runs at a time in a host thread, and worlds in
// different threads know nothing of each other. No class here is thread-safe. Host code: allocates.

#ifndef BATON_HAL_SIM_SIM_H_
#define BATON_HAL_SIM_SIM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include "hal/hal.h"
#include "hal/interrupt.h"
#include "hal/stack/stack.h"
#include "hal/time.h"

namespace hal::sim {

class Explorer;
class Log;

/// How the simulated `wait` ends; the contract allows both, and a machine has one of them.
enum class Wait : uint8_t {
  by_seed,         ///< Drawn once a world, at the first wait.
  returns_masked,  ///< The interrupt stays pending until the caller unmasks (like riscv64).
  takes,           ///< The interrupt has been taken when `wait` returns (like x86_64).
};

/// What a world is made of. Every field has a default that suits a first test.
struct Options {
  /// How many virtual CPUs; one that is never booted does not take part.
  CpuNumber cpus = 1;
  /// Decides whatever is left open. A test that fails prints it.
  uint64_t seed = 1;
  /// Decides instead of the seed, so that a test sees every schedule: `hal/sim/explorer.h`. With it
  /// nothing below takes time, `kick_latency` included, and `wait` by default `returns_masked`.
  Explorer* explorer = nullptr;
  /// One machine call in so many, drawn by the seed, lets another CPU in that could run at the
  /// same instant; 0: only `spend` and `wait` do.
  uint32_t interleave = 8;
  /// With it, such a call may also stall its CPU for up to this long (as a hypervisor or a cache
  /// miss would), so that CPUs drift against each other. Zero keeps all arithmetic exact.
  Duration stall = {};
  /// What each machine call costs. Zero keeps all arithmetic exact; code that polls in a loop
  /// needs more, or time would stand still and nobody else would ever run.
  Duration call_cost = {};
  /// How far ahead the timer's hardware can be set; armed farther, it interrupts early, after this.
  Duration timer_reach = forever;
  /// Clocks differ: that of each CPU is ahead of the world's by up to this, drawn by the seed.
  Duration skew = {};
  /// From `kick` to its interrupt.
  Duration kick_latency = {};
  Wait wait = Wait::by_seed;
  /// The clock's rate. With another than 1 GHz, code that takes ticks for nanoseconds fails.
  uint64_t ticks_per_second = 1'000'000'000;
  /// With ThreadSanitizer: reports accesses of two CPUs to the same memory that no atomic and no
  /// kick orders, however the seed happens to order them; in the test's own code, too.
  bool find_races = false;
  /// After so many machine calls the run ends with `End::steps`.
  uint64_t steps = 10'000'000;
  /// The stack that each CPU boots on.
  size_t boot_stack = 256 * 1024;
  /// How many records the trace keeps.
  size_t trace = 200;
  /// The kernel's two functions of `hal/interrupt.h`, called just as a bare-metal entry calls
  /// them: masked, on the interrupted stack; `preempt` when `interrupt` answered true.
  std::function<bool(Interrupt)> interrupt = nullptr;
  std::function<void()> preempt = nullptr;
  /// Called at each machine call, before it does anything: for what must hold at every step. It
  /// may look at everything, the world's reports included, and make no machine call.
  std::function<void()> watch = nullptr;
};

/// Why `World::run` returned.
enum class End : uint8_t {
  quiet,    ///< Every CPU waits or is done, and no interrupt is armed, scheduled or pending.
  stopped,  ///< `World::stop` was called.
  until,    ///< The next event comes after the instant given to `run`.
  steps,    ///< `Options::steps` were used up: most likely a loop that spends no time.
  panic,    ///< `Machine::panic` was called.
  misuse,   ///< The contract of `hal/hal.h` was broken.
  race,     ///< With an explorer: two CPUs accessed the same memory, and nothing ordered that.
  cut,      ///< With an explorer: nothing new can come of it.
};

/// The end of a run. Compare it with an `End`, a `Panic` or a `Misuse`; printed, it tells the whole
/// story, with the seed and the trace.
struct Outcome {
  End end = End::quiet;
  std::string rule;   ///< For panic and misuse: the rule that was broken. For a race: which.
  std::string task;   ///< For panic: the task that was named, if any.
  CpuNumber cpu = 0;  ///< On which virtual CPU, for stopped, steps, panic and misuse.
  Instant at;
  std::shared_ptr<const Log> log;  ///< What was recorded, shared with the world.

  /// A panic or misuse, or `steps`: the world cannot go on.
  bool failed() const {
    return end == End::steps || end == End::panic || end == End::misuse || end == End::race;
  }
};

/// What an outcome is expected to be: `EXPECT_EQ(world.run(), (Panic{"rule", "task"}))`. The rules
/// of a misuse are listed in `hal/sim/machine.cc` and `interrupts.cc`, where they are checked; each
/// begins with the function that was called against its contract.
struct Panic {
  std::string_view rule;
  std::string_view task = {};
};
struct Misuse {
  std::string_view rule;
};

bool operator==(const Outcome& outcome, End end);
bool operator==(const Outcome& outcome, const Panic& panic);
bool operator==(const Outcome& outcome, const Misuse& misuse);
std::ostream& operator<<(std::ostream& out, End end);
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);
std::ostream& operator<<(std::ostream& out, const Panic& panic);
std::ostream& operator<<(std::ostream& out, const Misuse& misuse);

/// An address space: a number, so that a test sees which one is loaded.
struct Space {
  uint64_t root = 0;
  friend bool operator==(const Space&, const Space&) = default;
};

/// The FPU of a virtual CPU, and the memory that it is saved in.
struct Fpu {
  std::array<uint64_t, 8> registers = {};
};

/// What one virtual CPU did so far, and the state it is in.
struct CpuReport {
  uint64_t timer_interrupts = 0;
  uint64_t kick_interrupts = 0;
  uint64_t device_interrupts = 0;
  uint64_t preempts = 0;  ///< Interrupts whose handler answered true.
  uint64_t arms = 0;
  uint64_t switches = 0;
  uint64_t waits = 0;  ///< Calls of `wait` that really slept.
  uint64_t space_loads = 0;
  uint64_t fpu_saves = 0;
  uint64_t fpu_loads = 0;
  Duration worked;  ///< In `spend`.
  Duration waited;  ///< In `wait`.
  Instant armed = never;
  Space space;
  bool done = false;         ///< Its boot code has returned.
  bool asleep = false;       ///< In `wait`.
  bool interrupted = false;  ///< An interrupt is pending, or a kick on its way.
};

/// The virtual CPUs, their clock and what connects them. Create it, `boot` some CPUs, `run`.
///
/// Whatever guest frames own when a world ends (a panic, a `stop` that nobody continues, a task
/// that blocks for ever) is abandoned, as by a machine that is switched off: no destructor runs,
/// and LeakSanitizer will say so where it was heap memory.
class World {
 public:
  explicit World(Options options = {});
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// What virtual CPU `cpu` runs first, from `when` on: masked, on a stack of its own. The CPU is
  /// done when `code` returns. Once a CPU, before or between runs, or from a running guest.
  void boot(CpuNumber cpu, std::function<void()> code, Instant when = {});

  /// Runs until one of the things that `End` lists; then `now` is the instant of that, or `until`.
  /// After `quiet`, `stopped` and `until` another call continues where this one left; after
  /// anything else it only repeats the outcome. Not from a guest, of whatever world.
  Outcome run(Instant until = never);

  /// Ends the run at once. Only from a guest of this world; returns when `run` is called again.
  void stop();

  /// A device's interrupt: pending on virtual CPU `cpu` from `when` on, until taken, once.
  /// From a guest or between runs.
  void raise_at(CpuNumber cpu, uint32_t line, Instant when);

  /// The one clock of all CPUs.
  Instant now() const;

  CpuReport report(CpuNumber cpu) const;

  /// The CPU whose guest calls this.
  CpuNumber running() const;

  /// Adds a line to the trace.
  void note(std::string_view text);

  /// The seed and the latest records, oldest first, a line each.
  std::string trace() const;

  /// A hash of everything that happened; equal for equal runs.
  uint64_t fingerprint() const;

  /// The world that runs in this host thread, or null.
  static World* current();

  /// `trace()`, for `EXPECT_...(...) << world`.
  friend std::ostream& operator<<(std::ostream& out, const World& world);

 private:
  friend struct Machine;
  friend struct Explored;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The machine that a scheduler is instantiated with: `sched::Scheduler<hal::sim::Machine,
/// Policy>`. Each function acts on the virtual CPU that runs in this host thread, under the
/// contract of `hal::Machine`; outside a running world each prints what happened and aborts.
struct Machine {
  struct Local : LocalBase {};

  enum class Irq : uint8_t { masked, unmasked };
  static constexpr Irq kUnmasked = Irq::unmasked;

  /// A saved stack. May be copied, but only one of the copies may be switched to.
  struct Context {
    enum class State : uint8_t { empty, saved, running };
    State state = State::empty;
    void* stack_pointer = nullptr;
    std::span<std::byte> stack = {};
    Entry entry = nullptr;
    void* argument = nullptr;
    void* fiber = nullptr;  // the world's record of this stack, from the first switch on
  };
  static constexpr size_t kContextBytes = 256;

  static void start_cpu(Local& local, CpuNumber number);
  static Local* local();
  static Instant now();
  static uint64_t ticks_per_second();
  static void arm(Instant when);
  static Irq mask();
  static void unmask(Irq irq);
  static Context make_context(std::span<std::byte> stack, Entry entry, void* argument);
  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    const auto context = [](void* object) {
      return reinterpret_cast<Context*>(static_cast<std::byte*>(object) + kOffset);
    };
    switch_to(*context(from), *context(to));
  }
  static void switch_to(Context& from, Context& to);  // the same, for bare contexts
  static void wait();
  static void relax();  // takes one tick: whoever is waited for gets his turn
  static void kick(CpuNumber cpu);
  [[noreturn]] static void panic(const char* rule, const char* task);

  using Space = sim::Space;
  using Fpu = sim::Fpu;
  static void load_space(Space space);
  static void swap_fpu(Fpu* save, const Fpu* load);

  // What only this machine has.

  /// CPU-bound work that takes `work` of this task's own running time: whatever interrupts take
  /// away, its preemption included, comes on top. An interrupt that is due inside is taken at its
  /// exact instant when unmasked.
  static void spend(Duration work);

  /// The FPU registers of this CPU, for guests to compute with.
  static Fpu& fpu();
};

static_assert(SpaceMachine<Machine>);

using stack::Stack;

}  // namespace hal::sim

#endif  // BATON_HAL_SIM_SIM_H_
