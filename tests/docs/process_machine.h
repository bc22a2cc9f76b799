// A whole machine in one file: a Linux process on x86_64. Its one thread is the CPU, three signals
// are the interrupts, the thread's signal mask is the interrupt flag. docs/porting.md goes through
// it function by function. It is an example, not a simulator: hal/sim is that.

#ifndef BATON_TESTS_DOCS_PROCESS_MACHINE_H_
#define BATON_TESTS_DOCS_PROCESS_MACHINE_H_

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "hal/hal.h"
#include "hal/interrupt.h"

namespace process {

inline constexpr int kTimerSignal = SIGALRM;
inline constexpr int kKickSignal = SIGUSR1;
inline constexpr int kDeviceSignal = SIGUSR2;

class Machine {
 public:
  struct Local : hal::LocalBase {
    timer_t timer = nullptr;
  };
  struct Context {
    void* sp = nullptr;
  };
  enum class Irq : bool { masked, unmasked };
  static constexpr Irq kUnmasked = Irq::unmasked;
  static constexpr size_t kContextBytes = 8 * sizeof(uint64_t);

  static void start_cpu(Local& local, hal::CpuNumber number) {
    local.number = number;
    local_ = &local;
    struct sigaction entry = {};
    entry.sa_handler = enter_interrupt;
    entry.sa_mask = interrupts();
    for (int signal : {kTimerSignal, kKickSignal, kDeviceSignal}) {
      sigaction(signal, &entry, nullptr);
    }
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = kTimerSignal;
    if (timer_create(CLOCK_MONOTONIC, &event, &local.timer) != 0) panic("no timer", nullptr);
  }

  static Local* local() { return local_; }

  static hal::Instant now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return {static_cast<uint64_t>(time.tv_sec) * kPerSecond + static_cast<uint64_t>(time.tv_nsec)};
  }

  static uint64_t ticks_per_second() { return kPerSecond; }

  static void arm(hal::Instant when) {
    itimerspec at = {};  // all zero turns the timer off
    if (when != hal::never) {
      const uint64_t ticks = std::max<uint64_t>(when.ticks, 1);
      at.it_value.tv_sec = static_cast<time_t>(ticks / kPerSecond);
      at.it_value.tv_nsec = static_cast<long>(ticks % kPerSecond);
    }
    timer_settime(local_->timer, TIMER_ABSTIME, &at, nullptr);
  }

  static Irq mask() {
    const sigset_t set = interrupts();
    sigset_t before;
    sigprocmask(SIG_BLOCK, &set, &before);
    return sigismember(&before, kTimerSignal) == 1 ? Irq::masked : Irq::unmasked;
  }

  static void unmask(Irq irq) {
    const sigset_t set = interrupts();
    if (irq == kUnmasked) sigprocmask(SIG_UNBLOCK, &set, nullptr);
  }

  static Context make_context(std::span<std::byte> stack, hal::Entry entry, void* argument) {
    auto* const frame = reinterpret_cast<uint64_t*>(stack.data() + stack.size()) - 8;
    std::fill_n(frame, 8, 0);
    frame[2] = reinterpret_cast<uint64_t>(&unmask);      // r13
    frame[3] = reinterpret_cast<uint64_t>(argument);     // r12
    frame[4] = reinterpret_cast<uint64_t>(entry);        // rbx
    frame[6] = reinterpret_cast<uint64_t>(&enter_task);  // where the switch returns to
    return {frame};                                      // frame[7]: where the task cannot
  }

  template <size_t kOffset>
  [[gnu::naked, gnu::noinline]] static void switch_to(void* /* from: rdi */, void* /* to: rsi */) {
    asm volatile(
        "push %%rbp\n push %%rbx\n push %%r12\n push %%r13\n push %%r14\n push %%r15\n"
        "mov %%rsp, %c0(%%rdi)\n"
        "mov %c0(%%rsi), %%rsp\n"
        "pop %%r15\n pop %%r14\n pop %%r13\n pop %%r12\n pop %%rbx\n pop %%rbp\n"
        "ret"
        :
        : "i"(kOffset + offsetof(Context, sp)));
  }

  static void wait() {
    sigset_t none;
    sigemptyset(&none);
    sigsuspend(&none);
  }

  static void kick(hal::CpuNumber) { raise(kKickSignal); }

  [[noreturn]] static void panic(const char* rule, const char* task) {
    std::fprintf(stderr, "panic: %s: %s\n", task == nullptr ? "nobody" : task, rule);
    std::abort();
  }

  // What the kernel's `baton_interrupt` asks; not part of hal::Machine.
  static hal::Interrupt acknowledge(uintptr_t source) {
    switch (source) {
      case kTimerSignal: return {.cause = hal::Cause::timer};
      case kKickSignal: return {.cause = hal::Cause::kick};
      default: return {.cause = hal::Cause::device, .line = static_cast<uint32_t>(source)};
    }
  }

 private:
  static constexpr uint64_t kPerSecond = 1'000'000'000;

  // The register that finds this CPU's block.
  static inline thread_local Local* local_ = nullptr;

  static sigset_t interrupts() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {kTimerSignal, kKickSignal, kDeviceSignal}) sigaddset(&set, signal);
    return set;
  }

  // What interrupt.S is elsewhere: Linux has saved the registers on the stack of the task, and
  // loads them again, with the signal mask, when this returns. `errno` is all that it forgets.
  static void enter_interrupt(int signal) {
    const int saved = errno;
    if (baton_interrupt(static_cast<uintptr_t>(signal))) baton_preempt();
    errno = saved;
  }

  // A task's first instructions: unmask(kUnmasked), then entry(argument), other registers zero.
  [[gnu::naked]] static void enter_task() {
    asm volatile(
        "push %rbx\n"
        "mov $1, %edi\n"
        "call *%r13\n"
        "pop %rax\n"
        "mov %r12, %rdi\n"
        "xor %ebx, %ebx\n xor %ecx, %ecx\n xor %edx, %edx\n xor %esi, %esi\n"
        "xor %r8d, %r8d\n xor %r9d, %r9d\n xor %r10d, %r10d\n xor %r11d, %r11d\n"
        "xor %r12d, %r12d\n xor %r13d, %r13d\n"
        "jmp *%rax");
  }
};

}  // namespace process

static_assert(hal::Machine<process::Machine>);

#endif  // BATON_TESTS_DOCS_PROCESS_MACHINE_H_
