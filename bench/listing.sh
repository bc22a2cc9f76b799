#!/bin/bash
#
# Prints the way an operation goes: every instruction it executes, in order, and how many each function has.
#
#   bazel run //bench:listing -- --arch=riscv64 yield_round_robin
#
# The operations are those that //bench:switch and //bench:sync count in instructions, irq_off_max and
# irq_off_max_timers excepted, for which their own `--masked` is the tool. What is printed is one round from the middle of many.
#
# It runs in its runfiles, as `bazel run` and tests start it. The first arguments, llvm-nm and llvm-objdump, are
# //bench/BUILD's.

set -euo pipefail

NM="$1" OBJDUMP="$2"
shift 2
# shellcheck source=bench/tracing.sh
source bench/tracing.sh

usage() {
  echo "usage: bazel run //bench:listing -- --arch=x86_64|aarch64|riscv64 OPERATION" >&2
  exit 2
}

machine='' operation=''
for argument in "$@"; do
  case "${argument}" in
    --arch=x86_64 | --arch=aarch64 | --arch=riscv64) machine="${argument#*=}" ;;
    -*) usage ;;
    *) operation="${argument}" ;;
  esac
done
[[ -n "${machine}" ]] || usage

# The image, and the number of a round in the middle of those that it counts (bench/rounds.h has 80 a scene).
case "${operation%_many}" in
  yield_round_robin) image=yield_round_robin round=40 ;;
  yield_fixed_priority) image=fixed_priority round=40 ;;
  yield_alone) image=fixed_priority round=120 ;;
  wake_to_higher) image=fixed_priority round=200 ;;
  create_delete) image=fixed_priority round=280 ;;
  whole_life) image=fixed_priority round=360 ;;
  irq_same_task) image=interrupt_same round=40 ;;
  irq_wake_to_higher) image=interrupt_wake round=40 ;;
  sem_give_take) image=waiting round=40 ;;
  sem_ping_pong) image=waiting round=120 ;;
  sem_give_block_back) image=waiting round=200 ;;
  mutex_lock_unlock) image=waiting round=280 ;;
  mutex_contended) image=waiting round=360 ;;
  message_send_receive) image=waiting round=440 ;;
  message_to_higher) image=waiting round=520 ;;
  event_flag_set_to_waiter) image=waiting round=600 ;;
  timer_start_stop_1) image=waiting round=680 ;;
  timer_start_stop_100) image=waiting round=760 ;;
  timer_start_stop_10000) image=waiting round=840 ;;
  sleep_to_wake) image=sleep round=40 ;;
  *) usage ;;
esac
# Of a kernel that may have many CPUs.
[[ "${operation}" != *_many ]] || image+=_many
elf="bench/${image}_${machine}.elf"

scratch="$(mktemp -d "${TEST_TMPDIR:-${TMPDIR:-/tmp}}/listing.XXXXXX")"
trap 'rm -rf "${scratch}"' EXIT
trace_image "${machine}" "${elf}" "${scratch}" path "${round}" -- > "${scratch}/path"
features=()
if [[ "${machine}" == riscv64 ]]; then
  features=("--mattr=+m,+a,+c")  # which the image does not say of itself
fi
"${OBJDUMP}" -d -C --no-show-raw-insn "${features[@]}" "${elf}" | awk -F '\t' '
  FNR == NR {
    if (match($1, /^ *[0-9a-f]+:/)) {
      address = $1
      gsub(/[ :]/, "", address)
      text = $2
      for (i = 3; i <= NF; ++i) text = text " " $i
      gsub(/<[^>]*[<(].*/, "", text)
      code[address] = text
    }
    next
  }
  {
    function_name = $2
    sub(/\+0x[0-9a-f]*$/, "", function_name)
    if (function_name != last) {
      printf "%s\n", function_name
      last = function_name
    }
    printf "%5d  %s  %s\n", ++n, $1, code[$1]
    if (!(function_name in count)) order[++functions] = function_name
    ++count[function_name]
  }
  END {
    printf "\n%d instructions\n", n
    for (i = 1; i <= functions; ++i) printf "%5d  %s\n", count[order[i]], order[i]
  }' - "${scratch}/path"
