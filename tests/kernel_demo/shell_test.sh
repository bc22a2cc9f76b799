#!/bin/bash
#
# Types at the demo kernel's shell, on one CPU. Argument: the qemu_run that boots it.

set -euo pipefail

source "${BASH_SOURCE[0]%/*}/shell_driver.sh"

boot "$1" policy=round_robin
grep -q '^A shell under round_robin' <<< "${answer}" || fail 'no greeting'

enter 'help' '^  ps +the tasks' '^  spawn +\[name\] \[turn in ms\]' '^  exit '
enter 'ps' '^  shell +running +5.00 ms ' '^  idle '
enter '' '^'

# Tasks come, run and go.
enter 'spawn' '^task1: spawned$'
enter 'spawn anna 10' '^anna: spawned$'
enter 'ps' '^  task1 +ready +5.00 ms' '^  anna +ready +10.0 ms'
enter 'nice anna 20' '^anna: 20.0 ms, was 10.0 ms$'
enter 'top' '^  shell .* [0-9.]+ %$' '^  anna .* [0-9.]+ %$' '^  idle .* [0-9.]+ %$'
enter 'kill task1' '^task1: (finished|told to finish)$'
enter 'spawn anna' '^anna: there is a task of this name$'

# They stand still as often as they are told to.
enter 'suspend anna' '^anna: suspended$'
enter 'suspend anna' '^anna: suspended$'
enter 'ps' '^  anna +suspended +20.0 ms'
enter 'resume anna' '^anna: is still suspended$'
enter 'resume anna' '^anna: not suspended any more$'
enter 'resume anna' '^anna: was not suspended$'
enter 'suspend' '^usage: suspend name$'
enter 'resume shell' '^that is the shell$'

# Processes are tasks, with an address space each.
enter 'run' '^programs: hello pattern pool$'
enter 'run hello 60' '^hello: process 1$'
enter 'ps' '^  hello.1 +blocked +5.00 ms ' '^    process 1 of hello: page table 0x[0-9a-f]+000, pc 0x40[0-9a-f]{4}, sp 0x5f'
enter 'run pattern 10' '^pattern: process 2$'
enter 'kill hello.1' '^hello.1: finished$'
enter 'run goodbye' '^goodbye: no such program; `run` lists them$'
enter 'run hello more' '^more: the argument is a number below 2'

# A line is edited before it is run.
enter 'helx\bp' '^  ps +the tasks'
press 'kill anna\003' '\^C$'
enter 'ps' '^  anna '

# What is wrong is said.
enter 'frobnicate' '^frobnicate: no such command'
enter 'kill' '^usage: kill name$'
enter 'kill nobody' '^nobody: no such task'
enter 'kill shell' '^that is the shell'
enter 'nice anna 0' '^0: turn in ms is a number from 1 to 1000$'
enter 'nice anna many' '^many: turn in ms is'
enter 'spawn a 1 2' '^2: that is a word too many$'
enter 'spawn a_name_of_sixteen' '^a_name_of_sixteen: a name has at most 15 characters$'
enter 'crash softly' '^softly: no such way$' '^  overflow '
enter 'policy chance' '^chance: no such policy'

# The pool has an end.
for ((i = 0; i < 22; ++i)); do
  enter "spawn t${i} 1" "^t${i}: spawned$"
done
enter 'spawn' ': all tasks of the pool are in use$'
for ((i = 0; i < 22; ++i)); do
  enter "kill t${i}" "^t${i}: (finished|told to finish)$"
done

# Other policies take over, and the tasks go on under them.
enter 'policy' '^round_robin; there are fifo round_robin fixed_priority mlfq stride lottery vtime eevdf edf$'
enter 'policy fixed_priority' '^fixed_priority takes over 2 tasks$'
enter 'ps' '^  shell +running +255 ' '^  anna +ready +100 '
enter 'spawn bert 200' '^bert: spawned$'
enter 'nice bert 254' '^bert: 254, was 200$'
enter 'nice bert 255' '^255: priority is a number from 0 to 254$'

# Who waits for a mutex lends its owner what it counts for.
enter 'kill bert' '^bert: finished$'
enter 'lock low 110' '^low: spawned$'
enter 'lock high 220' '^high: spawned$'
enter 'ps' '^  low +ready +110 +220 ' '^  high +blocked +220 +220 '
enter 'nice high 230' '^high: 230, was 220$'
enter 'suspend high' '^high: suspended$'
enter 'ps' '^  low +ready +110 +230 ' '^  high +susp., blocked +230 +230 '
enter 'resume high' '^high: not suspended any more$'
enter 'kill low' '^low: told to finish$'  # it gives the mutex to who is more urgent
enter 'ps' '^  high +ready +230 +230 '
enter 'kill high' '^high: finished$'
enter 'spawn bert 254' '^bert: spawned$'

enter 'policy eevdf' '^eevdf takes over 3 tasks$'
enter 'nice bert 4096' '^bert: 4096, was 1024$'
enter 'top' '^  bert '
enter 'policy edf' '^edf takes over 3 tasks$'
enter 'ps' '^  shell +running +10.00 %' '^  bert +ready +2.00 %'
enter 'nice anna 50' '^anna: 50.00 %, was 2.00 %$'
enter 'nice bert 50' '^bert: refused$'
for policy in mlfq stride lottery vtime; do
  enter "policy ${policy}" "^${policy} takes over 3 tasks$"
  enter 'ps' '^  anna +ready ' '^  bert +ready '
done
enter 'policy fifo' '^fifo takes over 3 tasks$'
enter 'ps' '^  anna +ready +in turn' '^  bert +ready +in turn'
enter 'nice bert 1' '^1: under fifo a task has no attributes$'
enter 'kill anna' '^anna: finished$'
enter 'kill bert' '^bert: finished$'
enter 'stats' '^  busy .*, idle ' '^  switches: [0-9]+ voluntary' 'finished tasks [23][0-9]$' '^  below '

# Nothing runs now: the CPU idles, and the console's interrupt wakes the shell.
enter 'policy round_robin' '^round_robin takes over 1 task$'
enter 'ps' '^  shell +running'

end
