#!/bin/bash
#
# Puts today's numbers into the first three columns of the three tables of guest instructions in bench/README.md:
# `bazel run //bench:table`.
# It runs in its runfiles, as `bazel run` starts it. The argument, llvm-nm, is //bench/BUILD's.

set -euo pipefail

readme="${BUILD_WORKSPACE_DIRECTORY:?start it with bazel run}/bench/README.md"
scratch="$(mktemp -d "${TMPDIR:-/tmp}/table.XXXXXX")"
trap 'rm -rf "${scratch}"' EXIT

# In the order of the columns.
for machine in riscv64 aarch64 x86_64; do
  for script in switch sync user; do
    "bench/${script}.sh" "$1" "--arch=${machine}" >> "${scratch}/numbers"
  done
done
awk -F '|' -v OFS='|' '
  FNR == NR {
    split($0, pair, "\t")
    numbers[pair[1]] = numbers[pair[1]] " " pair[2]
    next
  }
  {
    name = $2
    gsub(/[` ]/, "", name)
    # The tables themselves, by their separators; others have the names too.
    if ((NF == 11 || NF == 9 || NF == 7) && split(numbers[name], columns, " ") == 3) {
      for (i = 1; i <= 3; ++i) $(i + 2) = " " columns[i] " "
    }
    print
  }' "${scratch}/numbers" "${readme}" > "${scratch}/readme"
cp "${scratch}/readme" "${readme}"
