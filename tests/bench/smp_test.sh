#!/bin/bash
#
# //bench:smp prints every line of its tables, and what of it depends on no clock is as it should be: in the
# simulator the work of a wake does not grow with the number of CPUs.
# Argument: smp.

set -uo pipefail

output="$("./$1" --quick)" || exit 1
echo "${output}"
for line in 'Baton, other CPU asleep' 'Baton, other CPU looks for mail' 'Baton, one CPU' 'futex, two processors' \
  'futex, one processor' 'pthread condition, two processors' 'spinning, two processors' 'two CPUs'; do
  grep -qE "^${line} +[0-9]+" <<< "${output}" || {
    echo "FAILED: no figure for: ${line}"
    exit 1
  }
done
awk '
  /^each CPU wakes/ { per_cpu = ""; kind = $0 }
  /^ +[0-9]+ / {
    if ($2 != 20 * $1) wrong = wrong "\n" kind ": " $2 " wakes of " $1 " CPUs"
    # One CPU is its own next one, and sends nothing.
    if ($1 > 1) {
      if (per_cpu != "" && per_cpu != $3 " " $4 " " $5) wrong = wrong "\n" kind ": it grows with " $1 " CPUs"
      per_cpu = $3 " " $4 " " $5
      ++rows
    }
  }
  END {
    if (rows != 8) wrong = wrong "\n" rows " rows"
    if (wrong != "") print "FAILED:" wrong
    exit wrong != ""
  }' <<< "${output}"
