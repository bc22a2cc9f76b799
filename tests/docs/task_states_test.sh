#!/bin/bash
#
# The picture of a task's states in docs/ is what the table in sched/task.h says.
#
# Arguments: the program that draws it, the picture.

set -euo pipefail

if ! "$1" | diff "$2" -; then
  echo "FAIL: write it anew: ./bazelw run //tests/docs:task_states > $2"
  exit 1
fi
