#!/bin/bash
#
# Runs qemu_tests that have to fail, and passes if each fails with the reason expected.
# Arguments: the reason, which must be the last line, then the tests.

set -euo pipefail

reason="$1"
shift

result=0
for test in "$@"; do
  if output="$("./${test}" 2>&1)"; then
    echo "${test} passed, but has to fail"
    result=1
  elif [[ "${output##*$'\n'}" != "${reason}" ]]; then
    echo "${test} gave another reason than '${reason}':"
    echo "${output}"
    result=1
  fi
done
exit "${result}"
