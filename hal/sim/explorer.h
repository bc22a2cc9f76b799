// Every schedule instead of one: a test's scenario is run once for each way in which the decisions
// that a world leaves open can fall.
//
//     hal::sim::Explorer explorer({.hand_overs = 2});
//     while (explorer.next()) {
//       hal::sim::World world({.cpus = 2, .explorer = &explorer, ...});
//       world.boot(0, ...);
//       world.boot(1, ...);
//       ASSERT_EQ(world.run(), hal::sim::End::quiet);
//     }
//     EXPECT_TRUE(explorer.complete());
//
// The decisions: which of several CPUs with an event at the same instant goes first; whether, at a
// machine call, another CPU that could run at this instant comes in between; how `wait` ends, where
// the options leave that to the seed. Not explored: `Options::stall`, and what is between two
// machine calls, which is one step (`Machine::spend({})` divides it).
//
// The search is stateless: depth first over the tree of decisions, each run from the start. The
// number of hand-overs that no CPU asked for is bounded, as in Musuvathi and Qadeer, "Iterative
// Context Bounding for Systematic Testing of Multithreaded Programs" (PLDI 2007): most bugs need
// one or two, and without a bound the tree grows exponentially in the length of a run.

#ifndef BATON_HAL_SIM_EXPLORER_H_
#define BATON_HAL_SIM_EXPLORER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hal::sim {

/// A walk over the schedules of one scenario, which must depend on nothing else that varies. One
/// world at a time; not thread-safe.
class Explorer {
 public:
  struct Limits {
    /// At most so many times a run does a CPU lose its turn at a machine call.
    uint32_t hand_overs = 2;
    /// After so many runs `next` gives up, and `complete` is false.
    uint64_t runs = 1'000'000;
  };

  Explorer() = default;
  explicit Explorer(Limits limits) : limits_(limits) {}

  /// True: there is another schedule, and the next world that is given this explorer follows it.
  bool next();

  /// Whether every schedule within `hand_overs` was run. False also after a loop was left early.
  bool complete() const { return complete_; }

  /// The runs begun so far.
  uint64_t runs() const { return runs_; }

  /// The decisions of the current run, for a person to compare.
  std::string schedule() const;

  // For the world.

  /// A decision among `count` possibilities, numbered from 0.
  uint64_t choose(uint64_t count);
  uint32_t hand_overs() const { return limits_.hand_overs; }

 private:
  struct Decision {
    uint64_t chosen;
    uint64_t count;
  };

  Limits limits_;
  std::vector<Decision> path_;
  size_t position_ = 0;
  uint64_t runs_ = 0;
  bool complete_ = false;
};

}  // namespace hal::sim

#endif  // BATON_HAL_SIM_EXPLORER_H_
