// How the tables look.

#include "kernel_demo/table.h"

#include <algorithm>

#include "kernel_demo/kit.h"

namespace demo {

namespace {

/// A bar of at most `width` characters, in eighths of one. Something is never drawn as nothing.
void print_bar(uint64_t value, uint64_t longest, uint64_t width) {
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  if (longest == 0) return;
  uint64_t eighths = value * width * 8 / longest;
  if (eighths == 0 && value != 0) eighths = 1;
  kit::print("{}{}", kit::Repeat{"█", eighths / 8}, kEighths[eighths % 8]);
}

}  // namespace

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
  const Duration total = total_run(rows);
  uint64_t longest = 0;
  for (const Row& row : rows) longest = std::max(longest, share(row, total));
  for (const Row& row : rows) {
    kit::print("  {:<9}", row.name);
    print_bar(share(row, total), longest, 56);
    kit::print(" {} %\n", hundredths(share(row, total)));
  }
}

void print_histogram(const sched::LatencyHistogram& histogram) {
  constexpr size_t kBuckets = sched::LatencyHistogram::kBuckets;
  size_t first = kBuckets;
  size_t last = 0;
  uint64_t most = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    if (histogram.read(i) == 0) continue;
    first = std::min(first, i);
    last = i;
    most = std::max(most, histogram.read(i));
  }
  for (size_t i = first; i <= last; ++i) {
    kit::print("  below {:>9} ", to_text(Duration{uint64_t{1} << i}));
    print_bar(histogram.read(i), most, 48);
    kit::print(" {}\n", histogram.read(i));
  }
}

}  // namespace demo
