// AddressSanitizer and LeakSanitizer work inside tasks on simulated stacks: each finds a planted
// mistake, and neither is confused by switches, abandoned frames and stacks that are used again.
// Built with AddressSanitizer, whatever the configuration; sim_test is, too.

#include <sanitizer/lsan_interface.h>

#include <cstddef>
#include <cstdlib>
#include <functional>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "tests/hal/memory_use.h"

namespace hal::sim {
namespace {

using M = Machine;

// What the allocator may map for itself; what ASan keeps for a thousand stacks is far more.
constexpr size_t kFew = 64 * 1024 * 1024 / 4096;

M::Local local;
M::Context boot;
M::Context task;
std::function<void()> body;

void enter(void*) {
  body();
  M::mask();
  M::switch_to(task, boot);
}

// Runs `code` in a task with the memory of `stack`.
Outcome run_in_task(std::span<std::byte> stack, std::function<void()> code) {
  body = std::move(code);
  boot = {};
  World world;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    task = M::make_context(stack, enter, nullptr);
    M::switch_to(boot, task);
  });
  return world.run();
}

Outcome run_in_task(std::function<void()> code) {
  const Stack stack;
  return run_in_task(stack, std::move(code));
}

// Not inlined and not seen through, so that each mistake happens where and as it is written.
[[gnu::noinline]] void write_at(volatile char* bytes, size_t index) { bytes[index] = 1; }
[[gnu::noinline]] volatile char* address_of_a_local() {
  volatile char bytes[32] = {};
  volatile char* volatile address = bytes;
  return address;
}
[[gnu::noinline]] int recurse(int depth) {
  volatile char frame[512] = {};
  frame[0] = static_cast<char>(depth);
  return depth == 0 ? frame[0] : recurse(depth - 1) + frame[0];
}

TEST(AsanDeathTest, FindsAStackBufferOverflowInATask) {
  EXPECT_DEATH(run_in_task([] {
                 volatile char bytes[32] = {};
                 write_at(bytes, 32);
               }),
               "AddressSanitizer: stack-buffer-overflow");
}

TEST(AsanDeathTest, FindsAStackBufferOverflowAfterASwitch) {
  EXPECT_DEATH(run_in_task([] {
                 volatile char bytes[32] = {};
                 M::spend(Duration{10});
                 write_at(bytes, 32);
               }),
               "AddressSanitizer: stack-buffer-overflow");
}

TEST(AsanDeathTest, FindsAHeapBufferOverflowInATask) {
  EXPECT_DEATH(run_in_task([] {
                 char* const bytes = new char[32];
                 write_at(bytes, 32);
                 delete[] bytes;
               }),
               "AddressSanitizer: heap-buffer-overflow");
}

TEST(AsanDeathTest, FindsAUseAfterReturnInATask) {
  EXPECT_DEATH(run_in_task([] { write_at(address_of_a_local(), 0); }),
               "AddressSanitizer: stack-use-after-return");
}

TEST(AsanDeathTest, FindsAStackOverflowInATask) {
  EXPECT_DEATH(run_in_task([] { recurse(1'000'000); }), "AddressSanitizer: stack-overflow");
}

TEST(AsanDeathTest, FindsALeakInATask) {
  EXPECT_EXIT(
      {
        run_in_task([] {
          // Many: the address of the last one may still lie around somewhere.
          for (int i = 0; i < 100; ++i) {
            [[maybe_unused]] char* volatile lost = new char[32];
          }
        });
        std::_Exit(__lsan_do_recoverable_leak_check() != 0 ? 23 : 0);
      },
      testing::ExitedWithCode(23), "LeakSanitizer: detected memory leaks");
}

TEST(Lsan, SeesWhatOnlyTheFrameOfATaskHolds) {
  const Stack stack;
  body = [] {
    char* volatile bytes = new char[32];
    World::current()->stop();
    delete[] bytes;
  };
  boot = {};
  World world;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    task = M::make_context(stack, enter, nullptr);
    M::switch_to(boot, task);
  });
  EXPECT_EQ(world.run(), End::stopped);
  EXPECT_EQ(__lsan_do_recoverable_leak_check(), 0);
  EXPECT_EQ(world.run(), End::quiet);
}

// Frames that are never left keep their red zones: whoever gets the memory next must not trip.
// (This one is too large for ASan's fake stack, so its red zones are on the task's own. A panic
// would not do: ASan itself forgets the frames that a [[noreturn]] function is called from.)
TEST(Asan, ForgetsTheFramesOfAbandonedTasks) {
  alignas(16) static std::byte memory[256 * 1024];
  EXPECT_EQ(run_in_task(memory,
                        [] {
                          volatile char bytes[100'000] = {};
                          write_at(bytes, 0);
                          World::current()->stop();
                        }),
            End::stopped);
  for (std::byte& byte : memory) byte = std::byte{};
}

// The same while the world lives on: the task never leaves its frames, but it is over.
TEST(Asan, ForgetsTheFramesOfATaskWhoseStackIsUsedAgain) {
  static M::Context contexts[2];
  alignas(16) static std::byte memory[256 * 1024];
  boot = {};
  World world;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    contexts[0] = M::make_context(
        memory,
        [](void*) {
          volatile char bytes[100'000] = {};
          write_at(bytes, 0);
          M::mask();
          M::switch_to(contexts[0], boot);
        },
        nullptr);
    M::switch_to(boot, contexts[0]);
    contexts[1] = M::make_context(
        memory,
        [](void*) {
          // Frames of another shape, in code that does not clean the shadow of what it gets.
          for (std::byte& byte : std::span(memory).first(200 * 1024)) byte = std::byte{};
          M::mask();
          M::switch_to(contexts[1], boot);
        },
        nullptr);
    M::switch_to(boot, contexts[1]);
  });
  EXPECT_EQ(world.run(), End::quiet);
}

TEST(Asan, KeepsNothingForTasksThatAreGone) {
  const Stack stack;
  static int runs;
  runs = 0;
  boot = {};
  World world;
  body = [] {
    volatile char bytes[32] = {};
    write_at(bytes, 0);
    ++runs;
  };
  const size_t before = memory_use::mapped_pages();
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    for (int i = 0; i < 1000; ++i) {
      task = M::make_context(stack, enter, nullptr);
      M::switch_to(boot, task);
    }
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(runs, 1000);
  EXPECT_LT(memory_use::mapped_pages(), before + kFew);
}

TEST(Asan, KeepsNothingForWorldsThatAreGone) {
  const Stack stack;
  const auto panic = [] {
    volatile char bytes[32] = {};
    write_at(bytes, 0);
    M::panic("over", nullptr);
  };
  const size_t before = memory_use::mapped_pages();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(run_in_task(stack, panic), Panic{"over"});
  EXPECT_LT(memory_use::mapped_pages(), before + kFew);
}

}  // namespace
}  // namespace hal::sim
