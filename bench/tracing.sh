# shellcheck shell=bash
# To be sourced: boots an image under QEMU with every instruction logged, for bench/trace to read.
#
# Wanted from the sourcing script: NM, the path of llvm-nm; and to run in its runfiles.

# What runs before a benchmark and takes long: left out of the log.
readonly BOOT_FUNCTIONS='^(_start|memset|kernel_main|kit_start|kit::.*|.*::(start|start_cpu|measure_rates)[(].*)$'

# trace_image MACHINE IMAGE SCRATCH COMMAND [TRACE-ARGUMENT...] -- [GUEST-ARGUMENT...]
#
# Prints what `trace COMMAND … symbols` makes of the log. SCRATCH is a directory that exists.
trace_image() {
  local machine="$1" image="$2" scratch="$3" command=("$4")
  shift 4
  while [[ "$1" != -- ]]; do
    command+=("$1")
    shift
  done
  shift

  "${NM}" -C --defined-only --numeric-sort "${image}" > "${scratch}/symbols"
  # From one function to the next, those of the boot left out, what follows without a gap in one piece.
  local ranges
  ranges="$(awk -v boot="${BOOT_FUNCTIONS}" '
    function flush() {
      if (begin != "" && begin != end) printf "%s0x%s..0x%s", (n++ ? "," : ""), begin, end
      begin = ""
    }
    {
      address = $1
      type = $2
      name = $0
      sub(/^[^ ]+ [^ ]+ /, "", name)
    }
    name ~ /^(bench_(begin|end|window|not_counted)|\$)/ { next }
    name == "__text_end" { end = address; flush(); exit }
    type ~ /^[tTwW]$/ && name !~ /^__text_start$/ {
      if (name ~ boot) {
        end = address
        flush()
      } else if (begin == "") {
        begin = address
      }
    }' "${scratch}/symbols")"

  mkfifo "${scratch}/log"
  local status=0 guest
  platforms/qemu/launch.sh --mode=run --cpu="${machine}" --image="${image}" --icount --option=-singlestep \
    --option=-d --option=exec,cpu,nochain --option=-dfilter --option="${ranges}" \
    --option=-D --option="${scratch}/log" -- "$@" < /dev/null > "${scratch}/serial" 2>&1 &
  guest=$!
  bench/trace "${command[@]}" "${scratch}/symbols" < "${scratch}/log" || status=$?
  rm "${scratch}/log"
  # A path that is found ends the reading before the guest has ended; nobody asks how that one ended then.
  if ! wait "${guest}" && [[ "${command[0]}" != path ]]; then
    status=1
  fi
  if ((status != 0)); then
    cat "${scratch}/serial" >&2
    echo "tracing ${image##*/} failed" >&2
  fi
  return "${status}"
}
