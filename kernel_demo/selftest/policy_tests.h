// What the policies promise beyond the common tests, on real interrupts or as pure code. Called
// from the first task of its scheduler.

#ifndef BATON_KERNEL_DEMO_SELFTEST_POLICY_TESTS_H_
#define BATON_KERNEL_DEMO_SELFTEST_POLICY_TESTS_H_

namespace demo::selftest {

void run_conformance_tests();  // under any: the kit drives policies of its own
void run_slice_tests();        // under round robin
void run_priority_tests();     // under fixed priorities
void run_threshold_tests();    // under fixed priorities with thresholds
void run_time_tests();         // under fixed priorities
void run_sync_tests();         // under fixed priorities
void run_lock_tests();         // under fixed priorities
void run_life_tests();         // under fixed priorities
void run_mailbox_tests();      // under round robin: producers that preempt each other

}  // namespace demo::selftest

#endif  // BATON_KERNEL_DEMO_SELFTEST_POLICY_TESTS_H_
