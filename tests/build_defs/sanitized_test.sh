#!/bin/bash
#
# Passes if the racing test fails under ThreadSanitizer, and for the race.

set -uo pipefail

if output="$(./tests/build_defs/race_tsan_failing_test 2>&1)"; then
  echo "the race was not found"
  exit 1
elif [[ "${output}" != *"ThreadSanitizer: data race"* ]]; then
  echo "it failed, but not for the race: ${output}"
  exit 1
fi
