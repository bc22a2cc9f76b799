// The shared scheduler, as a user program has it: its tasks are coroutines, in turn with those of
// other programs and of the kernel.
//
//     static FramePool<8, 512> frames;
//     static user::Shared shared;                    // maps the image, waits for the first turn
//     static user::SharedExecutor executor(shared.client(), shared);
//     executor.spawn(blink(frames, executor), 0);
//     executor.run();

#ifndef BATON_KERNEL_DEMO_USER_SHARED_H_
#define BATON_KERNEL_DEMO_USER_SHARED_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernel_demo/user/system.h"
#include "sched/shared/client.h"
#include "sched/shared/executor.h"

namespace user {

/// This program as a space of the pool, and what an executor asks of it. One a program.
class Shared {
 public:
  using Client = sched::shared::InlineClient<400>;

  explicit Shared(uintptr_t address = kShared) : space_(map_shared(address)) {
    if (is_mapped()) client_ = Client(reinterpret_cast<const void*>(address));
  }

  /// Whether it has become one, or else the kernel's `Error`.
  bool is_mapped() const { return space_ > 0; }
  int64_t error() const { return space_; }

  const Client& client() const { return client_; }

  // See `ExecutorEnvironment`.
  uint16_t space() const { return static_cast<uint16_t>(space_); }
  uint16_t hart() const { return client_.board().hart.load(std::memory_order_relaxed); }
  bool yield_to(uint16_t space) {
    return do_yield(space) != static_cast<int64_t>(Error::no_process);
  }
  void busy() { yield(); }

 private:
  int64_t space_;
  Client client_;
};

using SharedExecutor = sched::shared::Executor<Shared::Client, Shared, 64>;

}  // namespace user

#endif  // BATON_KERNEL_DEMO_USER_SHARED_H_
