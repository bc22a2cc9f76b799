#!/bin/bash
#
# Prints what the scheduler costs, one line each: name, tab, number. bench/README.md says what each one is.
#
#   bazel run //bench:switch -- --arch=aarch64     (riscv64, x86_64; all: with a line before each machine)
#   bazel run //bench:switch -- --arch=aarch64 --quick       without irq_off_max, which takes longest
#   bazel run //bench:switch -- --arch=aarch64 --masked      only that, with the twelve longest and their way
#
# Lines that begin with # say what a number alone does not; they go to the standard error.
# It runs in its runfiles, as `bazel run` and tests start it. The first argument, llvm-nm, is //bench/BUILD's.

set -euo pipefail

# shellcheck source=bench/counting.sh
source bench/counting.sh

for machine in "${machines[@]}"; do
  [[ "${arch}" != all ]] || echo "${machine}"
  if [[ -n "${counted}" ]]; then
    boot yield_round_robin
    boot fixed_priority > "${scratch}/fixed_priority"
    grep -vE '^(create_delete|whole_life|task_bytes)' "${scratch}/fixed_priority"
    boot interrupt_same
    boot interrupt_wake
    grep -E '^(create_delete|whole_life)' "${scratch}/fixed_priority"
    bench/text_bytes.sh "${NM}" "bench/footprint_${machine}.elf"
    grep '^task_bytes' "${scratch}/fixed_priority"
  fi
  if [[ -n "${masked}" ]]; then
    # Few tasks, which can be at three levels, and many.
    longest_stretch irq_off_max masked tasks=3 tasks=100
  fi
done
