// How the tour is told: numbered acts, each with a picture, a promise that was kept or broken, and
// at the end a table of all of them.

#ifndef BATON_KERNEL_DEMO_TOUR_REPORT_H_
#define BATON_KERNEL_DEMO_TOUR_REPORT_H_

#include <span>

namespace demo::tour {

/// One act. `run` shows something and returns whether what it promises was kept.
struct Act {
  const char* title;
  const char* promise;
  bool (*run)();
};

/// Says what this machine is.
void begin();

/// Plays `acts`, under the policy of this name.
void play(const char* policy, std::span<const Act> acts);

/// Prints the table and ends the machine: as a failure if a promise was broken.
[[noreturn]] void finish();

}  // namespace demo::tour

#endif  // BATON_KERNEL_DEMO_TOUR_REPORT_H_
