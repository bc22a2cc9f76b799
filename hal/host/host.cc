// How a thread is a CPU.

#include "hal/host/host.h"

#include <asm/prctl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "hal/stack/sanitizer.h"
#include "hal/stack/stack.h"
#include "hal/stack/stack_switch.h"

namespace hal::host {
namespace {

constexpr int kTimerSignal = SIGALRM;
constexpr int kKickSignal = SIGUSR1;
constexpr size_t kBootStack = 256 * 1024;
constexpr uint64_t kPerSecond = 1'000'000'000;

// Never kept across a switch: each call looks anew.
Thread* this_thread() {
  Thread* thread;
  asm volatile("mov %%gs:%c1, %0" : "=r"(thread) : "i"(offsetof(Thread, self)));
  return thread;
}

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "hal::host: %s: %s\n", what, std::strerror(errno));
  std::abort();
}

timespec time_of(Instant when) {
  return {.tv_sec = static_cast<time_t>(when.ticks / kPerSecond),
          .tv_nsec = static_cast<long>(when.ticks % kPerSecond)};
}

// Returns when the word is another one, at a signal, when woken, or once `until` has come.
void sleep_on(std::atomic<uint32_t>& word, uint32_t value, Instant until) {
  const timespec time = time_of(until);
  syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value,
          until == never ? nullptr : &time, nullptr, FUTEX_BITSET_MATCH_ANY);
}

void set_timer(Thread& thread) {
  thread.set = thread.armed;
  itimerspec at = {};
  at.it_value = time_of(std::max(thread.armed, Instant{1}));  // all zero would turn it off
  timer_settime(thread.timer, TIMER_ABSTIME, &at, nullptr);
}

void wake_up(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
}

// Has a CPU notice what was pending before as `before`, to which something was added.
void notify(Thread& thread, uint32_t before) {
  if (before & Thread::kAsleep) {
    wake_up(thread.pending);
  } else if (!kAtCalls && &thread != this_thread()) {
    syscall(SYS_tkill, thread.id, kKickSignal);
  }
}

// errno is in the thread, and compilers take its address to be the same throughout a function: not
// in one that may go on in another thread.
[[gnu::noinline]] int load_errno() { return errno; }
[[gnu::noinline]] void store_errno(int value) { errno = value; }

std::span<std::byte> stack_of_this_thread() {
  pthread_attr_t attributes;
  check(pthread_getattr_np(pthread_self(), &attributes) == 0, "pthread_getattr_np");
  void* low = nullptr;
  size_t size = 0;
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  return {static_cast<std::byte*>(low), size};
}

sigset_t interrupts() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, kTimerSignal);
  sigaddset(&set, kKickSignal);
  return set;
}

}  // namespace

// ---- The machine as a whole -----------------------------------------------------------------

struct Cpus::Impl {
  Options options;
  bool is_crowded = false;  // more CPUs than processors
  std::vector<int> processors;
  std::vector<std::unique_ptr<Thread>> threads;
  std::unique_ptr<std::atomic<Thread*>[]> by_number;
  std::function<void(CpuNumber)> boot;

  void begin(Thread& thread, size_t index) {
    thread.self = &thread;
    thread.machine = this;
    thread.id = gettid();
    thread.stack = stack_of_this_thread();
    if (options.pinned && !is_crowded) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(processors[index], &one);
      sched_setaffinity(0, sizeof(one), &one);
    }
    check(syscall(SYS_arch_prctl, ARCH_SET_GS, &thread) == 0, "arch_prctl");
    if constexpr (!kAtCalls) {
      sigevent event = {};
      event.sigev_notify = SIGEV_THREAD_ID;
      event.sigev_signo = kTimerSignal;
      event._sigev_un._tid = thread.id;  // what glibc has no name for
      check(timer_create(CLOCK_MONOTONIC, &event, &thread.timer) == 0, "timer_create");
      const sigset_t set = interrupts();
      pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    }
  }

  void end(Thread& thread) {
    if constexpr (!kAtCalls) {
      const sigset_t set = interrupts();
      pthread_sigmask(SIG_BLOCK, &set, nullptr);
      timer_delete(thread.timer);
    }
  }
};

Cpus::Cpus(Options options) : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  cpu_set_t allowed;
  check(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "sched_getaffinity");
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &allowed)) impl_->processors.push_back(i);
  }
  impl_->is_crowded = options.cpus > impl_->processors.size();
  if constexpr (!kAtCalls) {
    struct sigaction entry = {};
    entry.sa_sigaction = Machine::on_signal;
    entry.sa_flags = SA_SIGINFO | SA_RESTART;
    entry.sa_mask = interrupts();
    for (int signal : {kTimerSignal, kKickSignal}) sigaction(signal, &entry, nullptr);
  }
}

Cpus::~Cpus() = default;

void Cpus::run(std::function<void(CpuNumber)> boot) {
  const CpuNumber count = impl_->options.cpus;
  impl_->boot = std::move(boot);
  impl_->by_number = std::make_unique<std::atomic<Thread*>[]>(count);
  impl_->threads.clear();
  for (CpuNumber i = 0; i < count; ++i) impl_->threads.push_back(std::make_unique<Thread>());
  // Before the first may be kicked, and until the last may have been, all are there.
  std::barrier together(count);
  std::vector<std::thread> threads;
  for (CpuNumber i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      Thread& thread = *impl_->threads[i];
      impl_->begin(thread, i);
      together.arrive_and_wait();
      const stack::Stack stack(kBootStack);
      thread.boot = Machine::make_context(
          stack,
          [](void* index) {
            Machine::mask();
            this_thread()->machine->boot(
                static_cast<CpuNumber>(reinterpret_cast<uintptr_t>(index)));
            Machine::panic("a CPU's boot code returned", nullptr);
          },
          reinterpret_cast<void*>(uintptr_t{i}));
      Machine::switch_stacks(thread.home, thread.boot);
      together.arrive_and_wait();
      impl_->end(thread);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void Cpus::power_off() {
  Machine::mask();
  for (const auto& thread : this_thread()->machine->threads) {
    if (thread.get() != this_thread()) {
      notify(*thread, thread->pending.fetch_or(Thread::kOff, std::memory_order_release));
    }
  }
  Machine::leave();
}

void Machine::leave() {
  Thread& thread = *this_thread();
  switch_stacks(thread.abandoned, thread.home);
  __builtin_unreachable();
}

// ---- Stacks ---------------------------------------------------------------------------------

Machine::Context Machine::make_context(std::span<std::byte> stack, Entry entry, void* argument) {
  Context context;
  context.sp = stack::prepare_stack(stack, &begin);
  context.entry = entry;
  context.argument = argument;
  context.shadow = stack::sanitizer::Shadow(stack);
  return context;
}

BATON_UNCHECKED void Machine::switch_stacks(Context& from, Context& to) {
  Thread& thread = *this_thread();
  thread.arriving = &to;
  from.shadow.leave_for(to.shadow, thread.stack);
  stack::switch_stack(&from.sp, to.sp);
  // By whom and on which thread does not matter.
  from.shadow.arrived();
  this_thread()->stack = from.shadow.stack();
}

BATON_UNCHECKED void Machine::begin() {
  Thread& thread = *this_thread();
  Context& self = *thread.arriving;
  self.shadow.arrived();
  thread.stack = self.shadow.stack();
  const Entry entry = self.entry;
  void* const argument = self.argument;
  unmask(kUnmasked);
  // `entry` gets its argument and nothing else, and returns nowhere.
  asm volatile(
      "and $-16, %%rsp\n"
      "push $0\n"
      "xor %%ebx, %%ebx\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n xor %%esi, %%esi\n"
      "xor %%ebp, %%ebp\n xor %%r8d, %%r8d\n xor %%r9d, %%r9d\n xor %%r10d, %%r10d\n"
      "xor %%r11d, %%r11d\n xor %%r12d, %%r12d\n xor %%r13d, %%r13d\n"
      "xor %%r14d, %%r14d\n xor %%r15d, %%r15d\n"
      "jmp *%%rax"
      :
      : "a"(entry), "D"(argument));
  __builtin_unreachable();
}

// ---- Interrupts -----------------------------------------------------------------------------

void Machine::on_signal(int signal, siginfo_t*, void* context) {
  Thread* const thread = this_thread();
  if (signal == kTimerSignal) {
    thread->pending.fetch_or(Thread::kTimer, std::memory_order_relaxed);
  }
  if (is_masked()) return;
  mask_cpu();
  // Up to here another signal could have taken this flow to another thread, and what is pending on
  // this one would have been noted there. From here on whom it switches to must not find them
  // blocked.
  const sigset_t set = interrupts();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  take_interrupts();
  // The return loads the alternate signal stack that this thread had: if it is another one now,
  // that one's is to stay.
  if (this_thread() != thread) sigaltstack(nullptr, &static_cast<ucontext_t*>(context)->uc_stack);
}

void Machine::take_interrupts() {
  const int error = load_errno();
  do {
    mask_cpu();
    Thread& thread = *this_thread();
    const uint32_t pending = thread.pending.load(std::memory_order_relaxed);
    if (pending & Thread::kOff) leave();
    const uint32_t first = pending & -pending;
    if (first != 0) {
      // One at a time, and acknowledged before its handler looks for why it came.
      thread.pending.fetch_and(~first, std::memory_order_acquire);
      const Options& kernel = thread.machine->options;
      const Cause cause = first == Thread::kTimer ? Cause::timer : Cause::kick;
      if ((cause == Cause::kick || take_timer(thread)) && kernel.interrupt({.cause = cause})) {
        kernel.preempt();
      }
    }
    unmask_cpu();
    // On whatever CPU this task is now. What comes later has a signal of its own.
  } while (this_thread()->pending.load(std::memory_order_relaxed) != 0);
  store_errno(error);
}

// Whether the time has come that was armed, or only one that the timer had been set to before.
bool Machine::take_timer(Thread& thread) {
  if constexpr (!kAtCalls) thread.set = never;
  if (now() < thread.armed) {
    if constexpr (!kAtCalls) set_timer(thread);
    return false;
  }
  thread.armed = never;
  return true;
}

void Machine::look() {
  if (is_masked()) return;
  Thread& thread = *this_thread();
  if (thread.armed != never && thread.armed <= now()) {
    thread.pending.fetch_or(Thread::kTimer, std::memory_order_relaxed);
  }
  if (thread.pending.load(std::memory_order_relaxed) != 0) take_interrupts();
}

void Machine::wait() {
  Thread& thread = *this_thread();
  uint32_t none = 0;
  // From here on whoever adds a bit finds that this CPU sleeps, or the sleep finds the bit.
  if (!thread.pending.compare_exchange_strong(none, Thread::kAsleep, std::memory_order_relaxed)) {
    return;
  }
  // The timer's signal ends it, where there are signals.
  sleep_on(thread.pending, Thread::kAsleep, kAtCalls ? thread.armed : never);
  thread.pending.fetch_and(~Thread::kAsleep, std::memory_order_relaxed);
}

void Machine::kick(CpuNumber cpu) {
  const Irq irq = mask();  // one's own comes when that is over
  Thread& thread = *this_thread()->machine->by_number[cpu].load(std::memory_order_acquire);
  const uint32_t before = thread.pending.fetch_or(Thread::kKick, std::memory_order_release);
  // Whoever set it before has notified, or is about to.
  if (!(before & Thread::kKick)) notify(thread, before);
  unmask(irq);
}

// ---- The rest -------------------------------------------------------------------------------

void Machine::start_cpu(Local& local, CpuNumber number) {
  Thread& thread = *this_thread();
  local.number = number;
  thread.local = &local;
  thread.machine->by_number[number].store(&thread, std::memory_order_release);
}

Instant Machine::now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return {static_cast<uint64_t>(time.tv_sec) * kPerSecond + static_cast<uint64_t>(time.tv_nsec)};
}

// Lazily: a timer set for earlier is left alone, and `take_timer` sets it anew.
void Machine::arm(Instant when) {
  Thread& thread = *this_thread();
  thread.armed = when;
  if (!kAtCalls && when < thread.set) set_timer(thread);
}

void Machine::relax() {
  if constexpr (kAtCalls) look();
  Thread& thread = *this_thread();
  ++thread.relaxed;
  if (thread.machine->is_crowded && thread.relaxed % 64 == 0) {
    // Whoever is waited for is probably not running at all.
    constexpr timespec kShort = {.tv_sec = 0, .tv_nsec = 1'000};
    nanosleep(&kShort, nullptr);
  } else if (thread.relaxed % 4096 == 0) {
    sched_yield();  // others on this computer may have taken his processor
  } else {
    asm volatile("pause");
  }
}

void Machine::panic(const char* rule, const char* task) {
  std::fprintf(stderr, "hal::host: panic: %s: %s\n", task == nullptr ? "nobody" : task, rule);
  std::abort();
}

}  // namespace hal::host
