// Address spaces and FPU states on the simulated machine, which counts every load: each task finds
// its own, and nothing is loaded or saved that need not be.

#include "hal/space.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <ostream>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/hal.h"
#include "hal/interrupt.h"
#include "hal/sim/sim.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"

namespace hal {
namespace {

using sim::End;
using sim::Fpu;
using sim::Space;

// ---- Who pays -------------------------------------------------------------------------------

using Spaced = WithSpaces<sim::Machine>;
static_assert(Machine<Spaced> && SpaceMachine<Spaced>);

template <typename T>
concept HasSpace = requires(T words) { words.space; };
template <typename T>
concept HasFpu = requires(T words) { words.fpu; };
static_assert(HasSpace<Spaced::Context> && HasFpu<Spaced::Context>);
static_assert(HasSpace<Spaced::Local> && HasFpu<Spaced::Local>);

// A kernel that uses the machine itself has neither word anywhere: not in a task, not in a CPU.
using Plain = sched::Scheduler<sim::Machine, sched::RoundRobin>;
using PlainContext = std::remove_reference_t<decltype(std::declval<Plain::Task&>().context())>;
static_assert(std::is_same_v<PlainContext, sim::Machine::Context>);
static_assert(!HasSpace<PlainContext> && !HasFpu<PlainContext>);
static_assert(!HasSpace<Plain::Cpu> && !HasFpu<Plain::Cpu>);
static_assert(sizeof(Spaced::Context) == sizeof(PlainContext) + sizeof(Space) + sizeof(Fpu*));

// ---- A kernel with spaces -------------------------------------------------------------------

/// What a CPU was asked for.
struct Counts {
  uint64_t space_loads = 0;
  uint64_t fpu_saves = 0;
  uint64_t fpu_loads = 0;

  friend bool operator==(const Counts&, const Counts&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Counts& counts) {
    return out << counts.space_loads << " space loads, " << counts.fpu_saves << " FPU saves, "
               << counts.fpu_loads << " FPU loads";
  }
};

/// Something after which a CPU may need another space or FPU state.
struct Event {
  CpuNumber cpu;
  Space space;
  const Fpu* fpu;
  bool is_forget = false;
  bool is_leave = false;
};

/// The simulated machine, which writes down whom every switch leads to.
struct Watched : sim::Machine {
  static inline std::vector<Event> events;

  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    using Context = WithSpaces<Watched>::Context;
    const auto& next = *reinterpret_cast<const Context*>(static_cast<std::byte*>(to) + kOffset);
    events.push_back({local()->number, next.space, next.fpu});
    sim::Machine::switch_to<kOffset>(from, to);
  }
};

/// What the events on a CPU called for, at least: computed from all of them, once the run is over.
Counts needed(const std::vector<Event>& events, CpuNumber cpu) {
  Counts counts;
  Space loaded;
  const Fpu* owner = nullptr;
  for (const Event& event : events) {
    if (event.cpu != cpu) continue;
    if (event.is_forget) {
      if (owner == event.fpu) owner = nullptr;
      continue;
    }
    if (event.is_leave) {
      if (event.fpu == nullptr || owner != event.fpu) continue;
      ++counts.fpu_saves;
      owner = nullptr;
      continue;
    }
    if (event.space.root != 0 && event.space != loaded) {
      ++counts.space_loads;
      loaded = event.space;
    }
    if (event.fpu != nullptr && event.fpu != owner) {
      if (owner != nullptr) ++counts.fpu_saves;
      ++counts.fpu_loads;
      owner = event.fpu;
    }
  }
  return counts;
}

struct M : WithSpaces<Watched> {
  static void leave_cpu(const Context& leaving) {
    Watched::events.push_back({local()->number, {}, leaving.fpu, false, true});
    WithSpaces<Watched>::leave_cpu(leaving);
  }
};
using S = sched::Scheduler<M, sched::RoundRobin, sched::Options{.debug_checks = true}>;

constexpr Space kOne = {.root = 1};
constexpr Space kTwo = {.root = 2};

/// For the running task, as the scheduler's kernel would do it.
void adopt(Space space, Fpu* fpu) {
  const auto irq = M::mask();
  Watched::events.push_back({M::local()->number, space, fpu});
  M::adopt(S::current().context(), space, fpu);
  M::unmask(irq);
}

void forget(const Fpu& fpu) {
  const auto irq = M::mask();
  Watched::events.push_back({M::local()->number, {}, &fpu, true});
  M::forget(&fpu);
  M::unmask(irq);
}

void fill_fpu(uint64_t seed) {
  for (uint64_t& word : M::fpu().registers) word = seed++;
}

Fpu filled(uint64_t seed) {
  Fpu fpu;
  for (uint64_t& word : fpu.registers) word = seed++;
  return fpu;
}

testing::AssertionResult holds(const Fpu& fpu, uint64_t seed) {
  if (fpu.registers == filled(seed).registers) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "registers " << seed << "... are " << fpu.registers[0] << "...";
}

/// Tasks whose bodies are C++ functions. CPU 0 spawns them all, in the order they were made.
class Kernel {
 public:
  struct Thread : S::Task {
    Thread(Kernel& kernel, const char* name, std::function<void()> body, Duration slice,
           CpuNumber cpu)
        : Task(name), kernel(kernel), body(std::move(body)), slice(slice), cpu(cpu) {}

    Kernel& kernel;
    std::function<void()> body;
    Duration slice;
    CpuNumber cpu;
    sim::Stack stack;
    bool finished = false;
  };

  explicit Kernel(sim::Options options = {})
      : count_(options.cpus),
        cpus_(new S::Cpu[options.cpus]),
        world_(with_handlers(std::move(options))) {
    Watched::events.clear();
  }

  Thread& make(const char* name, std::function<void()> body, Duration slice = forever,
               CpuNumber cpu = 0) {
    return threads_.emplace_back(*this, name, std::move(body), slice, cpu);
  }

  /// In a guest.
  static void spawn(Thread& thread) {
    const auto enter = [](void* self) { static_cast<Thread*>(self)->body(); };
    thread.finished = false;
    const auto spawned =
        S::spawn_on(thread.cpu, thread, thread.stack, enter, &thread, {.slice = thread.slice});
    EXPECT_TRUE(spawned.has_value()) << thread.name();
  }

  /// Runs until nothing happens any more, and checks that all that was loaded and saved was needed,
  /// and all that was needed done.
  void run() {
    // CPU 0 last, so that it may spawn on all.
    for (CpuNumber cpu = 0; cpu < count_; ++cpu) {
      const auto boot = [this, cpu] {
        S::start({cpus_.get(), count_}, cpu, &sink);
        if (cpu == 0) {
          for (Thread& thread : threads_) spawn(thread);
        }
        S::run();
      };
      world_.boot(cpu, boot, Instant{cpu == 0 ? 10u : 1u});
    }
    ASSERT_EQ(world_.run(), End::quiet);
    for (CpuNumber cpu = 0; cpu < count_; ++cpu) {
      EXPECT_EQ(counts(cpu), needed(Watched::events, cpu)) << "CPU " << cpu << '\n' << world_;
    }
  }

  Counts counts(CpuNumber cpu = 0) const {
    const sim::CpuReport report = world_.report(cpu);
    return {report.space_loads, report.fpu_saves, report.fpu_loads};
  }
  Space loaded(CpuNumber cpu = 0) const { return world_.report(cpu).space; }
  uint64_t preempts(CpuNumber cpu = 0) const { return world_.report(cpu).preempts; }

  /// What the sink does with a task.
  std::function<void(Thread&)> on_finish = [](Thread&) {};

 private:
  static sim::Options with_handlers(sim::Options options) {
    options.interrupt = [](Interrupt interrupt) {
      S::Interrupt guard;
      if (interrupt.cause == Cause::timer) S::on_timer();
      if (interrupt.cause == Cause::kick) S::on_kick();
      return guard.leave();
    };
    options.preempt = [] { S::preempt(); };
    return options;
  }

  static void sink(S::Task& task) {
    Thread& thread = static_cast<Thread&>(task);
    thread.finished = true;
    thread.kernel.on_finish(thread);
  }

  const CpuNumber count_;
  const std::unique_ptr<S::Cpu[]> cpus_;
  std::deque<Thread> threads_;
  sim::World world_;
};

/// The body of a task in `space` and with FPU state `fpu` that yields three times, and finds
/// everything as it left it. It runs four times in all.
std::function<void()> dweller(const Kernel& kernel, Space space, Fpu& fpu, uint64_t seed) {
  return [&kernel, space, &fpu, seed] {
    adopt(space, &fpu);
    fill_fpu(seed);
    for (int i = 0; i < 3; ++i) {
      S::yield();
      EXPECT_EQ(kernel.loaded(), space);
      EXPECT_TRUE(holds(M::fpu(), seed));
    }
  };
}

/// The body of a task of the kernel's own that comes in between as often.
void be_visitor() {
  for (int i = 0; i < 3; ++i) S::yield();
}

// ---- What differs ---------------------------------------------------------------------------

TEST(WithSpaces, LoadsNothingForTasksThatAdoptNothing) {
  Kernel kernel;
  kernel.make("a", be_visitor);
  kernel.make("b", be_visitor);
  kernel.run();
  EXPECT_EQ(kernel.counts(), (Counts{0, 0, 0}));
  EXPECT_EQ(kernel.loaded(), Space{});
}

TEST(WithSpaces, LoadsAtFirstUseAndSavesNothing) {
  Kernel kernel;
  Fpu fpu = filled(40);
  kernel.make("a", [&] {
    adopt(kOne, &fpu);
    EXPECT_EQ(kernel.loaded(), kOne);
    EXPECT_TRUE(holds(M::fpu(), 40)) << "what its memory held";
  });
  kernel.run();
  EXPECT_EQ(kernel.counts(), (Counts{1, 0, 1}));
}

TEST(WithSpaces, AVisitToAKernelTaskCostsNothing) {
  Kernel kernel;
  Fpu fpu;
  kernel.make("a", dweller(kernel, kOne, fpu, 10));
  kernel.make("visitor", [&] {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(kernel.loaded(), kOne) << "it runs in whichever is loaded";
      S::yield();
    }
  });
  kernel.run();
  EXPECT_EQ(kernel.counts(), (Counts{1, 0, 1}));
}

TEST(WithSpaces, EachTaskFindsItsOwnWithAKernelTaskInBetween) {
  Kernel kernel;
  Fpu one, two;
  kernel.make("a", dweller(kernel, kOne, one, 10));
  kernel.make("visitor", be_visitor);
  kernel.make("b", dweller(kernel, kTwo, two, 20));
  kernel.make("visitor", be_visitor);
  kernel.run();
  // Each of the two runs four times, in turn; only the very first has nothing to save.
  EXPECT_EQ(kernel.counts(), (Counts{8, 7, 8}));
}

TEST(WithSpaces, TwoTasksInOneSpaceLoadItOnce) {
  Kernel kernel;
  Fpu one, two;
  kernel.make("a", dweller(kernel, kOne, one, 10));
  kernel.make("b", dweller(kernel, kOne, two, 20));
  kernel.run();
  EXPECT_EQ(kernel.counts(), (Counts{1, 7, 8}));
}

TEST(WithSpaces, TheOnlyTaskThatUsesTheFpuKeepsItLoaded) {
  Kernel kernel;
  Fpu fpu;
  kernel.make("a", dweller(kernel, kOne, fpu, 10));
  kernel.make("b", [&] {
    adopt(kTwo, nullptr);
    be_visitor();
  });
  kernel.run();
  EXPECT_EQ(kernel.counts(), (Counts{8, 0, 1}));
}

TEST(WithSpaces, EachTaskFindsItsOwnAfterAPreemption) {
  Kernel kernel;
  Fpu one, two;
  const auto compute = [&](Space space, Fpu& fpu, uint64_t seed) {
    return [&kernel, space, &fpu, seed] {
      adopt(space, &fpu);
      for (uint64_t i = 0; i < 100; ++i) {
        fill_fpu(seed + i);
        M::spend(Duration{30});
        EXPECT_EQ(kernel.loaded(), space);
        EXPECT_TRUE(holds(M::fpu(), seed + i));
      }
    };
  };
  kernel.make("a", compute(kOne, one, 1000), Duration{100});
  kernel.make("visitor", [] { M::spend(Duration{3000}); }, Duration{70});
  kernel.make("b", compute(kTwo, two, 2000), Duration{110});
  kernel.run();
  EXPECT_GT(kernel.preempts(), 50u);
}

// ---- Adopt ----------------------------------------------------------------------------------

TEST(Adopt, MovesTheRunningTask) {
  Kernel kernel;
  Fpu one = filled(10), two = filled(20);
  kernel.make("a", [&] {
    adopt(kOne, &one);
    fill_fpu(11);
    adopt(kOne, &one);
    EXPECT_EQ(kernel.counts(), (Counts{1, 0, 1})) << "nothing has changed";
    EXPECT_TRUE(holds(M::fpu(), 11));
    adopt(kTwo, &two);
    EXPECT_EQ(kernel.counts(), (Counts{2, 1, 2}));
    EXPECT_EQ(kernel.loaded(), kTwo);
    EXPECT_TRUE(holds(one, 11)) << "the old state is saved";
    EXPECT_TRUE(holds(M::fpu(), 20));
  });
  kernel.run();
}

TEST(Adopt, GivesUpWhatIsNullButLeavesItLoaded) {
  Kernel kernel;
  Fpu fpu;
  kernel.make("a", [&] {
    adopt(kOne, &fpu);
    fill_fpu(10);
    adopt({}, nullptr);
    EXPECT_EQ(kernel.loaded(), kOne);
    adopt(kOne, &fpu);
    EXPECT_TRUE(holds(M::fpu(), 10));
  });
  kernel.run();
  EXPECT_EQ(kernel.counts(), (Counts{1, 0, 1}));
}

TEST(Adopt, ATaskThatGaveItsSpaceUpRunsInTheOthers) {
  Kernel kernel;
  kernel.make("a", [&] {
    adopt(kOne, nullptr);
    adopt({}, nullptr);
    S::yield();
    EXPECT_EQ(kernel.loaded(), kTwo);
  });
  kernel.make("b", [] {
    adopt(kTwo, nullptr);
    S::yield();
  });
  kernel.run();
  EXPECT_EQ(kernel.counts(), (Counts{2, 0, 0}));
}

TEST(Adopt, ANewLifeBeginsWithNeither) {
  Kernel kernel;
  Fpu fpu;
  int lives = 0;
  Kernel::Thread& twice = kernel.make("twice", [&] {
    if (++lives == 1) {
      adopt(kOne, &fpu);
      return;
    }
    EXPECT_EQ(S::current().context().space, Space{});
    EXPECT_EQ(S::current().context().fpu, nullptr);
    EXPECT_EQ(kernel.loaded(), kTwo);
  });
  kernel.make("b", [&] {
    while (!twice.finished) S::yield();
    adopt(kTwo, nullptr);
    Kernel::spawn(twice);
    S::yield();
  });
  kernel.on_finish = [&](Kernel::Thread&) { forget(fpu); };
  kernel.run();
  EXPECT_EQ(lives, 2);
  EXPECT_EQ(kernel.counts(), (Counts{2, 0, 1}));
}

TEST(Adopt, AndForgetLeaveInterruptsAsTheyWere) {
  Kernel kernel;
  kernel.make("a", [] {
    Fpu fpu;
    M::adopt(S::current().context(), {}, nullptr);
    M::forget(&fpu);
    EXPECT_EQ(M::mask(), M::kUnmasked);
    M::adopt(S::current().context(), {}, nullptr);
    M::forget(&fpu);
    EXPECT_NE(M::mask(), M::kUnmasked);
    M::unmask(M::kUnmasked);
  });
  ASSERT_NO_FATAL_FAILURE(kernel.run());
}

// ---- Forget ---------------------------------------------------------------------------------

/// A task computes and finishes, and its state's memory gets another use; then another computes.
/// Returns what is in that memory in the end.
Fpu reused_memory(Kernel& kernel, bool is_forgotten) {
  Fpu first, second;
  Kernel::Thread& a = kernel.make("a", [&] {
    adopt(kOne, &first);
    fill_fpu(10);
  });
  kernel.make("b", [&] {
    while (!a.finished) S::yield();
    adopt(kOne, &second);
  });
  kernel.on_finish = [&](Kernel::Thread& finished) {
    if (&finished != &a) return;
    if (is_forgotten) forget(first);
    first = filled(666);
  };
  kernel.run();
  return first;
}

TEST(Forget, NothingIsSavedToAFinishedTasksState) {
  Kernel kernel;
  EXPECT_TRUE(holds(reused_memory(kernel, true), 666));
  EXPECT_EQ(kernel.counts(), (Counts{1, 0, 2}));
}

// What it is for.
TEST(Forget, WithoutItTheStateIsSaved) {
  Kernel kernel;
  EXPECT_TRUE(holds(reused_memory(kernel, false), 10));
  EXPECT_EQ(kernel.counts(), (Counts{1, 1, 2}));
}

TEST(Forget, OfAStateThatIsNotLoadedChangesNothing) {
  Kernel kernel;
  Fpu first, second, third;
  kernel.make("a", [&] {
    adopt({}, &first);
    fill_fpu(10);
    adopt({}, &second);
    fill_fpu(20);
    forget(first);
    adopt({}, &third);
    EXPECT_TRUE(holds(first, 10));
    EXPECT_TRUE(holds(second, 20));
  });
  kernel.run();
  EXPECT_EQ(kernel.counts(), (Counts{0, 2, 3}));
}

// A CPU stays in the space of a task that has finished. A kernel that frees it moves out before.
TEST(Spaces, CanBeLeftInTheSink) {
  constexpr Space kKernels = {.root = 99};
  Kernel kernel;
  Kernel::Thread& a = kernel.make("a", [&] { adopt(kOne, nullptr); });
  kernel.make("b", [&] {
    while (!a.finished) S::yield();
    EXPECT_EQ(kernel.loaded(), kKernels);
    adopt(kOne, nullptr);  // another one, at the same address
    EXPECT_EQ(kernel.loaded(), kOne);
  });
  kernel.on_finish = [&](Kernel::Thread& finished) {
    if (&finished != &a) return;
    EXPECT_EQ(kernel.loaded(), kOne);
    adopt(kKernels, nullptr);
    adopt({}, nullptr);
  };
  kernel.run();
  EXPECT_EQ(kernel.counts(), (Counts{3, 0, 0}));
}

// ---- Another CPU ----------------------------------------------------------------------------

// What the registers of the old CPU hold of a task that goes is saved before, and is not found
// there by anybody after.
TEST(LeaveCpu, TakesTheFpuStateAlong) {
  Kernel kernel({.cpus = 2});
  std::array<Fpu, 2> fpus;
  for (size_t i = 0; i < fpus.size(); ++i) {
    kernel.make("nomad", [&, i] {
      adopt(kOne, &fpus[i]);
      fill_fpu(100 * (i + 1));
      for (const CpuNumber cpu : {1, 0, 1}) {
        EXPECT_TRUE(S::set_affinity(S::current(), {cpu}));
        EXPECT_EQ(S::here().number, cpu);
        EXPECT_EQ(kernel.loaded(cpu), kOne);
        EXPECT_TRUE(holds(M::fpu(), 100 * (i + 1)));
        S::yield();
      }
    });
  }
  kernel.on_finish = [](Kernel::Thread& finished) { forget(*finished.context().fpu); };
  kernel.run();
}

// ---- Whatever happens -----------------------------------------------------------------------

class AnySchedule : public testing::TestWithParam<uint64_t> {};

TEST_P(AnySchedule, EachTaskFindsItsOwnAndNothingIsLoadedInVain) {
  constexpr size_t kTasks = 8;
  constexpr CpuNumber kCpus = 2;
  Kernel kernel({.cpus = kCpus, .seed = GetParam()});
  std::mt19937_64 random(GetParam());
  std::array<Fpu, kTasks> fpus;
  for (size_t i = 0; i < kTasks; ++i) {
    const auto cpu = static_cast<CpuNumber>(i / 2 % kCpus);
    const bool computes = i % 2 == 0;
    const auto live = [&, i, cpu, computes] {
      Space space;
      uint64_t seed = 0;
      for (int step = 0; step < 60; ++step) {
        switch (random() % 4) {
          case 0:
            // Any, or one of three: some tasks share theirs.
            space = Space{random() % 4};
            adopt(space, computes ? &fpus[i] : nullptr);
            if (computes) fill_fpu(seed = random());
            break;
          case 1: M::spend(Duration{1 + random() % 50}); break;
          default: S::yield();
        }
        if (space != Space{}) EXPECT_EQ(kernel.loaded(cpu), space);
        if (seed != 0) EXPECT_TRUE(holds(M::fpu(), seed));
      }
    };
    kernel.make("some", live, Duration{40}, cpu);
  }
  kernel.on_finish = [](Kernel::Thread& finished) {
    if (const Fpu* const fpu = finished.context().fpu; fpu != nullptr) forget(*fpu);
  };
  kernel.run();
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnySchedule, testing::Range(uint64_t{1}, uint64_t{101}));

}  // namespace
}  // namespace hal
