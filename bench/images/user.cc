// Counts what processes and the tasks of the shared scheduler cost, as user mode sees it.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "bench/probe.h"
#include "bench/rounds.h"
#include "bench/user/readings.h"
#include "kernel_demo/kernel.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/stage.h"
#include "kernel_demo/text.h"
#include "kernel_demo/user/processes.h"
#include "sched/policy/round_robin.h"

namespace {

using bench::Meter;
using bench::Readings;
using Kernel = demo::Kernel<sched::RoundRobin>;
using Processes = demo::Processes<Kernel>;
using S = Kernel::S;

/// Long enough for every round.
constexpr uint64_t kRunMs = 400;
constexpr uint64_t kSliceMs = 1;

demo::Process& spawn(uint64_t argument) {
  const auto process =
      Processes::spawn("meter", argument, demo::kKernel,
                       Kernel::Traits::attributes(0, demo::milliseconds(kSliceMs)));
  if (!process) kit::panic("a process cannot be spawned", nullptr);
  return **process;
}

Readings fetch(const demo::Process& process) {
  uint64_t address = 0;
  Readings readings;
  const auto copy = [&](auto& to, uintptr_t from) {
    return process.space.copy_in(std::as_writable_bytes(std::span(&to, 1)), from);
  };
  if (process.task == nullptr || !copy(address, bench::kReadingsAddress) ||
      !copy(readings, address)) {
    kit::panic("a process has not read what it was to read", nullptr);
  }
  return readings;
}

void end(demo::Process& process) {
  S::kill(*Processes::task_of(process));
  Processes::wait(process.id, demo::kKernel);
}

/// One process: from each reading to its next.
void count_alone(std::string_view name, uint64_t argument) {
  demo::Process& process = spawn(argument);
  S::sleep_for(demo::milliseconds(kRunMs));
  const Readings readings = fetch(process);
  end(process);
  bench::Rounds rounds;
  for (size_t i = 0; i < Readings::kRounds; ++i) {
    rounds.add(readings.after[i] - readings.before[i]);
  }
  rounds.report(name, readings.cost_of_nothing);
}

/// From a reading to the next one that comes after it, which is the other's: `kTasks` readers.
void count_between(std::string_view name, std::span<const Readings> readers) {
  bench::Rounds rounds;
  for (size_t reader = 0; reader < readers.size(); ++reader) {
    const Readings& other = readers[readers.size() - 1 - reader];
    for (const uint64_t before : readers[reader].before) {
      const auto after = std::ranges::upper_bound(other.after, before);
      if (after != std::end(other.after) && before != 0) rounds.add(*after - before);
    }
  }
  rounds.report(name, readers[0].cost_of_nothing);
}

/// Two processes that take turns.
void count_two(std::string_view name, Meter meter) {
  demo::Process* processes[2];
  {
    const S::NoPreempt guard;  // so that both begin together
    for (auto& process : processes) process = &spawn(bench::word_of(meter));
  }
  S::sleep_for(demo::milliseconds(kRunMs));
  const std::array readers = {fetch(*processes[0]), fetch(*processes[1])};
  for (demo::Process* process : processes) end(*process);
  count_between(name, readers);
}

void direct(void*) {
  Processes::start();
  bench::Probe::let_user_mode_count();
  count_alone("null_call", bench::word_of(Meter::null_call));
  count_two("process_switch", Meter::yield);
  count_two("process_preemption", Meter::spin);
  for (const uint64_t tasks : {100, 200, 300, 380}) {
    count_alone(demo::Text("shared_pool_{}", tasks), bench::word_of(Meter::shared_pool, tasks));
  }
  count_alone("shared_task_switch", bench::word_of(Meter::shared_task));
  kit::finish(true);
}

}  // namespace

void kernel_main() {
  bench::Probe::start_counter();
  demo::guard_stacks();
  demo::prepare_diagnosis();
  Kernel::boot(direct);
}
