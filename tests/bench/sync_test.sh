#!/bin/bash
#
# //bench:sync on one machine: it prints every name of the table but irq_off_max_timers once, in its order; two runs
# print the same numbers; an operation has as many instructions when it is watched as the guest has counted; no number
# is above the one that bench/README.md shows; and a timer costs no more among many.
#
# Arguments: see counts.sh; the script is sync.

set -uo pipefail

# shellcheck source=tests/bench/counts.sh
source tests/bench/counts.sh

run_twice --quick
expect_names sem_give_take sem_ping_pong sem_give_block_back mutex_lock_unlock mutex_contended \
  message_send_receive message_to_higher event_flag_set_to_waiter timer_start_stop_1 timer_start_stop_100 \
  timer_start_stop_10000 sleep_to_wake \
  sem_give_take_many sem_ping_pong_many sem_give_block_back_many mutex_lock_unlock_many mutex_contended_many \
  message_send_receive_many message_to_higher_many event_flag_set_to_waiter_many
# Where a timer goes depends on its instant, and so does when a sleep ends.
if grep 'rounds, from' "${remarks}" | grep -vE '^# (timer_start_stop_[0-9]+|sleep_to_wake):'; then
  fail "a count is not the same in all rounds"
fi
number() { awk -v name="$1" '$1 == name { print $2 }' "${first}"; }
(($(number timer_start_stop_10000) <= $(number timer_start_stop_100))) || fail "10,000 timers cost more than 100"

for name in sem_ping_pong mutex_contended sem_ping_pong_many; do
  expect_as_watched "${name}" 0
done
expect_as_shown
exit "${result}"
