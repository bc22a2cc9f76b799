// What the program `meter` is asked for, and where it leaves what it has read.

#ifndef BATON_BENCH_USER_READINGS_H_
#define BATON_BENCH_USER_READINGS_H_

#include <cstddef>
#include <cstdint>

#include "kernel_demo/user/abi.h"

namespace bench {

enum class Meter : uint16_t {
  null_call,    ///< the call that does least
  yield,        ///< with another process that does the same
  spin,         ///< until a timer ends it, again and again
  shared_pool,  ///< peek, delete and add, among so many tasks
  shared_task,  ///< from one coroutine to another
};

/// The argument: a meter, and how many tasks there are.
constexpr uint64_t word_of(Meter meter, uint64_t tasks = 0) {
  return static_cast<uint64_t>(meter) | tasks << 16;
}

/// A round each: read immediately before the operation, and after it.
struct Readings {
  static constexpr size_t kRounds = 96;

  uint64_t before[kRounds];
  uint64_t after[kRounds];
  uint64_t cost_of_nothing;
};

/// The program leaves their address here: above its argument.
inline constexpr uintptr_t kReadingsAddress = user::kStackEnd - 8;

}  // namespace bench

#endif  // BATON_BENCH_USER_READINGS_H_
