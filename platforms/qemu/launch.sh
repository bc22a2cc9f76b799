#!/bin/bash
#
# Boots one kernel image under QEMU and judges how it ended. Called by the scripts that qemu_run and qemu_test
# write (rules.bzl); the flags below are their interface.
#
# A guest ends QEMU itself, with status 33 for success and 35 for failure: numbers that nothing else ends with.
# A reset, a power-off or QEMU's own end gives another one, most often 0, and counts as a failure.
#   x86_64   isa-debug-exit at port 0xf4: write 0x10 for 33, 0x11 for 35
#   aarch64  semihosting SYS_EXIT_EXTENDED with {0x20026, status}
#   riscv64  the test finisher at 0x100000: write (status << 16) | 0x3333

set -uo pipefail

readonly SUCCESS=33 FAILURE=35

mode=run cpu='' image='' memory=128M cpus=1 cpus_argument='' icount='' seconds=30 expect=''
options=() one_cpu_options=()
while (($# > 0)); do
  case "$1" in
    --mode=*) mode="${1#*=}" ;;
    --cpu=*) cpu="${1#*=}" ;;
    --image=*) image="${1#*=}" ;;
    --memory=*) memory="${1#*=}" ;;
    --cpus=*) cpus="${1#*=}" ;;
    --cpus-argument=*) cpus_argument="${1#*=}" ;;
    --icount) icount=1 ;;
    --timeout=*) seconds="${1#*=}" ;;
    --expect=*) expect="${1#*=}" ;;
    --option=*) options+=("${1#*=}") ;;
    --one-cpu-option=*) one_cpu_options+=("${1#*=}") ;;
    --)
      shift
      break
      ;;
    *)
      echo "launch.sh: unknown flag $1" >&2
      exit 2
      ;;
  esac
  shift
done
# What is left are the guest's arguments. It finds them, joined by spaces, where its machine has the kernel's
# command line: PVH's start_info on x86_64, /chosen/bootargs in the device tree elsewhere. Where QEMU lets us,
# they are in the fw_cfg file opt/baton/args too (QEMU 7.2's riscv64 machine makes its fw_cfg too late for that).
arguments="$*"
if [[ -n "${cpus_argument}" ]]; then
  for word in ${arguments}; do
    [[ ! "${word}" =~ ^"${cpus_argument}"=([1-9][0-9]?)$ ]] || cpus="${BASH_REMATCH[1]}"
  done
fi

qemu=("qemu-system-${cpu}" -kernel "${image}" -m "${memory}" -smp "${cpus}" -no-reboot -nodefaults
  -display none -monitor none -serial stdio)
case "${cpu}" in
  x86_64)
    package=qemu-system-x86
    qemu+=(-machine q35 -cpu max -device isa-debug-exit,iobase=0xf4,iosize=0x04)
    ;;
  aarch64)
    package=qemu-system-arm
    qemu+=(-machine virt,gic-version=3 -cpu cortex-a72 -semihosting-config enable=on,target=native)
    ;;
  riscv64)
    package=qemu-system-misc
    qemu+=(-machine virt -cpu rv64,sstc=true)
    ;;
  *)
    echo "launch.sh: no machine for '${cpu}'" >&2
    exit 2
    ;;
esac
if [[ -n "${arguments}" ]]; then
  qemu+=(-append "${arguments}")
  if [[ "${cpu}" != riscv64 ]]; then
    # QEMU splits this option at commas; a doubled one stands for itself.
    qemu+=(-fw_cfg "name=opt/baton/args,string=${arguments//,/,,}")
  fi
fi
if [[ -n "${icount}" ]]; then
  qemu+=(-icount shift=0,sleep=off)
elif ((cpus > 1)); then
  qemu+=(-accel tcg,thread=multi)
else
  qemu+=("${one_cpu_options[@]}")
fi
qemu+=("${options[@]}")

if ! command -v "${qemu[0]}" > /dev/null; then
  echo "${qemu[0]} is not on the PATH. Debian's package is ${package}; ./bazelw installs it." >&2
  exit 1
fi

# QEMU runs beside this shell, so that a signal that comes to the shell alone ends QEMU too.
child='' interrupted=''
interrupt() {
  interrupted=1
  [[ -z "${child}" ]] || kill -TERM "${child}" 2> /dev/null
}
trap interrupt INT TERM HUP

wait_for_child() {
  local result=0
  wait "${child}" || result=$?
  while kill -0 "${child}" 2> /dev/null; do
    result=0
    wait "${child}" || result=$?
  done
  return "${result}"
}

if [[ "${mode}" == run ]]; then
  "${qemu[@]}" <&0 &
  child=$!
  wait_for_child
  status=$?
  if [[ -n "${interrupted}" ]]; then
    echo "stopped by a signal" >&2
    exit 130
  fi
  case "${status}" in
    "${SUCCESS}") exit 0 ;;
    "${FAILURE}") echo "the kernel ended with a failure (status ${FAILURE})" >&2 ;;
    0) echo "the machine ended without a result: triple fault, reset or power-off (status 0)" >&2 ;;
    *) echo "QEMU ended with status ${status}, which is neither success nor failure of a kernel" >&2 ;;
  esac
  exit 1
fi

# A test: the serial port goes to a file, QEMU's own messages to another. Nobody types.
scratch="$(mktemp -d "${TEST_TMPDIR:-${TMPDIR:-/tmp}}/qemu.XXXXXX")"
trap 'rm -rf "${scratch}"' EXIT
timeout --kill-after=5 "${seconds}" "${qemu[@]}" \
  < /dev/null > "${scratch}/serial" 2> "${scratch}/messages" &
child=$!
wait_for_child
status=$?

# The log is what the kernel wrote: without carriage returns and without the firmware's own banner (OpenSBI's
# ends with the line below).
tr -d '\r' < "${scratch}/serial" > "${scratch}/all"
if grep -q '^Boot HART MEDELEG' "${scratch}/all"; then
  sed '1,/^Boot HART MEDELEG/d' "${scratch}/all" > "${scratch}/log"
else
  cp "${scratch}/all" "${scratch}/log"
fi
if [[ -n "${TEST_UNDECLARED_OUTPUTS_DIR:-}" ]]; then
  cp "${scratch}/all" "${TEST_UNDECLARED_OUTPUTS_DIR}/serial.log"
fi

reason=''
if [[ -n "${interrupted}" ]]; then
  reason="interrupted by a signal"
elif ((status == 124 || (status == 137 && SECONDS >= seconds))); then
  # 137: it had to be killed. The kernel of this machine may kill QEMU too, but sooner.
  reason="hang: no end within ${seconds} s"
elif ((status == FAILURE)); then
  reason="panic: the kernel ended with status ${FAILURE}"
elif grep -q '^PANIC' "${scratch}/log"; then
  reason="panic: the log has a line that begins with PANIC (status ${status})"
elif ((status != SUCCESS)); then
  reason="triple fault or early exit: QEMU ended with status ${status}"
elif ! grep -q '[^[:space:]]' "${scratch}/log"; then
  reason="empty log: the kernel ended with success but wrote nothing"
elif [[ -n "${expect}" ]] && ! grep -qE -- "${expect}" "${scratch}/log"; then
  reason="unexpected log: no line matches ${expect}"
fi

echo "----- serial log of ${image##*/} ${arguments}"
cat "${scratch}/log"
echo "----- end of the serial log"
if [[ -s "${scratch}/messages" ]]; then
  echo "----- QEMU says"
  cat "${scratch}/messages"
fi
if [[ -n "${reason}" ]]; then
  echo "FAILED: ${reason}"
  exit 1
fi
echo "PASSED"
