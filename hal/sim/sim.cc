// The simulated machine: a discrete-event simulation whose events are "this CPU continues".
//
// The hub is the host's own stack, inside `World::run`. It picks the CPU whose next event is
// earliest, moves the clock there, and switches to the stack that this CPU runs on. A CPU comes
// back to the hub in `spend` and `wait`, and where the seed lets another one in; `switch_to`
// changes the stack that the CPU runs on, without the hub.
//
// Invariants
// - Time is the event of the CPU that was picked; no other CPU has an earlier one, so whatever a
//   CPU does to another (a kick) lies in that one's future, or in its present.
// - `current_` is the CPU whose stack is running; every function that may have handed over or
//   taken an interrupt asks again, because a task may continue on another CPU.
// - An interrupt is taken only in `take_interrupt`, on the stack of the code that is interrupted.
//
// With an explorer, `step` takes the place of `point` and `until_event`: each CPU that is not
// running has said what it does next (`Cpu::next`), and `decide` lets the explorer pick.

#include "hal/sim/sim.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "hal/sim/explorer.h"
#include "hal/sim/guest.h"
#include "hal/sim/log.h"
#include "hal/sim/place.h"
#include "hal/sim/races.h"
#include "hal/sim/sanitizer.h"
#include "hal/sim/stack_switch.h"

namespace hal::sim {
namespace {

using Context = Machine::Context;

// The world that runs in this host thread: what the per-CPU register is to a real machine.
thread_local World* running_world = nullptr;

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "hal::sim: %s\n", what);
  std::abort();
}

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

// Timer interrupts at one instant on one CPU before it counts as a storm.
constexpr unsigned kStorm = 1000;

// How often a CPU that seems to spin may look once more when nobody else can do anything.
constexpr unsigned kSpins = 100;

}  // namespace

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

  explicit Impl(World* owner, Options options)
      : world(owner),
        options(std::move(options)),
        random(this->options.seed),
        log(std::make_shared<Log>(this->options.trace)) {
    wait_shape = this->options.wait;
    hub.fiber = &hub_fiber;
    cpus.resize(this->options.cpus);
    for (size_t i = 0; i < cpus.size(); ++i) {
      cpus[i].index = static_cast<CpuNumber>(i);
      if (this->options.skew > Duration{}) {
        cpus[i].ahead.ticks = random.below(this->options.skew.ticks + 1);
      }
    }
    if (explorer() == nullptr) return;
    if (cpus.size() > Races::kCpus) die("World: too many CPUs for an explorer");
    races.emplace();
    if (wait_shape == Wait::by_seed) wait_shape = Wait::returns_masked;
  }

  ~Impl() {
    for (const auto& fiber : fibers) retire(*fiber);
  }

  static Impl& here(const char* function) {
    if (running_world == nullptr) {
      std::fprintf(stderr, "hal::sim: %s outside a running world\n", function);
      std::abort();
    }
    return *running_world->impl_;
  }

  Cpu& cpu() { return *current; }
  Explorer* explorer() const { return options.explorer; }

  // --- The trace ---

  void record(What what, uint64_t a = 0, uint64_t b = 0, std::string text = {}) {
    log->record(now, current != nullptr ? current->index : CpuNumber{0}, what, a, b,
                std::move(text));
  }

  // An explorer's schedule grows during a run, so the title is made when somebody may read it.
  void entitle() const {
    log->set_title(explorer() != nullptr ? "schedule " + explorer()->schedule()
                                         : "seed " + std::to_string(options.seed));
  }

  // --- Ends ---

  Outcome outcome_now(End end) const {
    entitle();
    return {.end = end,
            .rule = {},
            .task = {},
            .cpu = current != nullptr ? current->index : CpuNumber{0},
            .at = now,
            .log = log};
  }

  // Guest: ends the run for good; this stack and all others are abandoned where they are.
  [[noreturn]] void fail(End end, What what, const char* rule, const char* task) {
    note_failure(end, what, rule, task);  // frees what it allocates; this frame never ends
    abandon();
  }
  void note_failure(End end, What what, const char* rule, const char* task) {
    std::string text = rule != nullptr ? rule : "";
    if (task != nullptr && task[0] != '\0') text += std::string(" (task ") + task + ")";
    record(what, 0, 0, std::move(text));
    outcome = outcome_now(end);
    if (rule != nullptr) outcome.rule = rule;
    if (task != nullptr) outcome.task = task;
    ended = true;
  }
  [[noreturn]] void misuse(const char* rule) { fail(End::misuse, What::misuse, rule, nullptr); }
  void require(bool holds, const char* rule) {
    if (!holds) misuse(rule);
  }

  // --- Stacks ---

  // From the running stack to that of `load`; `save` gets what it takes to come back. Who runs, in
  // the simulation's books, must already be `load`.
  BATON_SIM_UNCHECKED void change_stack(Context& save, const Context& load, bool ordered) {
    void* const load_pointer = load.stack_pointer;
    const Fiber& next = fiber(load);
    sanitizer::show();
    sanitizer::leave(&fiber(save).fake_stack, next.stack);
    sanitizer::change_fiber(next.tsan, ordered);
    switch_stack(&save.stack_pointer, load_pointer);
    arrived();
    sanitizer::hide();
  }

  BATON_SIM_UNCHECKED void arrived() {
    Fiber& running = fiber(current != nullptr ? current->running : hub);
    const std::span<std::byte> left = sanitizer::arrive(running.fake_stack);
    running.fake_stack = nullptr;
    if (from_hub) hub_fiber.stack = left;
    from_hub = false;
  }

  BATON_SIM_UNCHECKED static Fiber& fiber(const Context& context) {
    return *static_cast<Fiber*>(context.fiber);
  }

  // Guest to hub; returns when the hub picks this CPU again.
  void to_hub() {
    Cpu& leaving = *current;
    current = nullptr;
    sanitizer::release(&guest_order);
    change_stack(leaving.running, hub, /*ordered=*/!options.find_races);
    sanitizer::acquire(&host_order);
  }

  // Guest to hub, which does not pick this CPU again.
  [[noreturn]] void abandon() {
    to_hub();
    die("an abandoned stack was continued");
  }

  // Before the first switch to a context. A fiber whose stack this one uses again is dead.
  void adopt(Context& context) {
    std::erase_if(fibers, [&](const auto& old) {
      const bool overlap = old->stack.data() < context.stack.data() + context.stack.size() &&
                           context.stack.data() < old->stack.data() + old->stack.size();
      if (overlap) forget(*old);
      return overlap;
    });
    fibers.push_back(std::make_unique<Fiber>(Fiber{.id = ++last_fiber,
                                                   .stack = context.stack,
                                                   .fake_stack = nullptr,
                                                   .tsan = sanitizer::create_fiber()}));
    context.fiber = fibers.back().get();
  }

  static void forget(const Fiber& fiber) {
    sanitizer::drop(fiber.fake_stack, fiber.stack);
    sanitizer::destroy_fiber(fiber.tsan);
  }
  static void retire(const Fiber& fiber) {
    forget(fiber);
    sanitizer::forget_frames(fiber.stack);
  }

  // Where every new stack begins.
  BATON_SIM_UNCHECKED static void start_stack() {
    here("start").arrived();
    run_stack();
  }
  static void run_stack() {
    Impl& impl = here("start");
    sanitizer::hide();
    if (impl.cpu().running.entry == nullptr) {
      impl.record(What::boot);
      sanitizer::acquire(&impl.cpu().kick_order);
      const std::function<void()>& boot = impl.cpu().boot;  // not here: this stack may be abandoned
      {
        const sanitizer::Seen seen;
        boot();
      }
      impl.record(What::done);
      impl.cpu().state = Cpu::State::done;
      impl.cpu().report.done = true;
      impl.abandon();
    }
    const Entry entry = impl.cpu().running.entry;
    void* const argument = impl.cpu().running.argument;
    impl.cpu().masked = false;
    impl.unmasked();
    {
      const sanitizer::Seen seen;
      entry(argument);
    }
    impl.misuse("make_context: the entry returned");
  }

  static Context new_context(std::span<std::byte> stack, Entry entry, void* argument) {
    sanitizer::forget_frames(stack);
    Context context;
    context.state = Context::State::saved;
    context.stack_pointer = prepare_stack(stack, &start_stack);
    context.stack = stack;
    context.entry = entry;
    context.argument = argument;
    return context;
  }

  // --- Time ---

  Instant event(const Cpu& cpu) const { return std::max(now, cpu.event()); }

  // How many other CPUs want to run at or before `when`.
  uint64_t others_by(Instant when) const {
    return static_cast<uint64_t>(std::count_if(cpus.begin(), cpus.end(), [&](const Cpu& other) {
      return &other != current && other.event() < never && other.event() <= when;
    }));
  }

  // Guest: this CPU's next event is set; returns when it has come.
  void until_event() {
    if (explorer() != nullptr) return hand_over();
    const Instant mine = event(*current);
    if (mine <= limit && mine < never && others_by(mine) == 0) {
      now = mine;
    } else {
      to_hub();
    }
  }

  // Hub: who is next; null if nobody ever is.
  Cpu* pick() {
    Instant first = never;
    uint64_t ties = 0;
    for (const Cpu& cpu : cpus) {
      if (&cpu == excluded || cpu.event() >= never) continue;
      const Instant when = event(cpu);
      if (when < first) {
        first = when;
        ties = 0;
      }
      ties += when == first;
    }
    if (ties == 0) return nullptr;
    uint64_t chosen = random.below(ties);
    for (Cpu& cpu : cpus) {
      if (&cpu == excluded || cpu.event() >= never || event(cpu) != first) continue;
      if (chosen-- == 0) return &cpu;
    }
    return nullptr;
  }

  // Guest: this CPU does nothing for `length`; others may come in between.
  void pass(Duration length) {
    current->state = Cpu::State::ready;
    current->continues = now + length;
    until_event();
  }

  // Guest: another CPU may come in here.
  void let_in() {
    const bool others = others_by(now) > 0;
    if (options.interleave == 0 || (!others && options.stall == Duration{}) ||
        random.below(options.interleave) != 0) {
      return;
    }
    Duration stall{};
    if (options.stall > Duration{}) stall.ticks = random.below(options.stall.ticks + 1);
    if (stall == Duration{}) excluded = others ? current : nullptr;
    record(What::let_in, stall.ticks);
    pass(stall);
  }

  void count_step() {
    if (++steps > options.steps) fail(End::steps, What::steps, nullptr, nullptr);
  }

  // Guest: a machine call begins.
  void point() {
    count_step();
    if (options.watch) options.watch();
    if (explorer() != nullptr) return;
    if (options.call_cost > Duration{}) pass(options.call_cost);
    let_in();
    if (!current->masked) take_interrupts();
  }

  // --- Interrupts ---

  bool takes_interrupt() const { return !current->masked && current->interrupt() <= now; }

  // Guest: takes all that are pending, earliest first.
  void take_interrupts() {
    while (takes_interrupt()) take_interrupt();
  }

  // Guest: this CPU lets interrupts in from here on.
  void unmasked() {
    if (explorer() != nullptr) {
      step({.what = Explorer::What::unmask});
    } else {
      take_interrupts();
    }
  }

  // Guest, where `takes_interrupt`: the earliest.
  void take_interrupt() {
    {
      Cpu& cpu = *current;
      Interrupt interrupt;
      const Instant line = cpu.lines.empty() ? never : cpu.lines.front().when;
      cpu.masked = true;
      if (cpu.armed <= cpu.kicked && cpu.armed <= line) {
        interrupt.cause = Cause::timer;
        record(What::take_timer);
        ++cpu.report.timer_interrupts;
        require(!cpu.timer_taken, "timer: the handler neither re-armed nor silenced it");
        cpu.timer_taken = true;
        cpu.storm = cpu.storm_at == now ? cpu.storm + 1 : 1;
        cpu.storm_at = now;
        require(cpu.storm <= kStorm, "timer: re-armed in the past over and over");
      } else if (cpu.kicked <= line) {
        interrupt.cause = Cause::kick;
        cpu.kicked = never;
        sanitizer::acquire(&cpu.kick_order);
        if (races) races->acquire(cpu.index, address(cpu.kicked));
        record(What::take_kick);
        ++cpu.report.kick_interrupts;
      } else {
        interrupt.cause = Cause::device;
        interrupt.line = cpu.lines.front().line;
        cpu.lines.erase(cpu.lines.begin());
        record(What::take_device, interrupt.line);
        ++cpu.report.device_interrupts;
      }
      require(options.interrupt != nullptr, "interrupt: there is no handler");
      bool due = false;
      {
        const sanitizer::Seen seen;
        due = options.interrupt(interrupt);
      }
      require(current->masked, "interrupt: the handler returned unmasked");
      if (due) {
        record(What::preempt);
        ++current->report.preempts;
        require(options.preempt != nullptr, "interrupt: there is no `preempt`");
        {
          const sanitizer::Seen seen;
          options.preempt();
        }
        require(current->masked, "interrupt: `preempt` returned unmasked");
      }
      current->masked = false;
    }
  }

  // --- The hub ---

  Outcome run(Instant until) {
    if (running_world != nullptr) die("World::run while a world runs in this thread");
    if (ended) return outcome;
    running_world = world;
    limit = until;
    hub_fiber.tsan = sanitizer::current_fiber();
    sanitizer::release(&host_order);
    End end = End::quiet;
    for (;;) {
      Cpu* const next = explorer() == nullptr ? pick()
                        : decided != nullptr  ? std::exchange(decided, nullptr)
                        : ends                ? nullptr
                                              : decide();
      excluded = nullptr;
      if (next == nullptr) {
        ends = false;
        if (is_cut) end = End::cut;
        if (is_stuck) end = End::steps;
        if (explorer() != nullptr && end == End::quiet && next_tick() < never) end = End::until;
        break;
      }
      if (event(*next) > until) {
        now = std::max(now, until);
        end = End::until;
        break;
      }
      now = event(*next);
      if (next->running.stack.empty()) power_on(*next);
      current = next;
      from_hub = true;
      change_stack(hub, next->running, /*ordered=*/!options.find_races);
      if (ended) break;
      if (stopping) {
        stopping = false;
        end = End::stopped;
        break;
      }
    }
    sanitizer::acquire(&guest_order);
    running_world = nullptr;
    if (!ended) {
      outcome = end == End::stopped ? stop_outcome : outcome_now(end);
    }
    return outcome;
  }

  // --- With an explorer ---

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
  Instant next_tick() const {
    Instant first = never;
    const auto add = [&](Instant when) {
      if (when > now) first = std::min(first, when);
    };
    for (const Cpu& cpu : cpus) {
      if (cpu.state == Cpu::State::off || cpu.state == Cpu::State::done) continue;
      add(cpu.armed);
      for (const Line& line : cpu.lines) add(line.when);
      if (cpu.state == Cpu::State::ready || cpu.state == Cpu::State::spending) add(cpu.continues);
    }
    return first;
  }

  bool is_enabled(const Cpu& cpu) const {
    if (cpu.event() > now) return false;
    return !cpu.spins || (!cpu.masked && cpu.interrupt() <= now);
  }

  // What `cpu` would do now.
  Explorer::Step next_step(const Cpu& cpu) const {
    Explorer::Step step = cpu.next;
    const bool is_interrupted = !cpu.masked && cpu.interrupt() <= now;
    if (is_interrupted) step = {.what = Explorer::What::interrupt};
    if (!cpu.masked) step.add(pending(cpu), is_interrupted);
    return step;
  }

  Explorer::Step arrival(const Cpu& cpu) const {
    Explorer::Step step = {.what = Explorer::What::arrival};
    step.add(wire(cpu), true);
    step.add(pending(cpu), true);
    return step;
  }

  Explorer::Step tick() const {
    Explorer::Step step = {.what = Explorer::What::tick};
    step.add(clock(), true);
    const Instant when = next_tick();
    for (const Cpu& cpu : cpus) {
      if (cpu.interrupt() > now && cpu.interrupt() <= when) step.add(pending(cpu), true);
    }
    return step;
  }

  // Whose turn it is; null when nobody can go on, or the explorer has cut the run. Lets kicks
  // arrive and the clock go on.
  Cpu* decide() {
    for (;;) {
      Cpu* const next = explores() ? explore() : go_on();
      if (next != nullptr) return next;
      if (is_cut || !just_ticked) return nullptr;
      just_ticked = false;
    }
  }

  // Before there is anything to explore.
  Cpu* go_on() {
    if (current != nullptr && is_enabled(*current)) return current;
    for (Cpu& cpu : cpus) {
      if (is_enabled(cpu)) return &cpu;
    }
    just_ticked = next_tick() <= limit && next_tick() < never;
    if (just_ticked) now = next_tick();
    return nullptr;
  }

  Cpu* explore() {
    const size_t count = cpus.size();
    const size_t clock = 2 * count;
    Explorer::Processes processes;
    processes.cpus = count;
    const auto add = [&](size_t process, const Explorer::Step& next, bool enabled) {
      processes.next[process] = next;
      processes.alive |= static_cast<Explorer::Set>(1u << process);
      if (enabled) processes.enabled |= static_cast<Explorer::Set>(1u << process);
    };
    for (size_t i = 0; i < count; ++i) {
      const Cpu& cpu = cpus[i];
      if (cpu.state != Cpu::State::off && cpu.state != Cpu::State::done) {
        add(i, next_step(cpu), is_enabled(cpu));
      }
      if (cpu.kick_travels) add(count + i, arrival(cpu), true);
    }
    if (next_tick() <= limit && next_tick() < never) {
      add(clock, tick(), explorer()->limits().clock_is_free || processes.enabled == 0);
    }
    if (processes.enabled == 0) {
      explorer()->end(processes);
      return let_spin();
    }
    const size_t chosen = explorer()->pick(processes);
    if (chosen == Explorer::kCut) {
      is_cut = true;
      return nullptr;
    }
    if (chosen < count) return &cpus[chosen];
    if (chosen == clock) {
      now = next_tick();
    } else {
      Cpu& cpu = cpus[chosen - count];
      cpu.kick_travels = false;
      cpu.kicked = now;
    }
    for (size_t i = 0; i < count; ++i) {
      const bool was_enabled = (processes.enabled >> i & 1) != 0;
      if (!was_enabled && is_enabled(cpus[i])) explorer()->enables(chosen, i);
    }
    just_ticked = true;
    return nullptr;
  }

  // Guest: a kick is on its way. One that already was is enough.
  void send_kick(Cpu& to) {
    if (std::exchange(to.kick_travels, true)) return;
    explorer()->enables(current->index, cpus.size() + to.index);
  }

  // Guest: the clock may have got something to go on to.
  void clock_goes_on() {
    if (!explores() || next_tick() == never) return;
    explorer()->enables(current->index, 2 * cpus.size());
  }

  // Nobody can go on: perhaps what looked like a loop is none.
  Cpu* let_spin() {
    for (Cpu& cpu : cpus) {
      if (!cpu.spins || cpu.let_spin == kSpins) continue;
      ++cpu.let_spin;
      cpu.spins = false;
      cpu.idle = {};
      just_ticked = true;
      return nullptr;
    }
    for (const Cpu& cpu : cpus) is_stuck |= cpu.spins;
    return nullptr;
  }

  // Guest: whose turn it is from here on; returns when it is this CPU's again.
  void hand_over() {
    Cpu& mine = *current;
    Cpu* const next = decide();
    if (next == &mine) return;
    decided = next;
    ends = next == nullptr;
    to_hub();
  }

  // Guest: `step` comes next; returns when it is to be done.
  void step(Explorer::Step step) {
    count_step();
    for (;;) {
      Cpu& cpu = *current;
      cpu.state = Cpu::State::ready;
      cpu.continues = now;
      cpu.next = step;
      cpu.spins = explores() && step.place != 0 && cpu.idle.place == step.place &&
                  cpu.idle.called_at == step.called_at &&
                  cpu.idle.access[0].object == step.access[0].object;
      hand_over();
      current->spins = false;
      if (!takes_interrupt()) return;
      take_interrupt();
    }
  }

  // Guest: a step about an object of the simulation.
  void step_at(Explorer::What what, uintptr_t object, bool write) {
    if (explorer() == nullptr) return;
    Explorer::Step step = {.what = what};
    step.add(object, write);
    this->step(step);
  }

  // Guest: an atomic operation of its was done. Whoever waits for a change has got it.
  void atomic_done(const Explorer::Step& step, bool changed) {
    Cpu& mine = *current;
    mine.idle = changed || step.what == Explorer::What::store ? Explorer::Step{} : step;
    if (!changed) return;
    mine.let_spin = 0;
    for (Cpu& cpu : cpus) {
      if (&cpu == &mine || cpu.idle.access[0].object != step.access[0].object) continue;
      cpu.idle = {};
      cpu.let_spin = 0;
      if (std::exchange(cpu.spins, false) && explores()) explorer()->enables(mine.index, cpu.index);
    }
  }

  // Guest: the run ends.
  [[noreturn]] void race(const Races::Race& race) {
    {
      const uintptr_t places[] = {race.first.place, race.second.place};
      const std::vector<std::string> texts = describe_places(places);
      const auto text = [&](const Races::Access& access, size_t i) {
        return std::string(access.atomic ? "atomic " : "") + (access.write ? "write" : "read") +
               " by CPU " + std::to_string(access.cpu) + " (" + texts[i] + ")";
      };
      const std::string rule = "data race: " + text(race.first, 0) + ", " + text(race.second, 1);
      note_failure(End::race, What::misuse, rule.c_str(), nullptr);
    }
    abandon();
  }

  void power_on(Cpu& cpu) {
    if (explorer() != nullptr) {
      explorer()->name(&cpu.kick_travels, 1, "to CPU " + std::to_string(cpu.index));
    }
    cpu.boot_stack.emplace(options.boot_stack);
    cpu.running = new_context(*cpu.boot_stack, nullptr, nullptr);
    adopt(cpu.running);
    cpu.running.state = Context::State::running;
  }

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

World::World(Options options) : impl_(std::make_unique<Impl>(this, std::move(options))) {}
World::~World() = default;

World* World::current() { return running_world; }

std::ostream& operator<<(std::ostream& out, const World& world) { return out << world.trace(); }

void World::boot(CpuNumber cpu, std::function<void()> code, Instant when) {
  const sanitizer::Unseen unseen;
  if (cpu >= impl_->cpus.size()) die("World::boot: there is no such CPU");
  Impl::Cpu& target = impl_->cpus[cpu];
  if (target.state != Impl::Cpu::State::off) die("World::boot: the CPU was booted before");
  target.boot = std::move(code);
  target.continues = when;
  target.state = Impl::Cpu::State::ready;
  sanitizer::release(&target.kick_order);
}

Outcome World::run(Instant until) {
  const sanitizer::Unseen unseen;
  return impl_->run(until);
}

void World::stop() {
  const sanitizer::Unseen unseen;
  if (running_world != this) die("World::stop: not called by a guest of this world");
  impl_->record(What::stop);
  impl_->stopping = true;
  impl_->stop_outcome = impl_->outcome_now(End::stopped);
  impl_->current->state = Impl::Cpu::State::ready;
  impl_->current->continues = impl_->now;
  impl_->to_hub();
}

void World::raise_at(CpuNumber cpu, uint32_t line, Instant when) {
  const sanitizer::Unseen unseen;
  if (cpu >= impl_->cpus.size()) die("World::raise_at: there is no such CPU");
  auto& lines = impl_->cpus[cpu].lines;
  const Impl::Line entry{std::max(when, impl_->now), line};
  lines.insert(std::upper_bound(lines.begin(), lines.end(), entry,
                                [](const auto& a, const auto& b) { return a.when < b.when; }),
               entry);
}

Instant World::now() const {
  const sanitizer::Unseen unseen;
  return impl_->now;
}

CpuReport World::report(CpuNumber cpu) const {
  const sanitizer::Unseen unseen;
  if (cpu >= impl_->cpus.size()) die("World::report: there is no such CPU");
  CpuReport report = impl_->cpus[cpu].report;
  report.armed = impl_->cpus[cpu].armed;
  report.asleep = impl_->cpus[cpu].state == Impl::Cpu::State::waiting &&
                  &impl_->cpus[cpu] != impl_->current;  // woken, it is so until it passes time
  report.interrupted =
      impl_->cpus[cpu].interrupt() <= impl_->now || impl_->cpus[cpu].kicked < never;
  return report;
}

CpuNumber World::running() const {
  const sanitizer::Unseen unseen;
  if (impl_->current == nullptr) die("World::running: not called by a guest");
  return impl_->current->index;
}

void World::note(std::string_view text) {
  const sanitizer::Unseen unseen;
  impl_->record(What::note, 0, 0, std::string(text));
}

std::string World::trace() const {
  const sanitizer::Unseen unseen;
  impl_->entitle();
  return impl_->log->text();
}

uint64_t World::fingerprint() const {
  const sanitizer::Unseen unseen;
  return impl_->log->fingerprint();
}

// --- The machine ---

void Machine::start_cpu(Local& local, CpuNumber number) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("start_cpu");
  impl.point();
  impl.require(impl.cpu().masked, "start_cpu: interrupts are not masked");
  impl.require(impl.cpu().local == nullptr, "start_cpu: this CPU was started before");
  impl.require(number < impl.cpus.size(), "start_cpu: the number is not below the count of CPUs");
  for (const World::Impl::Cpu& other : impl.cpus) {
    impl.require(other.local == nullptr || other.local->number != number,
                 "start_cpu: another CPU has this number");
    impl.require(other.local != &local, "start_cpu: another CPU has this block");
  }
  local.number = number;
  impl.cpu().local = &local;
  impl.record(What::start, number);
}

Machine::Local* Machine::local() {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("local");
  impl.point();
  impl.require(impl.cpu().local != nullptr, "local: before start_cpu");
  return impl.cpu().local;
}

Instant Machine::now() {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("now");
  impl.point();
  impl.step_at(Explorer::What::now, impl.clock(), false);
  return impl.now + impl.cpu().ahead;
}

void Machine::arm(Instant when) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("arm");
  impl.point();
  impl.require(impl.cpu().local != nullptr, "arm: before start_cpu");
  impl.require(impl.cpu().masked, "arm: interrupts are not masked");
  impl.record(What::arm, when.ticks);
  impl.step_at(Explorer::What::arm, impl.clock(), false);
  ++impl.cpu().report.arms;
  if (when < never) when = Instant{} + (when - (Instant{} + impl.cpu().ahead));  // of the world
  const bool ticks = impl.next_tick() < never;
  impl.cpu().armed = when < never ? std::min(when, impl.now + impl.options.timer_reach) : never;
  impl.cpu().timer_taken = false;
  if (!ticks) impl.clock_goes_on();
}

uint64_t Machine::ticks_per_second() {
  const sanitizer::Unseen unseen;
  return World::Impl::here("ticks_per_second").options.ticks_per_second;
}

Machine::Irq Machine::mask() {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("mask");
  impl.point();
  if (impl.explorer() != nullptr && !impl.cpu().masked) impl.step({.what = Explorer::What::mask});
  return std::exchange(impl.cpu().masked, true) ? Irq::masked : Irq::unmasked;
}

void Machine::unmask(Irq irq) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("unmask");
  impl.point();
  impl.cpu().masked = irq == Irq::masked;
  if (irq == Irq::unmasked) impl.unmasked();
}

Machine::Context Machine::make_context(std::span<std::byte> stack, Entry entry, void* argument) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("make_context");
  impl.point();
  impl.require(entry != nullptr, "make_context: no entry");
  impl.require(stack.size() >= 2 * kContextBytes, "make_context: the stack is too small");
  impl.require(reinterpret_cast<uintptr_t>(stack.data()) % 16 == 0 && stack.size() % 16 == 0,
               "make_context: the stack is not 16-byte aligned");
  for (const World::Impl::Cpu& cpu : impl.cpus) {
    const std::span<std::byte> used = cpu.running.stack;
    const bool runs =
        cpu.state != World::Impl::Cpu::State::off && cpu.state != World::Impl::Cpu::State::done;
    impl.require(!runs || used.data() + used.size() <= stack.data() ||
                     stack.data() + stack.size() <= used.data(),
                 "make_context: a CPU still runs on this stack");
  }
  return World::Impl::new_context(stack, entry, argument);
}

void Machine::switch_to(Context& from, Context& to) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("switch_to");
  impl.point();
  World::Impl::Cpu& cpu = impl.cpu();
  impl.require(cpu.local != nullptr, "switch_to: before start_cpu");
  impl.require(cpu.masked, "switch_to: interrupts are not masked");
  impl.require(to.state != Context::State::empty, "switch_to: the target was never made");
  impl.require(to.state != Context::State::running, "switch_to: the target runs already");
  if (cpu.context == nullptr) {
    impl.require(from.state == Context::State::empty, "switch_to: `from` is not what runs here");
  } else {
    impl.require(cpu.context == &from, "switch_to: `from` is not what runs here");
  }
  if (to.fiber == nullptr) impl.adopt(to);
  cpu.running.state = Context::State::saved;
  Context next = cpu.running;
  {
    // The two contexts are the guest's memory: here TSan looks, because whoever saved `to` must
    // have done so before, in an order that the guest has seen to.
    const sanitizer::Seen seen;
    from = next;
    to.state = Context::State::running;
    next = to;
  }
  cpu.running = next;
  cpu.context = &to;
  ++cpu.report.switches;
  impl.record(What::switched, impl.fiber(from).id, impl.fiber(to).id);
  impl.change_stack(from, to, /*ordered=*/true);
}

void Machine::wait() {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("wait");
  impl.point();
  impl.require(impl.cpu().local != nullptr, "wait: before start_cpu");
  impl.require(impl.cpu().masked, "wait: interrupts are not masked");
  if (impl.cpu().interrupt() > impl.now || impl.explorer() != nullptr) {
    const Instant begin = impl.now;
    impl.record(What::wait);
    impl.cpu().state = World::Impl::Cpu::State::waiting;
    impl.cpu().next = {.what = Explorer::What::wait};
    impl.cpu().next.add(World::Impl::pending(impl.cpu()), true);
    impl.until_event();
    World::Impl::Cpu& cpu = impl.cpu();
    ++cpu.report.waits;
    cpu.report.waited = Duration{cpu.report.waited.ticks + (impl.now - begin).ticks};
    impl.record(What::woken);
  }
  if (impl.wait_shape == Wait::by_seed) {
    impl.wait_shape = impl.random.below(2) == 0 ? Wait::returns_masked : Wait::takes;
  }
  if (impl.wait_shape == Wait::takes) {
    impl.cpu().masked = false;
    impl.take_interrupts();
    impl.cpu().masked = true;
  }
}

void Machine::kick(CpuNumber number) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("kick");
  impl.point();
  impl.require(impl.cpu().local != nullptr, "kick: before start_cpu");
  for (World::Impl::Cpu& cpu : impl.cpus) {
    if (cpu.local == nullptr || cpu.local->number != number) continue;
    impl.step_at(Explorer::What::kick, World::Impl::wire(cpu), true);
    impl.record(What::kick, number);
    sanitizer::release(&cpu.kick_order);
    if (impl.races) impl.races->release(impl.cpu().index, World::Impl::address(cpu.kicked));
    if (impl.explores()) return impl.send_kick(cpu);
    cpu.kicked = std::min(cpu.kicked, impl.now + impl.options.kick_latency);
    if (&cpu == &impl.cpu() && !cpu.masked) impl.take_interrupts();
    return;
  }
  impl.misuse("kick: no CPU was started with this number");
}

void Machine::panic(const char* rule, const char* task) {
  if (running_world == nullptr) {
    std::fprintf(stderr, "hal::sim: panic outside a running world: %s (task %s)\n", rule,
                 task != nullptr ? task : "none");
    std::abort();
  }
  sanitizer::hide();
  World::Impl::here("panic").fail(End::panic, What::panic, rule, task);
}

void Machine::load_space(Space space) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("load_space");
  impl.point();
  impl.require(impl.cpu().masked, "load_space: interrupts are not masked");
  impl.record(What::load_space, space.root);
  impl.cpu().report.space = space;
  ++impl.cpu().report.space_loads;
}

void Machine::swap_fpu(Fpu* save, const Fpu* load) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("swap_fpu");
  impl.point();
  World::Impl::Cpu& cpu = impl.cpu();
  impl.require(cpu.masked, "swap_fpu: interrupts are not masked");
  if (save != nullptr) {
    *save = cpu.fpu;
    ++cpu.report.fpu_saves;
  }
  if (load != nullptr) {
    cpu.fpu = *load;
    ++cpu.report.fpu_loads;
  }
}

void Machine::relax() {
  // With an explorer a CPU that looks at the same thing again loses its turn by that.
  if (running_world == nullptr || running_world->impl_->explorer() == nullptr) spend(Duration{1});
}

void Machine::spend(Duration work) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("spend");
  impl.point();
  while (work > Duration{}) {
    const Instant begin = impl.now;
    impl.cpu().state = World::Impl::Cpu::State::spending;
    impl.cpu().continues = begin + work;
    impl.cpu().next = {.what = Explorer::What::spend};
    impl.cpu().next.add(impl.clock(), false);
    impl.until_event();
    const Duration done = std::min(impl.now - begin, work);  // an explorer's clock may be ahead
    work.ticks -= done.ticks;
    impl.cpu().report.worked.ticks += done.ticks;
    if (!impl.cpu().masked) impl.take_interrupts();
  }
}

Fpu& Machine::fpu() {
  const sanitizer::Unseen unseen;
  return World::Impl::here("fpu").cpu().fpu;
}

// --- The guest, as `every_atomic.cc` sees it ---

struct Explored {
  using Impl = World::Impl;
  static Impl& impl() { return *running_world->impl_; }
  static size_t cpu() { return impl().current->index; }

  static Explorer::Step step(Explorer::What what, const volatile void* object, bool writes,
                             std::memory_order order, guest::Place place) {
    Explorer::Step step = {.what = what,
                           .order = static_cast<uint8_t>(order),
                           .place = place.at,
                           .called_at = place.called_at};
    step.add(reinterpret_cast<uintptr_t>(object), writes);
    return step;
  }

  static void check(const volatile void* address, size_t size, const Races::Access& access) {
    Impl& impl = Explored::impl();
    if (const auto race = impl.races->access(reinterpret_cast<uintptr_t>(address), size, access)) {
      impl.race(*race);
    }
  }
};

namespace guest {

bool is_explored() {
  return running_world != nullptr && sanitizer::is_seen() && Explored::impl().races.has_value();
}

void before_atomic(Explorer::What what, const volatile void* object, bool writes,
                   std::memory_order order, Place place) {
  const sanitizer::Unseen unseen;
  Explored::impl().step(Explored::step(what, object, writes, order, place));
}

void after_atomic(const volatile void* object, size_t size, bool read, bool wrote, bool changed,
                  std::memory_order order, Place place) {
  const sanitizer::Unseen unseen;
  Explored::Impl& impl = Explored::impl();
  const uintptr_t address = reinterpret_cast<uintptr_t>(object);
  Explored::check(object, size, {Explored::cpu(), wrote, true, place.at});
  impl.races->atomic(Explored::cpu(), address, read, wrote, order);
  const auto what = read ? Explorer::What::load : Explorer::What::store;
  impl.atomic_done(Explored::step(what, object, wrote, order, place), changed);
}

void fence(std::memory_order order, uintptr_t place) {
  if (!is_explored()) return;
  const sanitizer::Unseen unseen;
  static_cast<void>(place);
  Explored::impl().races->fence(Explored::cpu(), order);
}

void access(const volatile void* address, size_t size, bool write, uintptr_t place) {
  if (!is_explored()) return;
  const sanitizer::Unseen unseen;
  // Of a long range, such as a stack that is wiped, the two ends.
  constexpr size_t kEnd = 128;
  const auto* const bytes = static_cast<const volatile std::byte*>(address);
  const Races::Access access = {Explored::cpu(), write, false, place};
  if (size <= 2 * kEnd) return Explored::check(bytes, size, access);
  Explored::check(bytes, kEnd, access);
  Explored::check(bytes + size - kEnd, kEnd, access);
}

}  // namespace guest

}  // namespace hal::sim
