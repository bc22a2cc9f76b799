// Two threads that add to one number without a lock, for sanitized_test to be tested with.

#ifndef BATON_TESTS_BUILD_DEFS_RACE_H_
#define BATON_TESTS_BUILD_DEFS_RACE_H_

// Returns what two threads have added up: at most 2.
int race();

#endif  // BATON_TESTS_BUILD_DEFS_RACE_H_
