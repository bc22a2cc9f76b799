#!/bin/bash
#
# Prints how many bytes of code the scheduler and its port have in an image, and with --list which functions they
# are. Arguments: llvm-nm, [--list], the image of //bench:footprint.
#
# Counted is every function of sched and hal, the machine's assembly (baton_<machine>_…), the kernel's two
# functions that the machine calls (baton_interrupt, baton_preempt: what is inlined there is the scheduler's), and
# the callers of the interface (bench_api_…), for what the interface puts into its callers. A function's size is
# the distance to the next symbol in .text, padding included, so that nothing between two functions is lost.

set -euo pipefail

nm="$1"
shift
list=''
if [[ "$1" == --list ]]; then
  list=1
  shift
fi

"${nm}" -C --defined-only --numeric-sort "$1" | awk -v list="${list}" '
  function value(hexadecimal,   i, number) {
    number = 0
    for (i = 1; i <= length(hexadecimal); ++i) {
      number = number * 16 + index("0123456789abcdef", substr(hexadecimal, i, 1)) - 1
    }
    return number
  }
  $2 !~ /^[tTwW]$/ { next }
  {
    address = value($1)
    name = $0
    sub(/^[^ ]+ [^ ]+ /, "", name)
  }
  # Labels inside of functions and mapping symbols end nothing.
  name ~ /^(bench_(begin|end|window|not_counted)_|\$)/ { next }
  {
    if (counted && address > start) {
      sum += address - start
      if (list) printf "%6d  %s\n", address - start, of
    }
    if (address > start || !counted) {
      counted = name ~ /^(sched::|hal::|baton_|bench_api_)/
      start = address
      of = name
    }
  }
  END {
    if (sum == 0) {
      print "text_bytes.sh: the image has no scheduler" > "/dev/stderr"
      exit 1
    }
    printf "text_bytes\t%d\n", sum
  }'
