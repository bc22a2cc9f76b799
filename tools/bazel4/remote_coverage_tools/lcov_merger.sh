#!/bin/bash
#
# Stand-in for Bazel's coverage merger: concatenates what a test's binaries reported (lcov files may be
# concatenated) into the file that Bazel asks for.

set -euo pipefail

for argument in "$@"; do
  case "${argument}" in
    --coverage_dir=*) directory="${argument#*=}" ;;
    --output_file=*) output="${argument#*=}" ;;
    --reports_file=*) reports="${argument#*=}" ;;
  esac
done

if [[ -n "${reports:-}" ]]; then
  xargs --no-run-if-empty --arg-file="${reports}" cat > "${output}"
else
  find "${directory}" -name '*.dat' -exec cat {} + > "${output}"
fi
