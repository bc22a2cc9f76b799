#!/bin/bash
#
# Prints what the operations of the scheduler cost, one line each: name, tab, number. See bench/README.md.
#
#   bazel run //bench:switch -- --arch=aarch64     (riscv64, x86_64; all: with a line before each)
#
# Lines that begin with # say what a number alone does not; they go to the standard error.
# The arguments before the caller's are the images of all machines, as //bench/BUILD gives them.

set -euo pipefail

readonly MACHINES=(x86_64 aarch64 riscv64)

usage() {
  echo "usage: bazel run //bench:switch -- --arch=x86_64|aarch64|riscv64|all" >&2
  exit 2
}

images=() arch=''
for argument in "$@"; do
  case "${argument}" in
    --arch=*) arch="${argument#*=}" ;;
    -*) usage ;;
    *) images+=("${argument}") ;;
  esac
done
case "${arch}" in
  all) machines=("${MACHINES[@]}") ;;
  x86_64 | aarch64 | riscv64) machines=("${arch}") ;;
  *) usage ;;
esac

# boot IMAGE: what it has counted, without the firmware's banner.
boot() {
  local log status=0
  log="$("${PWD}/$1" < /dev/null)" || status=$?
  if ((status != 0)); then
    printf '%s\n' "${log}" >&2
    echo "$1 failed" >&2
    exit 1
  fi
  grep -P '^([a-z_]+\t[0-9]+$|# )' <<< "${log//$'\r'/}" | while IFS= read -r line; do
    case "${line}" in
      '#'*) printf '%s\n' "${line}" >&2 ;;
      *) printf '%s\n' "${line}" ;;
    esac
  done
}

for machine in "${machines[@]}"; do
  [[ "${arch}" != all ]] || echo "${machine}"
  for image in yield_round_robin fixed_priority interrupt_same interrupt_wake; do
    for file in "${images[@]}"; do
      [[ "${file##*/}" != "${image}_${machine}" ]] || boot "${file}"
    done
  done
done
