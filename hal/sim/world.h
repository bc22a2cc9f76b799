// What a world is made of: shared by the files that it is written in, and no business of anybody
// else's.
//
// It is a discrete-event simulation whose events are "this CPU continues". The hub is the host's
// own stack, inside `World::run`. It picks the CPU whose next event is earliest, moves the clock
// there, and switches to the stack that this CPU runs on. A CPU comes back to the hub in `spend`
// and `wait`, and where the seed lets another one in; `switch_to` changes the stack that the CPU
// runs on, without the hub.
//
// Invariants
// - Time is the event of the CPU that was picked; no other CPU has an earlier one, so whatever a
//   CPU does to another (a kick) lies in that one's future, or in its present.
// - `current` is the CPU whose stack is running; every function that may have handed over or
//   taken an interrupt asks again, because a task may continue on another CPU.
// - An interrupt is taken only in `take_interrupt`, on the stack of the code that is interrupted.
//
// With an explorer, `step` takes the place of `point` and `until_event`: each CPU that is not
// running has said what it does next (`Cpu::next`), and `decide` lets the explorer pick.

#ifndef BATON_HAL_SIM_WORLD_H_
#define BATON_HAL_SIM_WORLD_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hal/sim/explorer.h"
#include "hal/sim/log.h"
#include "hal/sim/races.h"
#include "hal/sim/sanitizer.h"
#include "hal/sim/sim.h"

namespace hal::sim {

using Context = Machine::Context;

// The world that runs in this host thread: what the per-CPU register is to a real machine.
inline constinit thread_local World* running_world = nullptr;

[[noreturn]] void die(const char* what);

// Sebastiano Vigna's splitmix64: small, and the same on every host.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // From 0 to below `bound`; the bias is below bound / 2^64.
  uint64_t below(uint64_t bound) { return bound == 0 ? next() : next() % bound; }

 private:
  uint64_t state_;
};

struct World::Impl {
  struct Line {
    Instant when;
    uint32_t line = 0;
  };

  struct Cpu {
    enum class State : uint8_t { off, ready, spending, waiting, done };
    State state = State::off;
    CpuNumber index = 0;
    Instant continues;  // ready, spending: its next event, unless an interrupt comes before
    bool masked = true;

    std::function<void()> boot;
    std::optional<Stack> boot_stack;
    Context running;             // the stack that this CPU runs on
    Context* context = nullptr;  // where its owner keeps it; null for boot code before a switch

    Machine::Local* local = nullptr;  // null before start_cpu
    Duration ahead;                   // its clock, of the world's
    Instant armed = never;
    bool timer_taken = false;  // since `arm`
    Instant storm_at;
    unsigned storm = 0;
    Instant kicked = never;
    char kick_order = 0;        // for TSan: what came before the kick is seen by its handler
    bool kick_travels = false;  // with an explorer: sent, and not arrived
    std::vector<Line> lines;    // in order of arrival
    Fpu fpu;
    CpuReport report;

    // With an explorer.
    Explorer::Step next;    // what it does next, if no interrupt comes before
    Explorer::Step idle;    // its latest atomic operation, if that changed nothing
    bool spins = false;     // about to do `idle` again, which would change nothing again
    unsigned let_spin = 0;  // for want of anybody else who could go on

    // Its earliest interrupt, masked or not.
    Instant interrupt() const {
      Instant first = std::min(armed, kicked);
      return lines.empty() ? first : std::min(first, lines.front().when);
    }
    // When it wants to continue.
    Instant event() const {
      switch (state) {
        case State::off:
        case State::done: return never;
        case State::waiting: return interrupt();
        case State::spending: return masked ? continues : std::min(continues, interrupt());
        case State::ready: return continues;
      }
      return never;
    }
  };

  // A stack that has run in this world, and what the sanitizers keep of it.
  struct Fiber {
    uint32_t id = 0;  // in the trace
    std::span<std::byte> stack;
    void* fake_stack = nullptr;
    void* tsan = nullptr;
  };

  Impl(World* owner, Options options);
  ~Impl();

  static Impl& here(const char* function);

  Cpu& cpu() { return *current; }
  Explorer* explorer() const { return options.explorer; }

  // --- The trace and the ends (sim.cc) ---

  void record(What what, uint64_t a = 0, uint64_t b = 0, std::string text = {});

  // An explorer's schedule grows during a run, so the title is made when somebody may read it.
  void entitle() const;

  Outcome outcome_now(End end) const;

  // Guest: ends the run for good; this stack and all others are abandoned where they are.
  [[noreturn]] void fail(End end, What what, const char* rule, const char* task);
  void note_failure(End end, What what, const char* rule, const char* task);
  [[noreturn]] void misuse(const char* rule) { fail(End::misuse, What::misuse, rule, nullptr); }
  void require(bool holds, const char* rule) {
    if (!holds) misuse(rule);
  }

  // --- Stacks (stacks.cc) ---

  // From the running stack to that of `load`; `save` gets what it takes to come back. Who runs, in
  // the simulation's books, must already be `load`.
  BATON_UNCHECKED void change_stack(Context& save, const Context& load, bool ordered);

  BATON_UNCHECKED void arrived();

  BATON_UNCHECKED static Fiber& fiber(const Context& context);

  // Guest to hub; returns when the hub picks this CPU again.
  void to_hub();

  // Guest to hub, which does not pick this CPU again.
  [[noreturn]] void abandon();

  // Before the first switch to a context. A fiber whose stack this one uses again is dead.
  void adopt(Context& context);

  static void forget(const Fiber& fiber);
  static void retire(const Fiber& fiber);

  // Where every new stack begins.
  BATON_UNCHECKED static void start_stack();
  static void run_stack();

  static Context new_context(std::span<std::byte> stack, Entry entry, void* argument);

  // Hub: the stack that `cpu` boots on.
  void power_on(Cpu& cpu);

  // --- Time (sim.cc) ---

  Instant event(const Cpu& cpu) const { return std::max(now, cpu.event()); }

  // How many other CPUs want to run at or before `when`.
  uint64_t others_by(Instant when) const;

  // Guest: this CPU's next event is set; returns when it has come.
  void until_event();

  // Hub: who is next; null if nobody ever is.
  Cpu* pick();

  // Guest: this CPU does nothing for `length`; others may come in between.
  void pass(Duration length);

  // Guest: another CPU may come in here.
  void let_in();

  void count_step();

  // Guest: a machine call begins.
  void point();

  // --- Interrupts (interrupts.cc) ---

  bool takes_interrupt() const { return !current->masked && current->interrupt() <= now; }

  // Guest: takes all that are pending, earliest first.
  void take_interrupts();

  // Guest: this CPU lets interrupts in from here on.
  void unmasked();

  // Guest, where `takes_interrupt`: the earliest.
  void take_interrupt();

  // --- The hub (sim.cc) ---

  Outcome run(Instant until);

  // --- With an explorer (explored.cc) ---

  // The objects that steps are about, besides the guest's memory: what is pending on a CPU, the
  // wire to it, the clock.
  template <typename T>
  static uintptr_t address(const T& object) {
    return reinterpret_cast<uintptr_t>(&object);
  }
  static uintptr_t pending(const Cpu& cpu) { return address(cpu.armed); }
  static uintptr_t wire(const Cpu& cpu) { return address(cpu.kick_travels); }
  uintptr_t clock() const { return address(now); }

  bool explores() const { return explorer() != nullptr && now >= explorer()->limits().from; }

  // The next instant at which something is due.
  Instant next_tick() const;

  bool is_enabled(const Cpu& cpu) const;

  // What `cpu` would do now.
  Explorer::Step next_step(const Cpu& cpu) const;

  Explorer::Step arrival(const Cpu& cpu) const;

  Explorer::Step tick() const;

  // Whose turn it is; null when nobody can go on, or the explorer has cut the run. Lets kicks
  // arrive and the clock go on.
  Cpu* decide();

  // Before there is anything to explore.
  Cpu* go_on();

  Cpu* explore();

  // Guest: a kick is on its way. One that already was is enough.
  void send_kick(Cpu& to);

  // Guest: the clock may have got something to go on to.
  void clock_goes_on();

  // Nobody can go on: perhaps what looked like a loop is none.
  Cpu* let_spin();

  // Guest: whose turn it is from here on; returns when it is this CPU's again.
  void hand_over();

  // Guest: `step` comes next; returns when it is to be done.
  void step(Explorer::Step step);

  // Guest: a step about an object of the simulation.
  void step_at(Explorer::What what, uintptr_t object, bool write);

  // Guest: an atomic operation of its was done. Whoever waits for a change has got it.
  void atomic_done(const Explorer::Step& step, bool changed);

  // Guest: the run ends.
  [[noreturn]] void race(const Races::Race& race);

  // What all of these share.

  World* const world;
  const Options options;
  Random random;
  Wait wait_shape = Wait::by_seed;
  std::vector<Cpu> cpus;
  Cpu* current = nullptr;  // null in the hub
  Context hub;
  Fiber hub_fiber;
  const Cpu* excluded = nullptr;  // from the next pick: it has just let others in
  bool from_hub = false;
  Instant now{1};
  Instant limit = never;
  uint64_t steps = 0;
  std::vector<std::unique_ptr<Fiber>> fibers;
  uint32_t last_fiber = 0;

  // For TSan: what the host did before `run` comes before the guests, and they before its return.
  char host_order = 0;
  char guest_order = 0;

  // With an explorer.
  std::optional<Races> races;
  Cpu* decided = nullptr;  // by the CPU that has just left for the hub
  bool ends = false;       // that has found nobody who can go on
  bool is_cut = false;
  bool is_stuck = false;     // a CPU spins for ever
  bool just_ticked = false;  // something arrived: look again

  bool ended = false;
  bool stopping = false;
  Outcome outcome;
  Outcome stop_outcome;

  const std::shared_ptr<Log> log;
};

}  // namespace hal::sim

#endif  // BATON_HAL_SIM_WORLD_H_
