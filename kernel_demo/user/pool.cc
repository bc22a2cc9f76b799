// A user program of `run=shared`: one of two spaces whose tasks are in one pool with the kernel's.
// What it is to do is in its argument (shared_acts.h).

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_demo/kit/format.h"
#include "kernel_demo/user/shared.h"
#include "kernel_demo/user/shared_acts.h"

namespace {

using sched::shared::Coroutine;
using sched::shared::FramePool;
using sched::shared::Frames;
using user::Shared;
using user::SharedExecutor;

template <typename... Values>
void say(kit::Format<std::type_identity_t<Values>...> format, const Values&... values) {
  std::array<char, 128> buffer;
  user::print(kit::format(buffer, format, values...));
}

/// Three turns, a line each; in the middle of them a question to the kernel if it `asks`.
Coroutine count(Frames&, const Shared& shared, SharedExecutor& executor, int task, bool asks) {
  for (int turn = 1; turn <= 3; ++turn) {
    say("  space {}  task {}  turn {}\n", shared.space(), task, turn);
    if (asks && turn == 2) {
      say("  space {}  task {}  asks the kernel, and sleeps\n", shared.space(), task);
      if (user::ask(executor.current().word(), static_cast<uint64_t>(task)) < 0) {
        say("  space {}  task {}  is refused\n", shared.space(), task);
        user::exit(1);  // nobody would wake it
      }
      co_await executor.pending();
      say("  space {}  task {}  has its answer\n", shared.space(), task);
    } else {
      co_await executor.yield();
    }
  }
}

/// Never awaits anything.
Coroutine hog(Frames&, const Shared& shared) {
  say("  space {}  never yields from here on\n", shared.space());
  for (;;) asm volatile("" : : : "memory");
  co_return;
}

}  // namespace

int64_t user_main(uint64_t argument) {
  static FramePool<3, 512> frames;
  static Shared shared;
  if (!shared.is_mapped()) return shared.error();
  static SharedExecutor executor(shared.client(), shared);
  switch (static_cast<user::PoolAct>(argument)) {
    case user::PoolAct::count:
      for (int task = 1; task <= 3; ++task) {
        if (!executor.spawn(count(frames, shared, executor, task, task == 2), 0)) return 1;
      }
      break;
    case user::PoolAct::hog:
      if (!executor.spawn(hog(frames, shared), 0)) return 1;
      break;
  }
  executor.run();
  return 0;
}
