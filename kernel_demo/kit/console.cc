// The console: one writer at a time, and a ring between the receive interrupt and the reader.

#include "kernel_demo/kit/console.h"

#include <atomic>

#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/kit/machine.h"

namespace kit {
namespace {

// Held with interrupts masked, so that whoever holds it is running; not fair, and need not be.
constinit std::atomic<bool> writing = false;
constinit std::atomic<bool> emergency = false;

// Bytes that have arrived and were not read. The interrupt alone moves `ring_end`, the reader alone
// `ring_begin`; both count up forever and wrap together.
constinit char ring[256] = {};
constinit std::atomic<uint32_t> ring_begin = 0;
constinit std::atomic<uint32_t> ring_end = 0;
constinit std::atomic<bool> listening = false;

class ConsoleSink final : public Sink {
 public:
  void append(std::string_view text) override {
    for (const char c : text) {
      if (size_ == sizeof buffer_) flush();
      buffer_[size_++] = c;
    }
  }

  void flush() {
    write({buffer_, size_});
    size_ = 0;
  }

 private:
  char buffer_[256];
  size_t size_ = 0;
};

}  // namespace

void write(std::string_view text) {
  const hal::Native::Irq state = hal::Native::mask();
  const bool locked = !emergency.load(std::memory_order_relaxed);
  if (locked) {
    while (writing.exchange(true, std::memory_order_acquire)) {
    }
  }
  for (const char c : text) machine::put(c);
  if (locked) writing.store(false, std::memory_order_release);
  hal::Native::unmask(state);
}

void print_arguments(std::string_view format, std::span<const Argument> arguments) {
  ConsoleSink sink;
  format_arguments(sink, format, arguments);
  sink.flush();
}

void take_waiting() {
  // All of it, even with the ring full: the interrupt stays raised until the device is empty.
  for (int c = machine::get(); c >= 0; c = machine::get()) {
    const uint32_t end = ring_end.load(std::memory_order_relaxed);
    if (end - ring_begin.load(std::memory_order_acquire) == sizeof ring) continue;
    ring[end % sizeof ring] = static_cast<char>(c);
    ring_end.store(end + 1, std::memory_order_release);
  }
}

void take_console_over() { emergency.store(true, std::memory_order_relaxed); }

int read() {
  const uint32_t begin = ring_begin.load(std::memory_order_relaxed);
  if (begin == ring_end.load(std::memory_order_acquire)) {
    return listening.load(std::memory_order_relaxed) ? -1 : machine::get();
  }
  const auto c = static_cast<unsigned char>(ring[begin % sizeof ring]);
  ring_begin.store(begin + 1, std::memory_order_release);
  return c;
}

void listen() {
  listening.store(true, std::memory_order_relaxed);
  machine::enable_console_interrupt();
}

bool console_interrupt(hal::Interrupt interrupt) {
  if (!machine::claim_console(interrupt)) return false;
  take_waiting();
  machine::release_console();
  return true;
}

}  // namespace kit
