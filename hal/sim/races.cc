// Vector clocks. A CPU's own component goes on whenever it releases something, so that what it does
// afterwards is not ordered by it.

#include "hal/sim/races.h"

#include <algorithm>
#include <span>

namespace hal::sim {
namespace {

constexpr bool acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_consume ||
         order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}
constexpr bool releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

}  // namespace

Races::Races() {
  for (size_t i = 0; i < kCpus; ++i) clocks_[i][i] = 1;
}

void Races::join(Clock& into, const Clock& from) {
  for (size_t i = 0; i < kCpus; ++i) into[i] = std::max(into[i], from[i]);
}

const Races::Access* Races::conflict(const Cell& cell, const Access& access) {
  const Clock& now = clocks_[access.cpu];
  const auto unordered = [&](const Clock& past, bool write, bool atomic) {
    for (size_t i = 0; i < kCpus; ++i) {
      if (past[i] > now[i]) {
        found_ = {i, write, atomic, cell.places[write && !atomic ? 0 : 1]};
        return true;
      }
    }
    return false;
  };
  if (unordered(cell.written, true, false)) return &found_;
  if (!access.atomic && unordered(cell.atomically_written, true, true)) return &found_;
  if (access.write) {
    if (unordered(cell.read, false, false)) return &found_;
    if (!access.atomic && unordered(cell.atomically_read, false, true)) return &found_;
  }
  return nullptr;
}

void Races::note(Cell& cell, const Access& access) {
  const uint32_t now = clocks_[access.cpu][access.cpu];
  if (access.write && !access.atomic) {
    cell = {};  // all of it comes before
    cell.written[access.cpu] = now;
    cell.places[0] = access.place;
  } else {
    Clock& clock = !access.atomic ? cell.read
                   : access.write ? cell.atomically_written
                                  : cell.atomically_read;
    clock[access.cpu] = now;
    cell.places[1] = access.place;
  }
}

std::optional<Races::Race> Races::access(uintptr_t address, size_t size, const Access& access) {
  const uintptr_t end = address + size;
  for (uintptr_t at = address; at < end;) {
    const uintptr_t base = at & ~uintptr_t{7};
    const size_t first = at - base;
    const size_t last = std::min<size_t>(8, end - base);
    const auto [found, is_new] = index_.try_emplace(base, static_cast<uint32_t>(words_.size()));
    if (is_new) words_.emplace_back();
    Word& word = words_[found->second];
    const bool is_whole = first == 0 && last == 8;
    if (!is_whole && word.bytes == kWhole) {
      word.bytes = static_cast<uint32_t>(bytes_.size());
      bytes_.emplace_back().fill(word.whole);
    }
    std::span<Cell> cells(&word.whole, 1);
    if (word.bytes != kWhole) cells = std::span(bytes_[word.bytes]).subspan(first, last - first);
    for (Cell& cell : cells) {
      if (const Access* const other = conflict(cell, access)) return Race{at, *other, access};
      note(cell, access);
    }
    at = base + last;
  }
  return std::nullopt;
}

void Races::atomic(size_t cpu, uintptr_t address, bool reads, bool writes,
                   std::memory_order order) {
  Clock& released = released_[address];
  if (reads) join(acquires(order) ? clocks_[cpu] : read_relaxed_[cpu], released);
  if (!writes) return;
  // A read-modify-write goes on with the release sequence that it read from, a store begins one.
  if (!reads) released = {};
  join(released, releases(order) ? clocks_[cpu] : fence_released_[cpu]);
  if (releases(order)) ++clocks_[cpu][cpu];
}

void Races::fence(size_t cpu, std::memory_order order) {
  if (acquires(order)) join(clocks_[cpu], read_relaxed_[cpu]);
  if (releases(order)) {
    fence_released_[cpu] = clocks_[cpu];
    ++clocks_[cpu][cpu];
  }
}

void Races::release(size_t cpu, uintptr_t object) {
  join(released_[object], clocks_[cpu]);
  ++clocks_[cpu][cpu];
}

void Races::acquire(size_t cpu, uintptr_t object) { join(clocks_[cpu], released_[object]); }

}  // namespace hal::sim
