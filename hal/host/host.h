// The host machine: threads of one Linux process are the CPUs, so that the scheduler that boots
// runs with real parallelism, under ThreadSanitizer and against a real clock.
//
//     hal::host::Cpus cpus({.cpus = 4, .interrupt = on_interrupt, .preempt = S::preempt});
//     cpus.run([&](hal::CpuNumber cpu) { S::start(blocks, cpu, sink); S::run(); });
//     ...                                          // some task has called `Cpus::power_off()`
//
// - A CPU is a thread with the base of GS at its record; so `local` and `mask` are what they are on
//   bare metal, one instruction that no interrupt comes in between, on whatever thread a task is.
// - *Masked* is a byte of that record. An interrupt is a bit beside it and, if the thread may be
//   running, a signal: SIGALRM from the thread's own timer, SIGUSR1 for a kick. Its handler takes
//   what is pending unless the CPU is masked; else `unmask` does.
// - The thread's timer is set only for something earlier than what it is set for: a CPU that goes
//   to sleep and wakes up makes two calls of the system, one to sleep and one to wake another.
// - The handler runs on the interrupted task's stack, and switches from there. The signals are
//   blocked only until it has masked the CPU, so that whoever is switched to finds them as ever;
//   when the task goes on, on whatever thread, Linux loads the rest of its registers.
// - `wait` sleeps on the word of pending bits, which is why no wake-up is lost; a kick finds in it
//   that its CPU sleeps, and sends no signal.
// - Clock: CLOCK_MONOTONIC, in nanoseconds; one for all CPUs, so there is no skew.
//
// What a task must know. It is interrupted anywhere, and may go on in another thread: what the C
// library keeps for a thread (`malloc`, stdio, locks; not `errno`) is to be used masked, or under a
// guard if no interrupt handler uses it. Its stack has to hold what Linux saves at a signal, some
// kilobytes. There may be more CPUs than the computer has; whoever spins then (`relax`) gives the
// processor away.
//
// Under AddressSanitizer and ThreadSanitizer, whose own code cannot be left in its middle,
// interrupts are taken only where the machine is called unmasked (`mask`, `unmask`, `relax`), and
// there are no signals. ThreadSanitizer sees each stack as a fiber, and no order between CPUs but
// that of atomics and of kicks.
//
// x86_64 Linux. On threads that are no CPU each function here but `now` faults.

#ifndef BATON_HAL_HOST_HOST_H_
#define BATON_HAL_HOST_HOST_H_

#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "hal/hal.h"
#include "hal/interrupt.h"
#include "hal/stack/sanitizer.h"
#include "hal/time.h"

namespace hal::host {

struct Thread;

/// What a machine is made of.
struct Options {
  CpuNumber cpus = 1;
  /// The kernel's two functions of `hal/interrupt.h`: called masked, on the interrupted stack;
  /// `preempt` when `interrupt` answered true.
  bool (*interrupt)(Interrupt) = nullptr;
  void (*preempt)() = nullptr;
  /// Each CPU on a processor of its own, if there are as many: for measurements.
  bool pinned = false;
};

/// The CPUs of one machine. A process may have several, one after the other or at a time.
class Cpus {
 public:
  explicit Cpus(Options options);
  ~Cpus();
  Cpus(const Cpus&) = delete;
  Cpus& operator=(const Cpus&) = delete;

  /// Calls `boot(i)` for each i below `cpus`, masked, each on a thread and a stack of its own, and
  /// returns once all have been switched off. What tasks have on their stacks then is abandoned.
  /// Not from a CPU.
  void run(std::function<void(CpuNumber)> boot);

  /// Switches off the caller, which is a CPU, and the others as soon as they take interrupts.
  [[noreturn]] static void power_off();

 private:
  friend struct Machine;
  friend struct Thread;
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

/// The machine that a scheduler is instantiated with, under the contract of `hal::Machine`.
struct Machine {
  struct Local : LocalBase {};

  enum class Irq : uint8_t { unmasked, masked };
  static constexpr Irq kUnmasked = Irq::unmasked;

  /// A saved stack. What a sanitizer keeps of it goes with it.
  struct Context {
    constexpr Context() = default;

    void* sp = nullptr;
    Entry entry = nullptr;  // and its argument: until the first switch
    void* argument = nullptr;
    [[no_unique_address]] stack::sanitizer::Shadow shadow;
  };
  /// More than is written: a stack of twice as much has room for a signal.
  static constexpr size_t kContextBytes = 8 * 1024;

  static void start_cpu(Local& local, CpuNumber number);
  static Local* local();
  static Instant now();
  static uint64_t ticks_per_second() { return 1'000'000'000; }
  static void arm(Instant when);
  static Irq mask();
  static void mask_unmasked();
  static void unmask(Irq irq);
  static Context make_context(std::span<std::byte> stack, Entry entry, void* argument);
  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    const auto context = [](void* object) {
      return reinterpret_cast<Context*>(static_cast<std::byte*>(object) + kOffset);
    };
    switch_stacks(*context(from), *context(to));
  }
  static void wait();
  static void relax();
  static void kick(CpuNumber cpu);
  [[noreturn]] static void panic(const char* rule, const char* task);

 private:
  friend class Cpus;

  static void switch_stacks(Context& from, Context& to);
  static void begin();
  static void take_interrupts();
  static bool take_timer(Thread& thread);
  static void look();
  static void on_signal(int signal, siginfo_t* info, void* context);
  [[noreturn]] static void leave();
  static bool is_masked();
  static void mask_cpu();
  static void unmask_cpu();
};

/// A CPU's record, to which GS points.
struct Thread {
  // What may be pending.
  static constexpr uint32_t kTimer = 1, kKick = 2, kOff = 4;
  // It sleeps in `wait`: whoever adds a bit wakes it.
  static constexpr uint32_t kAsleep = 8;

  Thread* self = nullptr;
  Machine::Local* local = nullptr;
  bool masked = true;                // by single instructions only
  std::atomic<uint32_t> pending{0};  // a set
  Cpus::Impl* machine = nullptr;
  int id = 0;  // Linux's
  timer_t timer = nullptr;
  Instant armed = never;                 // what an interrupt is due by
  Instant set = never;                   // what the timer is set to: that, or earlier
  Machine::Context* arriving = nullptr;  // begins to run for the first time
  Machine::Context home, boot, abandoned;
  std::span<std::byte> stack = {};  // that it is on; for the sanitizer
  unsigned relaxed = 0;             // how often
};

// ---- What is inlined ------------------------------------------------------------------------

// Whether interrupts are taken at machine calls instead of at signals.
inline constexpr bool kAtCalls = stack::sanitizer::kOn;

inline Machine::Local* Machine::local() {
  Local* local;
  asm volatile("mov %%gs:%c1, %0" : "=r"(local) : "i"(offsetof(Thread, local)));
  return local;
}

inline bool Machine::is_masked() {
  bool masked;
  asm volatile("movb %%gs:%c1, %0" : "=q"(masked) : "i"(offsetof(Thread, masked)));
  return masked;
}

inline void Machine::mask_cpu() {
  asm volatile("movb $1, %%gs:%c0" : : "i"(offsetof(Thread, masked)) : "memory");
}

inline void Machine::unmask_cpu() {
  asm volatile("movb $0, %%gs:%c0" : : "i"(offsetof(Thread, masked)) : "memory");
}

inline void Machine::mask_unmasked() {
  if constexpr (kAtCalls) look();
  mask_cpu();
}

// Between the two a task may come to another CPU; that one is unmasked, too.
inline Machine::Irq Machine::mask() {
  const bool masked = is_masked();
  if (!masked) mask_unmasked();
  return masked ? Irq::masked : Irq::unmasked;
}

inline void Machine::unmask(Irq irq) {
  if (irq != kUnmasked) return;
  unmask_cpu();
  if constexpr (kAtCalls) return look();
  bool pending;
  asm volatile("cmpl $0, %%gs:%c1" : "=@ccne"(pending) : "i"(offsetof(Thread, pending)));
  if (pending) [[unlikely]]
    take_interrupts();
}

}  // namespace hal::host

static_assert(hal::Machine<hal::host::Machine>);

#endif  // BATON_HAL_HOST_HOST_H_
