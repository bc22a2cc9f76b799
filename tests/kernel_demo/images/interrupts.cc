// The kit under a machine of hal, without a scheduler: the timer, kicks and the console interrupt
// arrive in kernel mode, and what is typed comes out of kit::read.
//
// Prints "ready", then takes one line from the console and prints it back.

#include <cstddef>
#include <cstdint>

#include "hal/native.h"
#include "kernel_demo/kit.h"

namespace {

using Native = hal::Native;

constinit Native::Local local;
constinit volatile unsigned timers = 0;
constinit volatile unsigned kicks = 0;
constinit volatile unsigned consoles = 0;
constinit volatile unsigned preemptions = 0;

/// Registers that an interrupt must not change: a checksum over what the compiler keeps in them.
uint64_t spin_until(const volatile unsigned& counter, unsigned value) {
  uint64_t a = 1;
  uint64_t b = 2;
  uint64_t c = 3;
  uint64_t d = 4;
  while (counter < value) {
    a += 1;
    b += 2;
    c += 3;
    d += 4;
    asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
  }
  return (b == 2 * a && c == 3 * a && d == 4 * a) ? a : 0;
}

void check(bool holds, const char* what) {
  if (!holds) kit::panic(what, nullptr);
}

}  // namespace

extern "C" bool baton_interrupt(uintptr_t source) {
  const hal::Interrupt interrupt = Native::acknowledge(source);
  switch (interrupt.cause) {
    case hal::Cause::timer:
      timers = timers + 1;
      Native::arm(Native::now() + hal::to_ticks(100'000, Native::ticks_per_second()));
      break;
    case hal::Cause::kick: kicks = kicks + 1; break;
    case hal::Cause::device:
      check(kit::console_interrupt(interrupt), "the only device is the console");
      Native::complete(interrupt);
      consoles = consoles + 1;
      break;
    case hal::Cause::none: break;
  }
  return true;
}

extern "C" void baton_preempt() { preemptions = preemptions + 1; }

extern "C" void kernel_main() {
  Native::start_cpu(local, 0);
  Native::arm(Native::now());
  Native::unmask(Native::kUnmasked);
  check(spin_until(timers, 20) != 0, "registers survive timer interrupts");
  Native::kick(0);
  check(spin_until(kicks, 1) != 0, "registers survive kicks");
  check(preemptions >= 21, "baton_preempt follows an interrupt that asks for it");
  kit::listen();
  kit::print("ready\n");

  char line[64];
  size_t size = 0;
  for (;;) {
    const int c = kit::read();
    if (c == '\n') break;
    if (c >= 0 && size < sizeof line) line[size++] = static_cast<char>(c);
  }
  check(consoles > 0, "the bytes came by interrupt");
  kit::print("typed [{}] after {} timer interrupts\n", std::string_view(line, size), timers + 0);
  Native::mask();
  kit::finish(true);
}
