// How the tables look.

#include "kernel_demo/table.h"

#include <algorithm>

#include "kernel_demo/kit.h"

namespace demo {

Duration total_run(std::span<const Row> rows) {
  Duration total;
  for (const Row& row : rows) total.ticks += row.usage.run.ticks;
  return total;
}

uint64_t share(const Row& row, Duration total) {
  return total.ticks == 0 ? 0 : (row.usage.run.ticks * 10'000 + total.ticks / 2) / total.ticks;
}

void print_table(std::span<const Row> rows, const char* attributes_title) {
  const Duration total = total_run(rows);
  kit::print("{}switches     ready to running, at most\n", kit::Repeat{" ", 41});
  kit::print("  {:<9}{:<9}{:>8}{:>11}  {:>6} {:>6} {:>9}{:>9}{:>9}\n", "task", attributes_title,
             "share", "ran", "invol.", "vol.", "p50", "p99", "max");
  kit::print("  {}\n", kit::Repeat{"─", 77});
  for (const Row& row : rows) {
    kit::print("  {:<9}{:<9}{:>6} %{:>11}  {:>6} {:>6} {:>9}{:>9}{:>9}\n", row.name, row.attributes,
               hundredths(share(row, total)), to_text(row.usage.run, Unit::milliseconds),
               row.usage.involuntary, row.usage.voluntary, to_text(row.p50), to_text(row.p99),
               to_text(row.worst));
  }
}

void print_chart(std::span<const Row> rows) {
  constexpr uint64_t kWidth = 56;
  // Eighths of a character cell.
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const Duration total = total_run(rows);
  uint64_t longest = 1;
  for (const Row& row : rows) longest = std::max(longest, share(row, total));
  for (const Row& row : rows) {
    const uint64_t eighths = share(row, total) * kWidth * 8 / longest;
    kit::print("  {:<9}{}{} {} %\n", row.name, kit::Repeat{"█", eighths / 8}, kEighths[eighths % 8],
               hundredths(share(row, total)));
  }
}

}  // namespace demo
