// What the tests of waiting share: tasks that run only while the first one waits, and a log of who
// was when.

#ifndef BATON_KERNEL_DEMO_SELFTEST_SYNC_KIT_H_
#define BATON_KERNEL_DEMO_SELFTEST_SYNC_KIT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/kernel.h"
#include "sched/sync/semaphore.h"

namespace demo::selftest {

using Kernel = demo::Kernel<sched::FixedPriority>;
using S = Kernel::S;
using Task = Kernel::Task;
using sched::State;
using sched::Waited;

inline constinit std::array<char, 32> log{};
inline constinit size_t logged = 0;

inline void note(char letter) {
  if (logged < log.size()) log[logged++] = letter;
}

inline std::string_view take_log() {
  const std::string_view text(log.data(), logged);
  logged = 0;
  return text;
}

/// The first task, who calls it, is above whatever it spawns: nobody runs before it waits.
inline S::Life spawn(uint16_t priority, hal::Entry entry, void* argument = nullptr) {
  return S::life(*Kernel::spawn("test", entry, argument, {.priority = priority}));
}

/// Waits until everybody else waits or has finished.
inline void settle() {
  (void)S::join(spawn(0, [](void*) {}));
}

template <typename... Lives>
void join(const Lives&... lives) {
  ((void)S::join(lives), ...);
}

inline unsigned claim_of(S::Life life) {
  const S::Masked masked;
  return S::claim(*life.task);
}

inline State state_of(S::Life life) { return S::state(*life.task); }

/// A step for somebody who waits for it.
inline constinit sched::Semaphore<S> go;

inline void step() {
  go.give();
  settle();
}

}  // namespace demo::selftest

#endif  // BATON_KERNEL_DEMO_SELFTEST_SYNC_KIT_H_
