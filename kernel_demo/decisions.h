// The last scheduling decisions of each CPU, for whoever has to understand how it came to a panic.

#ifndef BATON_KERNEL_DEMO_DECISIONS_H_
#define BATON_KERNEL_DEMO_DECISIONS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "hal/native.h"

namespace demo {

/// One switch: what stopped, what went on, and when. Contexts and not names, because a switch has
/// no time to look names up; `name_of_context` (stage.h) does it when they are printed.
struct Decision {
  const hal::Native::Context* from = nullptr;
  const hal::Native::Context* to = nullptr;
  hal::Instant when;
};

/// A ring of the last sixteen. Written masked by its own CPU; read when nothing else runs.
class Decisions {
 public:
  static constexpr size_t kKept = 16;

  void add(const Decision& decision) { ring_[made_++ % kKept] = decision; }

  /// How many there were in all.
  uint64_t made() const { return made_; }

  /// The one made `age` before the last; `age` is below `kKept` and below `made`.
  const Decision& last(size_t age) const { return ring_[(made_ - 1 - age) % kKept]; }

 private:
  uint64_t made_ = 0;
  std::array<Decision, kKept> ring_{};
};

/// How many CPUs there may be.
inline constexpr size_t kCpus = 8;

/// One ring a CPU.
inline constinit std::array<Decisions, kCpus> decisions{};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_DECISIONS_H_
