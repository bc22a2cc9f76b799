// That the scheduler never allocates: every use of the global `operator new` in this process is
// counted, unless the simulated machine is at it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <span>
#include <type_traits>

#include "gtest/gtest.h"
#include "hal/hal.h"
#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"

namespace {

bool in_guest = false;  // the scheduler or a task is running, not the simulation
uint64_t allocations = 0;

void* count_and_allocate(size_t bytes) {
  if (in_guest) ++allocations;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void count_and_free(void* memory) {
  if (in_guest) ++allocations;
  std::free(memory);
}

}  // namespace

void* operator new(size_t bytes) { return count_and_allocate(bytes); }
void* operator new[](size_t bytes) { return count_and_allocate(bytes); }
void operator delete(void* memory) noexcept { count_and_free(memory); }
void operator delete[](void* memory) noexcept { count_and_free(memory); }
void operator delete(void* memory, size_t) noexcept { count_and_free(memory); }
void operator delete[](void* memory, size_t) noexcept { count_and_free(memory); }

namespace sched::test {
namespace {

using Sim = hal::sim::Machine;

// The simulated machine, leaving the guest for each of its calls. A call always comes back to a
// guest, if on another stack; whatever else enters one (an interrupt, a new stack) says so itself.
struct Machine : Sim {
  template <typename Call>
  static auto outside(const Call& call) {
    in_guest = false;
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      in_guest = true;
    } else {
      const auto result = call();
      in_guest = true;
      return result;
    }
  }

  static void start_cpu(Local& local, CpuNumber number) {
    outside([&] { Sim::start_cpu(local, number); });
  }
  static Local* local() {
    return outside([] { return Sim::local(); });
  }
  static Instant now() {
    return outside([] { return Sim::now(); });
  }
  static void arm(Instant when) {
    outside([&] { Sim::arm(when); });
  }
  static Irq mask() {
    return outside([] { return Sim::mask(); });
  }
  static void unmask(Irq irq) {
    outside([&] { Sim::unmask(irq); });
  }
  static Context make_context(std::span<std::byte> stack, hal::Entry entry, void* argument) {
    return outside([&] { return Sim::make_context(stack, entry, argument); });
  }
  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    outside([&] { Sim::switch_to<kOffset>(from, to); });
  }
  static void wait() {
    outside([] { Sim::wait(); });
  }
  static void kick(CpuNumber cpu) {
    outside([&] { Sim::kick(cpu); });
  }
  static void spend(Duration work) {
    outside([&] { Sim::spend(work); });
  }
};

static_assert(hal::Machine<Machine>);

template <typename P>
class Allocation : public testing::Test {};
using Policies = testing::Types<Fifo, RoundRobin, FixedPriority, FixedPriorityThreshold>;
TYPED_TEST_SUITE(Allocation, Policies);

// Every service there is, on two CPUs, from tasks and from interrupts.
TYPED_TEST(Allocation, DoesNotHappenInTheScheduler) {
  using S = Scheduler<Machine, TypeParam, Options{.debug_checks = true, .latency = true}>;
  struct Guest {
    typename S::Cpu cpus[2];
    typename S::Task worker{"worker"};
    typename S::Task sleeper{"sleeper"};
    typename S::Task remote{"remote"};
    hal::sim::Stack stacks[3];
    typename S::Attributes attributes{};
    int finished = 0;
    int rounds = 0;
  };
  static Guest* guest;
  Guest here;
  guest = &here;
  if constexpr (std::is_same_v<TypeParam, RoundRobin>) {
    here.attributes.slice = hal::Duration{50};
  }

  hal::sim::World world({.cpus = 2,
                         .trace = 0,
                         .interrupt =
                             [](hal::Interrupt cause) {
                               in_guest = true;
                               typename S::Interrupt interrupt;
                               if (cause.cause == hal::Cause::timer) S::on_timer();
                               if (cause.cause == hal::Cause::kick) S::on_kick();
                               if (cause.cause == hal::Cause::device) {
                                 interrupt.wake(guest->sleeper);
                                 S::wake(guest->remote);
                               }
                               const bool due = interrupt.leave();
                               in_guest = false;
                               return due;
                             },
                         .preempt =
                             [] {
                               in_guest = true;
                               S::preempt();
                               in_guest = false;
                             }});

  const auto sleep = [](void*) {
    in_guest = true;
    while (S::park() != Woken::by_kill) {
      const typename S::NoPreempt guard;
      S::wake(guest->worker);
    }
  };
  const auto work = [](void*) {
    in_guest = true;
    for (int i = 0; i < 20; ++i) {
      Machine::spend(hal::Duration{30});
      S::yield();
      S::wake(guest->sleeper);
      S::wake(guest->remote);
      S::retune(guest->sleeper, guest->attributes);
      S::retune(guest->remote, guest->attributes);
      S::retune(S::current(), guest->attributes);
      const Usage usage = S::usage(S::current());
      guest->rounds += usage.run.ticks != 0;
    }
    S::kill(guest->sleeper);
    S::kill(guest->remote);
    S::exit();
  };
  static constexpr auto sink = [](typename S::Task&) { ++guest->finished; };
  static const auto sleep_entry = +sleep;
  static const auto work_entry = +work;
  for (CpuNumber cpu : {1, 0}) {
    world.boot(
        cpu,
        [cpu] {
          in_guest = true;
          S::start(guest->cpus, cpu, sink);
          if (cpu == 0) {
            const auto spawn = [](auto number, auto& task, auto& stack, auto entry) {
              guest->rounds +=
                  S::spawn_on(number, task, stack, entry, nullptr, guest->attributes).has_value();
            };
            spawn(CpuNumber{0}, guest->sleeper, guest->stacks[0], sleep_entry);
            spawn(CpuNumber{0}, guest->worker, guest->stacks[1], work_entry);
            spawn(CpuNumber{1}, guest->remote, guest->stacks[2], sleep_entry);
          }
          S::run();
        },
        hal::Instant{cpu == 0 ? 100u : 1u});
  }
  for (uint64_t when = 120; when < 600; when += 70) world.raise_at(0, 1, hal::Instant{when});
  allocations = 0;
  const hal::sim::Outcome outcome = world.run();
  in_guest = false;
  EXPECT_EQ(outcome, hal::sim::End::quiet);
  EXPECT_EQ(here.finished, 3);
  EXPECT_EQ(here.rounds, 3 + 20);
  EXPECT_EQ(allocations, 0u);
}

// The counter counts.
TEST(AllocationCounter, SeesAnAllocationOfAGuest) {
  hal::sim::World world({.trace = 0});
  world.boot(0, [] {
    in_guest = true;
    int* volatile number = new int(1);
    delete number;
    in_guest = false;
  });
  allocations = 0;
  EXPECT_EQ(world.run(), hal::sim::End::quiet);
  EXPECT_EQ(allocations, 2u);
}

}  // namespace
}  // namespace sched::test
