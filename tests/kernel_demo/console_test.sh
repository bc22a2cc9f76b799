#!/bin/bash
#
# Boots an image that says "ready" and then prints back the line that it is sent, on each machine.
# Arguments: the qemu_runs that boot it.

set -euo pipefail

result=0
for run in "$@"; do
  coproc guest { "./${run}" 2>&1; }
  pid="${guest_PID}"
  exec {from}<&"${guest[0]}" {to}>&"${guest[1]}"
  log=''
  while IFS= read -r -u "${from}" line; do
    log+="${line}"$'\n'
    if [[ "${line}" == ready* ]]; then
      printf 'the quick brown fox\n' >&"${to}"
    fi
  done
  status=0
  wait "${pid}" || status=$?
  exec {from}<&- {to}>&-
  if ((status != 0)) || ! grep -q '^typed \[the quick brown fox\]' <<< "${log}"; then
    echo "${run} ended with ${status} and this log:"
    echo "${log}"
    result=1
  fi
done
exit "${result}"
