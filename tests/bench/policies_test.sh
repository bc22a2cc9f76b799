#!/bin/bash
#
# That bench/policies runs, and prints every line: each subject in each table, and each ratio with its verdict.
# No figure is looked at; a computer that does other things at the same time would make the test a gamble.
# Argument: policies.

set -uo pipefail

output="$("$1" --quick)" || exit
result=0

# expect TIMES PATTERN: so many lines match it.
expect() {
  local found
  found="$(grep -cE -- "$2" <<< "${output}")"
  if [[ "${found}" != "$1" ]]; then
    echo "FAIL ${found} lines match '$2', not $1"
    result=1
  fi
}

# A number, or a - where the container cannot do it.
number=' +([0-9]+\.[0-9]|-)'
for subject in fifo round_robin fixed_priority mlfq stride lottery vtime eevdf edf 'intrusive list' '64-level bitmap' \
  'boost rbtree' 'std::multimap' 'std::priority_queue'; do
  expect 4 "^${subject}(${number}){6}$"
  expect 1 "^${subject} +[0-9]+$"
done
for operation in 'pick\+put back' enqueue dequeue wake; do
  expect 1 "^${operation} +10 +100 +1000 +10000 +100000 +1000000$"
done
ratio='( +[0-9]+\.[0-9]{2}){6}   aim <= [01]\.[0-9]: (met|MISSED)$'
expect 1 "^round_robin / intrusive list${ratio}"
expect 1 "^fixed_priority / 64-level bitmap${ratio}"
expect 1 "^edf / boost rbtree${ratio}"
expect 1 "^eevdf / boost rbtree${ratio}"
for policy in fifo round_robin fixed_priority mlfq stride lottery vtime eevdf edf; do
  expect 1 "^${policy}, dequeue${ratio}"
done
((result == 0)) || printf '%s\n' "${output}"
exit "${result}"
