// The acts, by the policy that they need on the stage. Each of these is called from the first task
// of its scheduler.

#ifndef BATON_KERNEL_DEMO_TOUR_ACTS_H_
#define BATON_KERNEL_DEMO_TOUR_ACTS_H_

namespace demo::tour {

void play_fifo();
void play_round_robin();
void play_fixed_priority();
void play_waiting();
void play_thresholds();
void play_eevdf();
void play_deadlines();
void play_swap();

}  // namespace demo::tour

#endif  // BATON_KERNEL_DEMO_TOUR_ACTS_H_
