// Tables and bar charts of what tasks have used, in plain text: as readable in a log as on a
// terminal.

#ifndef BATON_KERNEL_DEMO_TABLE_H_
#define BATON_KERNEL_DEMO_TABLE_H_

#include <cstdint>
#include <span>

#include "kernel_demo/machine.h"
#include "kernel_demo/text.h"
#include "sched/task.h"

namespace demo {

/// One task's line: what it had used at one moment.
struct Row {
  const char* name = "";
  Text attributes;
  sched::Usage usage;
  Duration p50, p99, worst;  // from ready to running; upper bounds
};

/// The line for `task` as it is now.
template <typename Kernel>
Row row_of(const typename Kernel::Task& task) {
  const sched::LatencyHistogram& latency = task.latency();
  return {.name = task.name(),
          .attributes = Kernel::Traits::describe(Kernel::S::attributes(task)),
          .usage = Kernel::S::usage(task),
          .p50 = latency.percentile(500),
          .p99 = latency.percentile(990),
          .worst = latency.percentile(1000)};
}

/// Sum of the run times.
Duration total_run(std::span<const Row> rows);

/// `row`'s part of `total`, in hundredths of a percent.
uint64_t share(const Row& row, Duration total);

/// Name, share, run time, switches with and without consent, and latency, a row each.
void print_table(std::span<const Row> rows, const char* attributes_title);

/// A bar a row, as long as its share; the longest fills the line.
void print_chart(std::span<const Row> rows);

/// A bar for each bucket from the first that holds something to the last.
void print_histogram(const sched::LatencyHistogram& histogram);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_TABLE_H_
