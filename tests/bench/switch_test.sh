#!/bin/bash
#
# //bench:switch on one machine: it prints every name of the table once, in its order; two runs print the same
# numbers; an operation has as many instructions when it is watched as the guest has counted; no number is above
# the one that bench/README.md shows; and the longest masked stretch does not depend on the number of tasks.
#
# Arguments: the machine, its column in the README's table (from 1), the README, the scripts' own first ones
# (llvm-nm, llvm-objdump), switch, listing.

set -uo pipefail

machine="$1" column="$2" readme="$3" nm="$4" objdump="$5" switch="./$6" listing="./$7"
result=0

fail() {
  echo "FAIL $*"
  result=1
}

NAMES=(yield_round_robin yield_fixed_priority yield_alone wake_to_higher irq_same_task irq_wake_to_higher
  create_delete whole_life text_bytes task_bytes irq_off_max)

"${switch}" "${nm}" "--arch=${machine}" > "${TEST_TMPDIR}/first" 2> "${TEST_TMPDIR}/remarks" ||
  fail "the first run"
cat "${TEST_TMPDIR}/first" "${TEST_TMPDIR}/remarks"
"${switch}" "${nm}" "--arch=${machine}" --quick > "${TEST_TMPDIR}/second" 2> /dev/null || fail "the second run"

names="$(cut -f 1 "${TEST_TMPDIR}/first" | tr '\n' ' ')"
[[ "${names}" == "${NAMES[*]} " ]] || fail "the names are ${names}"
if grep -vP '^[a-z_]+\t[1-9][0-9]*$' "${TEST_TMPDIR}/first"; then
  fail "a line is not a name, a tab and a number"
fi
grep -v '^irq_off_max' "${TEST_TMPDIR}/first" | diff - "${TEST_TMPDIR}/second" || fail "two runs differ"
if grep 'rounds, from' "${TEST_TMPDIR}/remarks"; then
  fail "a count is not the same in all rounds"
fi
if grep 'depends on the number of tasks' "${TEST_TMPDIR}/remarks"; then
  fail "irq_off_max depends on the number of tasks"
fi

# What raising the interrupt costs is counted in the watched way, but not in the number.
case "${machine}" in
  aarch64) raising=2 ;;
  *) raising=1 ;;
esac
for name in yield_round_robin wake_to_higher create_delete whole_life irq_wake_to_higher; do
  counted="$(awk -v name="${name}" '$1 == name { print $2 }' "${TEST_TMPDIR}/first")"
  watched="$("${listing}" "${nm}" "${objdump}" "--arch=${machine}" "${name}" |
    awk '/^[0-9]+ instructions$/ { print $1 }')"
  [[ "${name}" != irq_* ]] || counted=$((counted + raising))
  ((watched == counted)) || fail "${name}: ${counted} counted, ${watched} watched"
done

while IFS=$'\t' read -r name number; do
  shown="$(awk -F '|' -v name="\`${name}\`" -v column="${column}" \
    'index($2, name) { gsub(/[^0-9]/, "", $(column + 1)); print $(column + 1); exit }' "${readme}")"
  if [[ -z "${shown}" ]]; then
    fail "${readme} does not show ${name}"
  elif ((number > shown)); then
    fail "${name} is ${number}, and ${readme} says ${shown}"
  elif ((number < shown)); then
    echo "better than ${readme} says: ${name} is ${number}, not ${shown}"
  fi
done < "${TEST_TMPDIR}/first"
exit "${result}"
