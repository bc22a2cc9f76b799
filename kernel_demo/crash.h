// What must not be, done on purpose, to see the diagnosis: for the shell and for the tests.

#ifndef BATON_KERNEL_DEMO_CRASH_H_
#define BATON_KERNEL_DEMO_CRASH_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/kernel.h"

namespace demo {

/// Ways to go wrong. Each is called from a task of `Kernel<P>` and has another one do it, above all
/// others where the policy has ranks.
template <typename P>
class Crash {
  using Kernel = demo::Kernel<P>;
  using S = typename Kernel::S;
  using Task = typename Kernel::Task;

  static const std::byte* own_limit() { return S::current().stack_limit(); }

  [[clang::noinline]] static uint64_t dig(uint64_t depth) {
    volatile uint64_t ballast[16];
    ballast[depth % 16] = depth;
    asm volatile("" : "+r"(depth));
    const uint64_t below = depth == 0 ? 0 : dig(depth + 1);
    return below + ballast[depth % 16];
  }

  static inline constinit Task victim{"victim"};

 public:
  struct Way {
    const char* name;
    const char* what;
    hal::Entry entry;
  };

  static constexpr Way kWays[] = {
      {"overflow", "call oneself for ever, into the guard page below the stack",
       [](void*) { dig(1); }},
      {"canary", "overwrite the last word of the own stack",
       [](void*) {
         *reinterpret_cast<volatile uintptr_t*>(const_cast<std::byte*>(own_limit())) = 1;
         S::yield();
         S::park();
       }},
      {"link", "overwrite a link of the queue that one is in",
       [](void*) {
         Task& self = S::current();
         self.next = &victim;
         S::park();
       }},
      {"guard", "park while a guard forbids it",
       [](void*) {
         const typename S::NoPreempt guard;
         S::park();
       }},
      {"interrupt", "park in an interrupt",
       [](void*) {
         Kernel::at_kick([] { S::park(); });
         Machine::kick(0);
         for (;;) asm volatile("" : : : "memory");
       }},
      {"masked", "yield with interrupts masked",
       [](void*) {
         Machine::mask();
         S::yield();
       }},
      {"null", "read what a null pointer points to",
       [](void*) {
         uintptr_t null = 0;
         asm volatile("" : "+r"(null));
         asm volatile("" : : "r"(*reinterpret_cast<volatile uint64_t*>(null)));
       }},
  };

  /// The way of this name; null when there is none.
  static const Way* find(std::string_view name) {
    for (const Way& way : kWays) {
      if (name == way.name) return &way;
    }
    return nullptr;
  }

  /// Goes it, as a task called `culprit`, and does not come back unless nothing happens.
  static void go(const Way& way) {
    const uint64_t before = Kernel::finished();
    Kernel::spawn("culprit", way.entry, nullptr,
                  Kernel::Traits::attributes(kTopRank, milliseconds(1)));
    Kernel::wait_for_finished(before + 1);
  }
};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_CRASH_H_
