#!/bin/bash
#
# Passes if the two tests that have to fail do so, each saying why.

set -uo pipefail

result=0

# expect TEXT TEST: the test fails, and its first line has this text.
expect() {
  local output
  if output="$("./tests/build_defs/$2")"; then
    echo "$2 passed, but has to fail"
    result=1
  elif [[ "${output%%$'\n'*}" != *"$1"* ]]; then
    echo "$2 does not say '$1' but: ${output}"
    result=1
  fi
}

expect "FAILED: it compiles" compiles_failing_test
expect "has no line that matches" other_error_failing_test
exit "${result}"
