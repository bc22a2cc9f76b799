#!/bin/bash
#
# //bench:switch on one machine: it prints every name of the table once, in its order; two runs print the same
# numbers; an operation has as many instructions when it is watched as the guest has counted; no number is above
# the one that bench/README.md shows; the longest masked stretch does not depend on the number of tasks; and a local
# wake and a switch execute no locked instruction.
#
# Arguments: see counts.sh; the script is switch.

set -uo pipefail

# shellcheck source=tests/bench/counts.sh
source tests/bench/counts.sh

run_twice
expect_names yield_round_robin yield_fixed_priority yield_alone wake_to_higher irq_same_task irq_wake_to_higher \
  create_delete whole_life text_bytes task_bytes irq_off_max
if grep 'rounds, from' "${remarks}"; then
  fail "a count is not the same in all rounds"
fi
if grep 'depends on the number' "${remarks}"; then
  fail "irq_off_max depends on the number of tasks"
fi

for name in yield_round_robin wake_to_higher create_delete whole_life; do
  expect_as_watched "${name}" 0
done
# A wake and a switch of one's own tasks need no other CPU's consent. (A spawn does, which shows that the test sees.)
expect_locked yield_round_robin no
expect_locked wake_to_higher no
expect_locked create_delete yes
# What raising the interrupt costs is counted in the watched way, but not in the number.
case "${machine}" in
  aarch64) expect_as_watched irq_wake_to_higher 2 ;;
  *) expect_as_watched irq_wake_to_higher 1 ;;
esac
expect_as_shown
exit "${result}"
