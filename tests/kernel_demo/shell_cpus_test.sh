#!/bin/bash
#
# Types at the demo kernel's shell, on three CPUs. Argument: the qemu_run that boots it.

set -euo pipefail

source "${BASH_SOURCE[0]%/*}/shell_driver.sh"

boot "$1" policy=round_robin cpus=3
grep -q '^A shell under round_robin on 3 CPUs' <<< "${answer}" || fail 'no greeting'

# A task goes where the fewest are.
enter 'spawn anna' '^anna: spawned on CPU [012]$'
for name in bert carl dora emil; do
  enter "spawn ${name}" "^${name}: spawned on CPU [012]$"
done
enter 'ps' '^  shell +running .* 0$' '^  hand 1 +running .* 1$' '^  hand 2 +running .* 2$' \
  '^  anna +(ready|running) .* [012]$' '^  idle .* 0$' '^  idle .* 1$' '^  idle .* 2$'
for cpu in 0 1 2; do
  grep -qE "^  (anna|bert|carl|dora|emil) .* ${cpu}$" <<< "${answer}" || fail "no task on CPU ${cpu}"
done
enter 'top' '^  ── CPU 0 ' '^  ── CPU 1 ' '^  ── CPU 2 ' '^  anna .* [0-9.]+ %$' '^  idle .* [0-9.]+ %$'
enter 'stats' '^  ── CPU 2 ' '; kicks sent [1-9][0-9]*, spared [0-9]+$'

# They obey wherever they are.
for name in anna bert carl dora emil; do
  enter "nice ${name} 20" "^${name}: 20.0 ms, was 5.00 ms$"
  enter "suspend ${name}" "^${name}: suspended$"
done
enter 'ps' '^  anna +suspended +20.0 ms' '^  emil +suspended +20.0 ms'
for name in anna bert carl dora emil; do
  enter "resume ${name}" "^${name}: not suspended any more$"
done

# A policy takes over on all CPUs, fifo's way out and in included.
for policy in eevdf fifo fixed_priority fifo mlfq edf; do
  enter "policy ${policy}" "^${policy} takes over 8 tasks$"
  enter 'ps' '^  anna ' '^  bert ' '^  carl ' '^  dora ' '^  emil '
done
enter 'nice anna 5' '^anna: 5.00 %, was 2.00 %$'
enter 'nice bert 5' '^bert: 5.00 %, was 2.00 %$'
enter 'nice carl 5' '^carl: 5.00 %, was 2.00 %$'

# A mutex, with its owner and who waits on different CPUs.
enter 'policy fixed_priority' '^fixed_priority takes over 8 tasks$'
enter 'lock low 110' '^low: spawned on CPU'
enter 'lock high 220' '^high: spawned on CPU'
enter 'kill low' '^low: (finished|told to finish)$'
enter 'kill high' '^high: (finished|told to finish)$'

for name in anna bert carl dora emil; do
  enter "kill ${name}" "^${name}: (finished|told to finish)$"
done
end
