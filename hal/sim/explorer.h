// Every schedule instead of one: a scenario is run once for each way in which the choices that a
// world leaves open can fall.
//
//     hal::sim::Explorer explorer;
//     while (explorer.next()) {
//       hal::sim::World world({.cpus = 2, .explorer = &explorer, ...});
//       world.boot(0, ...);
//       world.boot(1, ...);
//       const hal::sim::Outcome outcome = world.run();
//       if (outcome == hal::sim::End::cut) continue;  // nothing new in it
//       ASSERT_EQ(outcome, hal::sim::End::quiet) << explorer.story();
//     }
//     EXPECT_TRUE(explorer.complete());
//
// What chooses. A world is made of processes: its CPUs; for each CPU the wire on which a kick
// travels to it; and the clock, which goes on to the next instant at which something is due. Before
// each *step* of a process any other may come in between. Steps are: every atomic operation of code
// that is built for it (`explored_test` in tests/explore/defs.bzl), the machine calls by which CPUs
// reach each other (`kick`, `wait`, `unmask`, and `mask` of an unmasked CPU, `now`, `arm`,
// `spend`), the arrival of a kick and the next tick. Interrupts are taken before each step of an
// unmasked CPU.
// Other accesses to memory are no steps: they are watched instead, and two that no atomic operation
// orders end the run as `End::race` (`hal/sim/races.h`).
//
// How many. Two steps that touch different objects, or of which neither writes, commute, and of
// schedules that differ only in the order of such steps one is run: C. Flanagan and P. Godefroid,
// "Dynamic Partial-Order Reduction for Model Checking Software" (POPL 2005), with the source sets
// of P. Abdulla, S. Aronis, B. Jonsson, K. Sagonas, "Optimal Dynamic Partial Order Reduction" (POPL
// 2014) and P. Godefroid's sleep sets, by which a run that can show nothing new is cut. Where that
// is too much still, `preemptions` bounds how often a process loses its turn that could go on (M.
// Musuvathi and S. Qadeer, PLDI 2007; with the reduction: K. Coons, M. Musuvathi, K. McKinley,
// "Bounded Partial-Order Reduction", OOPSLA 2013), and for what is larger yet there are random
// walks.
//
// What is not explored: docs/explorer.md.

#ifndef BATON_HAL_SIM_EXPLORER_H_
#define BATON_HAL_SIM_EXPLORER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "hal/time.h"

namespace hal::sim {

/// A walk over the schedules of one scenario, which must depend on nothing else that varies. One
/// world at a time; not thread-safe.
class Explorer {
 public:
  static constexpr uint32_t kNoBound = UINT32_MAX;

  struct Limits {
    /// At most so many times a run does a process lose its turn that could go on.
    uint32_t preemptions = kNoBound;
    /// After so many runs `next` gives up, and `complete` is false.
    uint64_t runs = 1'000'000;
    /// Instead of all schedules so many, drawn from `seed`; then `complete` stays false.
    uint64_t walks = 0;
    uint64_t seed = 1;
    /// Until the clock comes here, nothing is left open: who can go on does, kicks arrive at once,
    /// and the clock goes on when nobody can.
    Instant from = {};
    /// Whether the clock may come to its next instant while CPUs could go on.
    bool clock_is_free = true;
    /// A schedule as `schedule` prints it: it alone is run.
    std::string replay = {};
  };

  Explorer() = default;
  explicit Explorer(Limits limits);

  /// True: there is another schedule, and the next world that is given this explorer follows it.
  bool next();

  /// Whether every schedule within the bound was run. False also after a loop was left early.
  bool complete() const { return complete_; }

  /// The runs begun so far, and how many of them were cut, for others had shown the same.
  uint64_t runs() const { return runs_; }
  uint64_t cut() const { return cut_; }
  /// What differs in more than the order of steps that commute.
  uint64_t interleavings() const { return runs_ - cut_; }
  /// The steps of the longest run.
  uint64_t longest() const { return longest_; }

  /// The choices of the current run, on one line, for `Limits::replay`.
  std::string schedule() const;

  /// The steps of the current run, a line each: who, what, on which object, and where in the
  /// source; of those that concern nobody else, how many.
  std::string story() const;

  /// In a story, what lies in `[object, object + size)` is called this. Until the next run.
  void name(const void* object, size_t size, std::string text);

  /// A decision among `count` possibilities, numbered from 0, each of which gets its run.
  uint64_t choose(uint64_t count);

  // ---- For the world ----

  static constexpr size_t kProcesses = 16;
  using Set = uint16_t;  // of processes

  enum class What : uint8_t {
    begin,
    load,
    store,
    exchange,
    update,
    compare,
    fence,
    kick,
    arrival,
    tick,
    wait,
    unmask,
    mask,
    interrupt,
    now,
    arm,
    spend,
  };

  struct Access {
    uintptr_t object = 0;
    bool write = false;
  };

  /// What a process does next.
  struct Step {
    What what = What::begin;
    uint8_t order = 0;  // of an atomic operation
    uint8_t accesses = 0;
    std::array<Access, 8> access = {};
    uintptr_t place = 0;      // the instruction after it
    uintptr_t called_at = 0;  // and after the call of the function that it is in

    void add(uintptr_t object, bool write) {
      for (Access& known : std::span(access).first(accesses)) {
        if (known.object == object) {
          known.write |= write;
          return;
        }
      }
      access[accesses++] = {object, write};
    }
  };

  const Limits& limits() const { return limits_; }

  /// What every process does next, if it is `alive`; who can do it now is `enabled`.
  struct Processes {
    std::array<Step, kProcesses> next;
    Set alive = 0;
    Set enabled = 0;
    size_t cpus = 0;  // the first so many are CPUs
  };

  /// The one that does its step now; `kCut`: none, for nothing new can come of it.
  static constexpr size_t kCut = SIZE_MAX;
  size_t pick(const Processes& processes);

  /// `enabler` has just done a step by which `enabled` can go on.
  void enables(size_t enabler, size_t enabled);

  /// The run is over: the steps of those that could not go on are never done.
  void end(const Processes& processes);

 private:
  using Clock = std::array<int32_t, kProcesses>;  // of each process the last step that came before

  struct Node {
    bool is_choice = false;  // by `choose`; else by `pick`
    uint8_t process = 0;
    Set enabled = 0;
    Set backtrack = 0;  // to be chosen here, or chosen already
    Set done = 0;       // everything that follows from choosing it was run
    Set sleep = 0;      // nothing new follows from it
    uint32_t preemptions = 0;
    uint64_t chosen = 0;  // of a choice
    uint64_t count = 0;
    Step step;
    Clock clock;
  };

  // What the steps of this run so far have done to an object. -1: nothing.
  struct Object {
    int32_t write = -1;
    Clock write_clock;
    Clock reads;        // the last of each process since
    Clock reads_clock;  // what came before any of them
  };

  static bool depend(const Step& a, const Step& b);
  static Clock nothing();
  static void join(Clock& into, const Clock& from);

  bool is_bounded() const { return limits_.preemptions != kNoBound; }
  bool is_searching() const { return limits_.walks == 0 && limits_.replay.empty(); }
  size_t first_choice(Set candidates, Set enabled);
  void do_step(size_t process, const Step& step);
  void look_for_races(size_t process, const Step& step, Clock clock);
  void reverse(int32_t earlier, size_t process, const Clock& clock);
  void add_backtrack(int32_t at, size_t process);
  uint64_t random(uint64_t bound);
  [[noreturn]] void die_of_variation() const;
  std::string text_of(uintptr_t object) const;

  struct Name {
    uintptr_t begin;
    size_t size;
    std::string text;
  };

  Limits limits_;
  std::vector<Node> path_;
  size_t position_ = 0;
  size_t fresh_ = 0;  // from here on the run differs from the one before
  uint64_t runs_ = 0;
  uint64_t cut_ = 0;
  uint64_t longest_ = 0;
  bool complete_ = false;
  uint64_t random_state_ = 0;
  std::vector<uint64_t> replay_;

  // Of the current run.
  size_t cpus_ = 0;
  Set sleep_ = 0;
  size_t last_ = kCut;
  uint32_t preemptions_ = 0;
  std::array<Clock, kProcesses> clocks_;
  std::unordered_map<uintptr_t, Object> objects_;
  std::vector<Name> names_;
};

}  // namespace hal::sim

#endif  // BATON_HAL_SIM_EXPLORER_H_
