// What the tests of the simulated machine share: what its CPUs run, and who answers interrupts.

#ifndef BATON_TESTS_HAL_SIM_GUEST_H_
#define BATON_TESTS_HAL_SIM_GUEST_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"

namespace hal::sim::test {

using M = Machine;

constexpr Duration ticks(uint64_t count) { return Duration{count}; }
constexpr Instant at(uint64_t instant) { return Instant{instant}; }

// Something to switch to: runs `body` on a stack of its own, then switches back to `home`.
class Thread {
 public:
  explicit Thread(std::function<void()> body) : body_(std::move(body)) {}

  // In a guest.
  void make() { context = M::make_context(stack, &enter, this); }
  void enter_from(M::Context& from) {
    home = &from;
    M::switch_to(from, context);
  }

  Stack stack;
  M::Context context;
  M::Context* home = nullptr;

 private:
  static void enter(void* self) {
    Thread& thread = *static_cast<Thread*>(self);
    thread.body_();
    M::mask();
    M::switch_to(thread.context, *thread.home);
  }

  std::function<void()> body_;
};

// An interrupt handler that writes down what came, and silences the timer.
class Log {
 public:
  std::function<bool(Interrupt)> handler() {
    return [this](Interrupt interrupt) {
      const std::string now = std::to_string(M::now().ticks);
      switch (interrupt.cause) {
        case Cause::timer:
          M::arm(never);
          lines.push_back("timer " + now);
          break;
        case Cause::kick: lines.push_back("kick " + now); break;
        case Cause::device:
          lines.push_back("line " + std::to_string(interrupt.line) + " " + now);
          break;
        case Cause::none: ADD_FAILURE() << "an interrupt without a cause"; break;
      }
      return false;
    };
  }

  std::vector<std::string> lines;
};

using Lines = std::vector<std::string>;

// Runs `code` on CPU 0, started and masked, and then until nothing happens any more.
inline void run_one(World& world, const std::function<void()>& code) {
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    code();
  });
  EXPECT_EQ(world.run(), End::quiet);
}

}  // namespace hal::sim::test

#endif  // BATON_TESTS_HAL_SIM_GUEST_H_
