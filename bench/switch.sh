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

NM="$1"
shift
# shellcheck source=bench/tracing.sh
source bench/tracing.sh

readonly MACHINES=(x86_64 aarch64 riscv64)
# As few and as many tasks as the image knows how to be busy with.
readonly FEW=2 MANY=100

usage() {
  echo "usage: bazel run //bench:switch -- --arch=x86_64|aarch64|riscv64|all [--quick | --masked]" >&2
  exit 2
}

arch='' counted=1 masked=1 longest=0
for argument in "$@"; do
  case "${argument}" in
    --arch=*) arch="${argument#*=}" ;;
    --quick) masked='' ;;
    --masked) counted='' longest=12 ;;
    *) usage ;;
  esac
done
case "${arch}" in
  all) machines=("${MACHINES[@]}") ;;
  x86_64 | aarch64 | riscv64) machines=("${arch}") ;;
  *) usage ;;
esac

scratch="$(mktemp -d "${TEST_TMPDIR:-${TMPDIR:-/tmp}}/switch.XXXXXX")"
trap 'rm -rf "${scratch}"' EXIT

# boot NAME: what the image has counted, without the firmware's banner.
boot() {
  local log status=0
  log="$("${PWD}/bench/$1_${machine}" < /dev/null)" || status=$?
  log="${log//$'\r'/}"
  if ((status != 0)); then
    printf '%s\n' "${log}" >&2
    echo "$1 failed on ${machine}" >&2
    exit 1
  fi
  grep '^# ' <<< "${log}" >&2 || true
  grep -P '^[a-z_]+\t[0-9]+$' <<< "${log}"
}

# The longest masked stretch, with few tasks and with many.
irq_off_max() {
  local elf tasks most=0 first='' this begin end
  elf="bench/masked_${machine}.elf"
  for tasks in "${FEW}" "${MANY}"; do
    mkdir "${scratch}/${machine}.${tasks}"
    trace_image "${machine}" "${elf}" "${scratch}/${machine}.${tasks}" stretches -- "tasks=${tasks}" \
      > "${scratch}/stretches"
    IFS=$'\t' read -r this begin end _ < "${scratch}/stretches"
    echo "# irq_off_max: ${this} with ${tasks} tasks, from ${begin} to ${end}" >&2
    if ((longest > 0)); then
      sed -n "1,${longest}s/^/# /p" "${scratch}/stretches" >&2
    fi
    if [[ -n "${first}" ]] && ((this != first)); then
      echo "# irq_off_max depends on the number of tasks" >&2
    fi
    first="${this}"
    if ((this > most)); then
      most="${this}"
    fi
  done
  printf 'irq_off_max\t%d\n' "${most}"
}

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
    irq_off_max
  fi
done
