#!/bin/bash
#
# Prints what processes and the tasks of the shared scheduler cost, one line each: name, tab, number. bench/README.md
# says what each one is.
#
#   bazel run //bench:user -- --arch=aarch64     (riscv64, x86_64; all: with a line before each machine)
#
# Lines that begin with # say what a number alone does not; they go to the standard error.
# It runs in its runfiles, as `bazel run` and tests start it. The first argument, llvm-nm, is //bench/BUILD's.

set -euo pipefail

# shellcheck source=bench/counting.sh
source bench/counting.sh

for machine in "${machines[@]}"; do
  [[ "${arch}" != all ]] || echo "${machine}"
  boot user_image
done
