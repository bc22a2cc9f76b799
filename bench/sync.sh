#!/bin/bash
#
# Prints what waiting costs, one line each: name, tab, number. bench/README.md says what each one is.
#
#   bazel run //bench:sync -- --arch=aarch64     (riscv64, x86_64; all: with a line before each machine)
#   bazel run //bench:sync -- --arch=aarch64 --quick       without irq_off_max_timers, which takes longest
#   bazel run //bench:sync -- --arch=aarch64 --masked      only that, with the twelve longest and their way
#
# Lines that begin with # say what a number alone does not; they go to the standard error.
# It runs in its runfiles, as `bazel run` and tests start it. The first argument, llvm-nm, is //bench/BUILD's.

set -euo pipefail

# shellcheck source=bench/counting.sh
source bench/counting.sh

for machine in "${machines[@]}"; do
  [[ "${arch}" != all ]] || echo "${machine}"
  if [[ -n "${counted}" ]]; then
    boot waiting
    boot sleep
    boot waiting_many | sed 's/\t/_many\t/'
  fi
  if [[ -n "${masked}" ]]; then
    longest_stretch irq_off_max_timers masked_timers timers=200 timers=10000 sleepers=10 sleepers=1000
  fi
done
