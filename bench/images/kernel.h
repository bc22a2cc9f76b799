// What the kernels of the benchmarks have in common.

#ifndef BATON_BENCH_IMAGES_KERNEL_H_
#define BATON_BENCH_IMAGES_KERNEL_H_

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <system_error>

#include "bench/probe.h"
#include "hal/hal.h"
#include "hal/interrupt.h"
#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "sched/scheduler.h"

namespace bench {

/// A slice that no benchmark is long enough to use up.
template <typename S>
hal::Duration ten_milliseconds() {
  return hal::to_ticks(10'000'000, S::Machine::ticks_per_second());
}

inline void must(std::expected<void, sched::SpawnError> spawned) {
  if (!spawned) kit::panic("a spawn was refused", nullptr);
}

/// For kernels whose tasks never end.
template <typename S>
void no_sink(typename S::Task& task) {
  kit::panic("a task has ended", task.name());
}

/// `Probe::cost_of_raising`, for a task before anything is counted: the interrupt that it leaves
/// pending is taken before this returns.
template <typename S>
uint64_t cost_of_raising() {
  const auto irq = S::Machine::mask();
  const uint64_t cost = Probe::cost_of_raising();
  S::Machine::unmask(irq);
  return cost;
}

/// The guest's argument, if it is this key ("tasks=") and a number.
inline std::optional<size_t> argument(std::string_view key) {
  const std::string_view text = kit::arguments();
  size_t number;
  if (!text.starts_with(key) ||
      std::from_chars(text.data() + key.size(), text.data() + text.size(), number).ec !=
          std::errc()) {
    return std::nullopt;
  }
  return number;
}

/// What every kernel's `baton_interrupt` does, with `device(interrupt)` for the one device there
/// is.
template <typename S, typename Device>
[[gnu::always_inline]] inline bool interrupt(uintptr_t source, hal::Cause device_cause,
                                             Device device) {
  typename S::Interrupt interrupt;
  const hal::Interrupt what = S::Machine::acknowledge(source);
  if (what.cause == device_cause) {
    device(interrupt);
    if (what.cause == hal::Cause::device) S::Machine::complete(what);
  } else if (what.cause == hal::Cause::timer) {
    S::on_timer();
  } else if (what.cause == hal::Cause::kick) {
    S::on_kick();
  }
  return interrupt.leave();
}

/// The same without a device.
template <typename S>
bool interrupt(uintptr_t source) {
  return interrupt<S>(source, hal::Cause::none, [](typename S::Interrupt&) {});
}

}  // namespace bench

#endif  // BATON_BENCH_IMAGES_KERNEL_H_
