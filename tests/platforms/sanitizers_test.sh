#!/bin/bash
#
# Each program makes one mistake; passes if its sanitizer reports it and the program fails.

set -uo pipefail

cd tests/platforms || exit 1
result=0

# expect REPORT PROGRAM ARGUMENT...
expect() {
  local report="$1" output
  shift
  if output="$("$@" 2>&1)"; then
    echo "FAIL $1: it ended with success"
    result=1
  elif [[ "${output}" != *"${report}"* ]]; then
    echo "FAIL $1: it does not report '${report}' but: ${output}"
    result=1
  fi
}

expect "AddressSanitizer: heap-buffer-overflow" ./asan
expect "runtime error: signed integer overflow" ./ubsan
expect "ThreadSanitizer: data race" ./tsan
expect "deadly signal" ./fuzzer -seed=1 -runs=1000000 -artifact_prefix="${TEST_TMPDIR}/"
exit "${result}"
