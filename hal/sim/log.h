// What happened in a world: the latest records, for a person who asks why, and a fingerprint of all
// of them, for a test that two runs are equal. Cheap to write; text is only made when it is
// printed.

#ifndef BATON_HAL_SIM_LOG_H_
#define BATON_HAL_SIM_LOG_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "hal/hal.h"
#include "hal/time.h"

namespace hal::sim {

/// What a record says; the meaning of its two numbers is in `log.cc`.
enum class What : uint8_t {
  boot,
  start,
  done,
  arm,
  take_timer,
  take_kick,
  take_device,
  preempt,
  kick,
  switched,
  wait,
  woken,
  let_in,
  load_space,
  stop,
  panic,
  misuse,
  steps,
  note,
};

/// Shared by a world, which writes, and its outcomes, which print.
class Log {
 public:
  /// Keeps the latest `length` records.
  explicit Log(size_t length) : length_(length) {}

  /// What decided the run, "seed 7": the first line.
  void set_title(std::string title) { title_ = std::move(title); }

  void record(Instant at, CpuNumber cpu, What what, uint64_t a, uint64_t b, std::string text);

  /// The title and the latest records, oldest first, a line each.
  std::string text() const;

  /// A hash of all records.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  struct Record {
    Instant at;
    CpuNumber cpu = 0;
    What what = What::note;
    uint64_t a = 0;
    uint64_t b = 0;
    std::string text;
  };

  static std::string describe(const Record& record);
  void mix(uint64_t value);

  const size_t length_;
  std::string title_;
  std::vector<Record> records_;  // a ring, once it is full
  size_t recorded_ = 0;
  uint64_t fingerprint_ = 0xcbf29ce484222325;  // the start and the factor are those of FNV-1a
};

}  // namespace hal::sim

#endif  // BATON_HAL_SIM_LOG_H_
