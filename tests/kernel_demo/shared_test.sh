#!/bin/bash
#
# run=shared of the demo: tasks of two programs and of the kernel take turns in the order in which they became ready,
# whoever's they are, also those that the kernel wakes; and where a program never yields, the others go on.
# Arguments: the qemu_runs that boot it.

set -euo pipefail

result=0
for run in "$@"; do
  status=0
  log="$("./${run}" < /dev/null 2>&1)" || status=$?
  log="${log//$'\r'/}"
  if ((status != 0)); then
    echo "${run} failed:"
    echo "${log}"
    result=1
  fi
  # The first part. Each "asks" puts the kernel's answer behind whoever is ready then.
  if ! diff <(sed -n '/first come, first served/,/^kept/s/^  //p' <<< "${log}") - << 'STORY'; then
kernel   task 1  turn 1
space 1  task 1  turn 1
space 1  task 2  turn 1
space 1  task 3  turn 1
space 2  task 1  turn 1
space 2  task 2  turn 1
space 2  task 3  turn 1
kernel   task 1  turn 2
space 1  task 1  turn 2
space 1  task 2  turn 2
space 1  task 2  asks the kernel, and sleeps
space 1  task 3  turn 2
space 2  task 1  turn 2
space 2  task 2  turn 2
space 2  task 2  asks the kernel, and sleeps
space 2  task 3  turn 2
kernel   task 1  turn 3
space 1  task 1  turn 3
kernel   answers task 2 of space 1
kernel   answers task 2 of space 2
space 1  task 3  turn 3
space 2  task 1  turn 3
space 2  task 3  turn 3
space 1  task 2  has its answer
space 1  task 2  turn 3
space 2  task 2  has its answer
space 2  task 2  turn 3
STORY
    echo "${run}: not in this order"
    result=1
  fi
  for kept in 'every task of both programs has ended' \
    'a space that never yields is preempted, and the others go on'; do
    if ! grep -qx "kept: ${kept}" <<< "${log}"; then
      echo "${run}: not said to be kept: ${kept}"
      result=1
    fi
  done
done
exit "${result}"
