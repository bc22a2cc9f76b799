// Worlds of several CPUs in which as much as possible is left to the seed, and how many of them a
// test tries.

#ifndef BATON_TESTS_SCHED_SEEDS_H_
#define BATON_TESTS_SCHED_SEEDS_H_

#include <cstdint>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "hal/hal.h"
#include "hal/sim/sim.h"

namespace sched::test {

/// Calls `test(seed)` for each, until one has failed; fewer of them where a sanitizer makes all of
/// it slow.
template <typename Test>
void for_each_seed(const Test& test) {
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
  constexpr uint64_t kSeeds = 15;
#else
  constexpr uint64_t kSeeds = 100;
#endif
  for (uint64_t seed = 1; seed <= kSeeds && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    test(seed);
  }
}

/// With so many CPUs.
inline hal::sim::Options world_of(uint64_t seed, CpuNumber cpus) {
  std::mt19937_64 random(seed);  // the same on every host
  return {.cpus = cpus,
          .seed = seed,
          .interleave = static_cast<uint32_t>(1 + random() % 6),
          .stall = Duration{random() % 3 * 20},
          .kick_latency = Duration{random() % 2 * (random() % 200)},
          .find_races = true,
          .steps = 1'000'000};
}

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_SEEDS_H_
