// A small kernel on the simulated machine, for tests of the scheduler: it owns the CPUs' blocks,
// tasks whose bodies are C++ functions, and a sink that writes down what it was given.
//
//     Kernel<RoundRobin> kernel({.cpus = 2, .seed = seed});
//     auto& task = kernel.make("a", [&] { ... }, {.slice = Duration{100}});
//     kernel.boot([&] { kernel.spawn(task); });       // the boot code of CPU 0
//     EXPECT_EQ(kernel.run(), hal::sim::End::quiet);
//
// Host code: allocates. One kernel is one scheduler; many may exist at a time.

#ifndef BATON_TESTS_SCHED_KERNEL_H_
#define BATON_TESTS_SCHED_KERNEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/interrupt.h"
#include "hal/sim/sim.h"
#include "sched/scheduler.h"

namespace sched::test {

using hal::sim::End;
using hal::sim::Panic;
using Sim = hal::sim::Machine;
using Lines = std::vector<std::string>;

constexpr Duration ticks(uint64_t count) { return Duration{count}; }
constexpr Instant at(uint64_t instant) { return Instant{instant}; }

template <Policy P, Options kOptions = Options{.debug_checks = true}, hal::Machine M = Sim>
class Kernel {
 public:
  using S = Scheduler<M, P, kOptions>;
  using Cpu = typename S::Cpu;
  using Attributes = typename S::Attributes;

  /// A task and all that it needs. What the sink saw of it is in `finishes`.
  class Thread : public S::Task {
   public:
    Thread(Kernel& kernel, std::string name, std::function<void()> body, Attributes attributes,
           size_t stack_bytes)
        : S::Task(nullptr),
          kernel(kernel),
          text(std::move(name)),
          body(std::move(body)),
          attributes(attributes),
          stack(stack_bytes) {
      this->set_name(text.c_str());
    }

    Kernel& kernel;
    std::string text;
    std::function<void()> body;
    Attributes attributes;
    hal::sim::Stack stack;
    bool floats = false;
    int finishes = 0;
  };

  /// The name of a task that is no `Thread`: the sink lets it alone.
  static constexpr char kStranger[] = "stranger";

  /// With one CPU it boots at instant 10. With more all others boot at once, and run; CPU 0 boots
  /// at instant 1000, so that they may be spawned on from its boot code.
  explicit Kernel(hal::sim::Options options = {})
      : count_(options.cpus),
        cpus_(new Cpu[options.cpus]),
        world(with_handlers(std::move(options))) {}

  Thread& make(std::string name, std::function<void()> body, Attributes attributes = {},
               size_t stack_bytes = 64 * 1024) {
    return threads.emplace_back(*this, std::move(name), std::move(body), attributes, stack_bytes);
  }

  /// `code` runs on CPU 0 between `start` and `run`.
  void boot(std::function<void()> code) {
    for (CpuNumber cpu = 1; cpu < count_; ++cpu) boot_cpu(cpu, nullptr, {});
    boot_cpu(0, std::move(code), count_ == 1 ? at(10) : at(1000));
  }
  /// Boot code that spawns these, in this order.
  template <typename... Threads>
  void boot_with(Threads&... some) {
    boot([&] { (spawn(some), ...); });
  }
  /// The same with all that have been made.
  void boot_with_all() {
    boot([&] {
      for (Thread& thread : threads) spawn(thread);
    });
  }
  void boot_cpu(CpuNumber number, std::function<void()> code, Instant when) {
    world.boot(
        number,
        [this, number, code = std::move(code)] {
          S::start({cpus_.get(), count_}, number, &sink);
          if (code) code();
          S::run();
        },
        when);
  }

  hal::sim::Outcome run(Instant until = never) { return world.run(until); }

  /// Runs until nothing happens any more. By then every task has come to its end: none waits still.
  void finish() {
    EXPECT_EQ(run(), End::quiet);
    for (const Thread& thread : threads) EXPECT_EQ(thread.finishes, 1) << thread.text;
  }

  // In a guest.
  std::expected<void, SpawnError> try_spawn(Thread& thread) {
    return S::spawn(thread, thread.stack, &enter, &thread, thread.attributes);
  }
  std::expected<void, SpawnError> try_spawn_on(CpuNumber cpu, Thread& thread) {
    return S::spawn_on(cpu, thread, thread.stack, &enter, &thread, thread.attributes);
  }
  void spawn(Thread& thread) { EXPECT_TRUE(try_spawn(thread).has_value()) << thread.text; }
  void spawn_on(CpuNumber cpu, Thread& thread) {
    EXPECT_TRUE(try_spawn_on(cpu, thread).has_value()) << thread.text;
  }

  std::expected<void, SpawnError> try_spawn_in(const S::Where& where, Thread& thread) {
    thread.floats = where.floats;
    return S::spawn_in(where, thread, thread.stack, &enter, &thread, thread.attributes);
  }
  void spawn_in(const S::Where& where, Thread& thread) {
    EXPECT_TRUE(try_spawn_in(where, thread).has_value()) << thread.text;
  }

  static Thread& current() { return static_cast<Thread&>(S::current()); }

  Cpu& cpu(CpuNumber number) { return cpus_[number]; }
  CpuNumber count() const { return count_; }

  /// How long an interrupt's handler took at most, in a world where machine calls cost something.
  Duration longest_interrupt() const { return ticks(longest_interrupt_.load()); }

  void log(std::string line) { lines.push_back(std::move(line)); }

 private:
  const CpuNumber count_;
  const std::unique_ptr<Cpu[]> cpus_;
  std::atomic<uint64_t> longest_interrupt_{0};  // of all CPUs

 public:
  hal::sim::World world;
  std::deque<Thread> threads;
  Lines lines;
  /// Called at every machine call: see tests/sched/invariants.h.
  std::function<void()> on_step;
  /// Called in an interrupt with the line that a test raised.
  std::function<void(uint32_t, typename S::Interrupt&)> on_device;
  /// Called by the sink, after it has poisoned the stack of a finished task.
  std::function<void(Thread&)> on_finish;

 private:
  hal::sim::Options with_handlers(hal::sim::Options options) {
    options.interrupt = [this](hal::Interrupt interrupt) {
      const Instant begin = world.now();
      typename S::Interrupt guard;
      switch (interrupt.cause) {
        case hal::Cause::timer: S::on_timer(); break;
        case hal::Cause::kick: S::on_kick(); break;
        case hal::Cause::device: on_device(interrupt.line, guard); break;
        case hal::Cause::none: ADD_FAILURE() << "an interrupt without a cause"; break;
      }
      const bool due = guard.leave();
      const uint64_t took = (world.now() - begin).ticks;
      if (took > longest_interrupt_.load(std::memory_order_relaxed)) {
        longest_interrupt_.store(took, std::memory_order_relaxed);
      }
      return due;
    };
    options.preempt = [] { S::preempt(); };
    options.watch = [this] {
      if (on_step) on_step();
    };
    return options;
  }

  static void enter(void* thread) { static_cast<Thread*>(thread)->body(); }

  static void sink(typename S::Task& finished) {
    if (finished.name() == kStranger) return;
    Thread& thread = static_cast<Thread&>(finished);
    ++thread.finishes;
    // Whoever still ran on this stack would not get far.
    std::memset(thread.stack.bytes().data(), 0xdb, thread.stack.bytes().size());
    if (thread.kernel.on_finish) thread.kernel.on_finish(thread);
  }
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_KERNEL_H_
