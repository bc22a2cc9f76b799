#!/bin/bash
#
# Boots an image that has to fail, on each machine, and passes if it ends as a failure and the log has
# a line for each of the extended regular expressions given.
# Arguments: the expressions, then --, then the qemu_tests that boot it.

set -euo pipefail

expressions=()
while [[ "$1" != -- ]]; do
  expressions+=("$1")
  shift
done
shift

result=0
for test in "$@"; do
  if output="$("./${test}" 2>&1)"; then
    echo "${test} passed, but has to fail"
    result=1
  elif ! grep -qE '^FAILED: panic: the kernel ended with status 35$' <<< "${output}"; then
    echo "${test} did not end by its own failure status:"
    echo "${output}"
    result=1
  else
    for expression in "${expressions[@]}"; do
      if ! grep -qE -- "${expression}" <<< "${output}"; then
        echo "${test} wrote no line that matches ${expression}:"
        echo "${output}"
        result=1
      fi
    done
  fi
done
exit "${result}"
