#!/bin/bash
#
# What qemu_run makes of each end: its exit code, its one line, the arguments it hands over, and that a signal
# ends QEMU with it.

set -uo pipefail

cd tests/platforms || exit 1
result=0

fail() {
  echo "FAIL $*"
  result=1
}

# expect EXIT LINE PROGRAM ARGUMENT...: runs it and compares; the line is the last one it prints.
expect() {
  local code="$1" line="$2" output actual
  shift 2
  output="$("$@" 2>&1 < /dev/null)"
  actual=$?
  output="${output//$'\r'/}"
  ((actual == code)) || fail "$*: exit code ${actual}, not ${code}"
  [[ "${output##*$'\n'}" == "${line}" ]] || fail "$*: last line is '${output##*$'\n'}', not '${line}'"
}

for cpu in aarch64 riscv64 x86_64; do
  expect 0 "arguments: [default=1 a=1,2 b=x y]" "./run_arguments_${cpu}" a=1,2 "b=x y"
  expect 1 "the kernel ended with a failure (status 35)" "./run_panic_${cpu}"
  expect 1 "the machine ended without a result: triple fault, reset or power-off (status 0)" \
    "./run_early_end_${cpu}"

  # A terminal's Ctrl-C reaches the whole process group; a signal to the script alone has to end QEMU too.
  # A log of its own: that of the machine before would be found until this one's is opened.
  "./run_hang_${cpu}" > "hang_${cpu}.log" 2>&1 < /dev/null &
  script=$!
  until grep -qs "about to hang" "hang_${cpu}.log"; do
    kill -0 "${script}" 2> /dev/null || break
  done
  read -r qemu < "/proc/${script}/task/${script}/children"
  # Bash starts background jobs with SIGINT ignored, so SIGTERM it is here.
  kill -TERM "${script}"
  wait "${script}"
  code=$?
  ((code == 130)) || fail "run_hang_${cpu}: exit code ${code} after a signal, not 130"
  [[ -n "${qemu}" ]] || fail "run_hang_${cpu}: no QEMU was running"
  if [[ -n "${qemu}" ]] && kill -0 "${qemu}" 2> /dev/null; then
    fail "run_hang_${cpu}: QEMU outlived its script"
    kill -KILL "${qemu}"
  fi
done

# No QEMU on the PATH: a sentence that says which package it is in.
output="$(PATH=/nowhere /bin/bash "$(pwd)/run_hang_x86_64" 2>&1)" && fail "ran without QEMU"
[[ "${output}" == *"package is qemu-system-x86"* ]] || fail "without QEMU it says: ${output}"

exit "${result}"
