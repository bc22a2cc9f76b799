// `run=tour`: what the project can do, in a few short acts.

#ifndef BATON_KERNEL_DEMO_TOUR_TOUR_H_
#define BATON_KERNEL_DEMO_TOUR_TOUR_H_

namespace demo {

/// Plays every act and ends the machine: as a failure if one did not show what it promises.
[[noreturn]] void run_tour();

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_TOUR_TOUR_H_
