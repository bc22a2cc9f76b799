#!/bin/bash
#
# What bench/trace makes of a log: on each machine's words for "masked", on lines that take an instruction back,
# on stretches that are the benchmark's own, and on logs that are not what they should be.
# Argument: trace.

set -uo pipefail

trace="${PWD}/$1"
cd "${TEST_TMPDIR}" || exit
result=0

fail() {
  echo "FAIL $*"
  result=1
}

cat > symbols << 'SYMBOLS'
0000000000001000 T kernel::work(int)
0000000000001004 t bench_window_open_0
0000000000001020 t bench_not_counted_1
0000000000001044 t bench_begin_2
0000000000001050 t bench_end_3
000000000000107c t bench_window_close_4
0000000000002000 t kit_trap_entry
0000000000002010 W sched::Scheduler<hal::Machine<(Timer)0>, sched::Fifo>::yield()
0000000000003000 t $x
SYMBOLS

# log MACHINE ADDRESS... : an instruction each; a ! before the address: masked; a < after it: taken back.
log() {
  local machine="$1" at masked
  shift
  for at in "$@"; do
    masked=''
    if [[ "${at}" == '!'* ]]; then
      masked=1
      at="${at#!}"
    fi
    echo "Trace 0: 0x7f00b8000100 [0000000000000000/000000000000${at%<}/00000121/ff020201] name"
    case "${machine}${masked}" in
      riscv64) printf ' pc       %s\n mhartid  0\n mstatus  0000000a00000182\n' "${at%<}" ;;
      riscv641) printf ' pc       %s\n mhartid  0\n mstatus  0000000a00000180\n' "${at%<}" ;;
      aarch64) printf ' PC=%s X00=0\nPSTATE=60000345 -ZC- EL1h\n' "${at%<}" ;;
      aarch641) printf ' PC=%s X00=0\nPSTATE=600003c5 -ZC- EL1h\n' "${at%<}" ;;
      x86_64) echo "RIP=${at%<} RFL=00000246 [---Z-P-] CPL=0 II=0" ;;
      x86_641) echo "RIP=${at%<} RFL=00000046 [---Z-P-] CPL=0 II=0" ;;
    esac
    if [[ "${at}" == *'<' ]]; then
      echo "Stopped execution of TB chain before 0x7f00b8000100 [000000000000${at%<}] name"
    fi
  done
}

# expect WHAT EXPECTED COMMAND... < LOG
expect() {
  local what="$1" expected="$2" output
  shift 2
  output="$("$@" 2>&1)"
  if [[ "${output}" != "${expected}" ]]; then
    fail "${what}: expected"
    printf '%s\nand got\n%s\n' "${expected}" "${output}"
  fi
}

# Two stretches in the window, one before it, one that comes by bench_not_counted; the longest of each beginning.
for machine in riscv64 aarch64 x86_64; do
  log "${machine}" '!1000' '!1000' '!1000' 1004 '!1008' '!100c' 1010 '!1008' 1010 '!1014' '!2010' '!2014' '!1018' \
    1010 '!101c' '!1020' '!1024' '!1028' '!102c' 1030 107c '!1000' > log
  expect "stretches on ${machine}" \
    "$(printf '4\tkernel::work+0x14\tkernel::work+0x18\twork 1, yield 2, work 1\n2\tkernel::work+0x8\tkernel::work+0xc\twork 2')" \
    "${trace}" stretches symbols < log
done

# An interrupt begins a stretch of its own, although nothing unmasked was executed before it.
log riscv64 1004 '!1008' '!100c' '!2000' 107c > log
expect "an interrupt's stretch" \
  "$(printf '2\tkernel::work+0x8\tkernel::work+0xc\twork 2\n1\tkit_trap_entry+0x0\tkit_trap_entry+0x0\tkit_trap_entry 1')" \
  "${trace}" stretches symbols < log

# What was about to be executed, and then was not, does not count.
log riscv64 1004 '!1008' '!100c<' '!100c' 1010 107c > log
expect "an instruction that was taken back" "$(printf '2\tkernel::work+0x8\tkernel::work+0xc\twork 2')" \
  "${trace}" stretches symbols < log
log riscv64 1004 '!1008' '!100c' 1010 107c | sed 's/^Trace.*100c.*/&\ncpu_io_recompile: rewound execution of TB to 100c\n&/' > log
expect "an instruction that was compiled again" "$(printf '2\tkernel::work+0x8\tkernel::work+0xc\twork 2')" \
  "${trace}" stretches symbols < log

# Paths: the second operation is another one; from the begin label to before the end label.
log riscv64 1040 1044 1048 1050 1044 '!2010' 104c 1050 > log
expect "the first path" "$(printf '1044\tkernel::work+0x44\n1048\tkernel::work+0x48')" \
  "${trace}" path 0 symbols < log
expect "the second path" "$(printf '1044\tkernel::work+0x44\n2010\tsched::Scheduler::yield+0x0\n104c\tkernel::work+0x4c')" \
  "${trace}" path 1 symbols < log

# refuses MESSAGE COMMAND... < LOG
refuses() {
  local message="$1" output
  shift
  if output="$("$@" 2>&1)"; then
    fail "accepted: ${message}"
  elif [[ "${output}" != *"${message}"* ]]; then
    fail "said '${output}' and not '${message}'"
  fi
}
refuses "there are only 2 operations" "${trace}" path 2 symbols < log
log riscv64 1000 '!1008' > log
refuses "the window was never opened" "${trace}" stretches symbols < log
log riscv64 1004 '!1008' > log
refuses "the window was never closed" "${trace}" stretches symbols < log
log riscv64 1004 1008 107c > log
refuses "interrupts were never masked" "${trace}" stretches symbols < log
log none 1004 1008 > log
refuses "the log has no registers" "${trace}" stretches symbols < log
echo "Trace 0: nonsense" > log
refuses "a line that is not understood" "${trace}" stretches symbols < log
log riscv64 1004 | sed 's/mstatus .*/mstatus  what/' > log
refuses "a register that is not understood" "${trace}" stretches symbols < log
refuses "cannot read nowhere" "${trace}" stretches nowhere < log
: > empty
refuses "no functions in empty" "${trace}" stretches empty < log
refuses "usage:" "${trace}" < log
refuses "usage:" "${trace}" path many symbols < log
exit "${result}"
