#!/bin/bash
#
# //bench:user on one machine: it prints every name of the table once, in its order; two runs print the same numbers;
# no number is above the one that bench/README.md shows; the pool costs the same however many tasks are in it; and
# a switch between two tasks of the pool is under a third of one between processes.
#
# Arguments: see counts.sh; the script is user.

set -uo pipefail

# shellcheck source=tests/bench/counts.sh
source tests/bench/counts.sh

run_twice --quick
expect_names null_call process_switch process_preemption shared_pool_100 shared_pool_200 shared_pool_300 \
  shared_pool_380 shared_task_switch
number() { awk -v name="$1" '$1 == name { print $2 }' "${first}"; }
for tasks in 200 300 380; do
  (($(number "shared_pool_${tasks}") <= $(number shared_pool_100))) || fail "${tasks} tasks cost more than 100"
done
((3 * $(number shared_task_switch) < $(number process_switch))) || fail "a task's switch is a third of a process's"
expect_as_shown
exit "${result}"
