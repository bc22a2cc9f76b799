// Many post, one takes: letters through a `sched::Mailbox`, from tasks that the timer preempts in
// the middle of a push and from interrupts among them. For the tour and the self-test.

#ifndef BATON_KERNEL_DEMO_LETTERS_H_
#define BATON_KERNEL_DEMO_LETTERS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace demo {

/// The last producer is the interrupt of a kick.
inline constexpr size_t kProducers = 4;
inline constexpr uint32_t kLettersEach = 2'000;

/// What came of it.
struct Delivery {
  std::array<uint32_t, kProducers> sent{};
  std::array<uint32_t, kProducers> received{};
  bool in_order = true;  // each producer's letters as they were sent, none missing, none twice

  bool complete() const { return in_order && sent == received; }
};

/// Has the producers send and a consumer take. From a task of `Kernel<sched::RoundRobin>`; uses its
/// `at_kick`.
Delivery deliver_letters();

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_LETTERS_H_
