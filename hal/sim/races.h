// Data races between virtual CPUs: two accesses to the same memory, of which one writes and one is
// not atomic, that nothing orders. What orders is what the guest's own atomic operations say, by
// the memory order that each was given, and kicks; not the simulation, which runs one CPU at a
// time. So a release or an acquire that is missing is found, on any host, in any schedule in which
// the accesses that it was to order happen, whichever of them comes first.
//
// Happens-before by vector clocks: C. Flanagan and S. Freund, "FastTrack: Efficient and Precise
// Dynamic Race Detection" (PLDI 2009); what orders, release sequences and fences as in the C++
// standard, [atomics.order] and [atomics.fences].

#ifndef BATON_HAL_SIM_RACES_H_
#define BATON_HAL_SIM_RACES_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace hal::sim {

/// Of one run of a world with at most `kCpus` CPUs. Not thread-safe.
class Races {
 public:
  static constexpr size_t kCpus = 7;

  struct Access {
    size_t cpu = 0;
    bool write = false;
    bool atomic = false;
    uintptr_t place = 0;  // the instruction after it
  };
  struct Race {
    uintptr_t address = 0;
    Access first;
    Access second;
  };

  Races();

  /// What `access` to `[address, address + size)` races with, if anything.
  std::optional<Race> access(uintptr_t address, size_t size, const Access& access);

  /// What an atomic operation orders. `reads` and `writes`: a read-modify-write does both.
  void atomic(size_t cpu, uintptr_t address, bool reads, bool writes, std::memory_order order);
  void fence(size_t cpu, std::memory_order order);

  /// What came before a `release` happens before what comes after an `acquire` of the same object.
  void release(size_t cpu, uintptr_t object);
  void acquire(size_t cpu, uintptr_t object);

 private:
  using Clock = std::array<uint32_t, kCpus>;

  // What was done to some bytes that are always accessed together. A time of zero: nothing.
  struct Cell {
    Clock written = {};  // of the last plain write at most one is not zero
    Clock read = {};
    Clock atomically_written = {};
    Clock atomically_read = {};
    std::array<uintptr_t, 2> places = {};  // of the last plain write, and of the last other access
  };
  static constexpr uint32_t kWhole = UINT32_MAX;
  struct Word {
    Cell whole;               // of all eight bytes, or
    uint32_t bytes = kWhole;  // where those of each byte begin
  };

  static void join(Clock& into, const Clock& from);
  const Access* conflict(const Cell& cell, const Access& access);
  void note(Cell& cell, const Access& access);

  std::array<Clock, kCpus> clocks_ = {};
  std::array<Clock, kCpus> read_relaxed_ = {};    // what an acquire fence would acquire
  std::array<Clock, kCpus> fence_released_ = {};  // what a release fence has released
  std::unordered_map<uintptr_t, Clock> released_;
  std::unordered_map<uintptr_t, uint32_t> index_;  // of a word's address into `words_`
  std::vector<Word> words_;
  std::vector<std::array<Cell, 8>> bytes_;
  Access found_;
};

}  // namespace hal::sim

#endif  // BATON_HAL_SIM_RACES_H_
