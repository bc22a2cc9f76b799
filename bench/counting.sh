# shellcheck shell=bash
# To be sourced, with the script's arguments after llvm-nm: what the scripts that print "name, tab, number" share.
#
# Sets NM, machines, and what the options want: arch, counted, masked, longest, scratch. The sourcing script runs in
# its runfiles.

# shellcheck source=bench/tracing.sh
source bench/tracing.sh

readonly MACHINES=(x86_64 aarch64 riscv64)

usage() {
  echo "usage: bazel run //bench:$(basename "$0" .sh) -- --arch=x86_64|aarch64|riscv64|all [--quick | --masked]" >&2
  exit 2
}

NM="$1"
shift
arch='' counted=1 masked=1 longest=0
for argument in "$@"; do
  case "${argument}" in
    --arch=*) arch="${argument#*=}" ;;
    --quick) masked='' ;;
    --masked) counted='' longest=12 ;;
    *) usage ;;
  esac
done
case "${arch}" in
  all) machines=("${MACHINES[@]}") ;;
  x86_64 | aarch64 | riscv64) machines=("${arch}") ;;
  *) usage ;;
esac

scratch="$(mktemp -d "${TEST_TMPDIR:-${TMPDIR:-/tmp}}/counting.XXXXXX")"
trap 'rm -rf "${scratch}"' EXIT

# boot NAME: what the image has counted, without the firmware's banner. For the machine of the moment.
boot() {
  local log status=0
  log="$("${PWD}/bench/$1_${machine}" < /dev/null)" || status=$?
  log="${log//$'\r'/}"
  if ((status != 0)); then
    printf '%s\n' "${log}" >&2
    echo "$1 failed on ${machine}" >&2
    exit 1
  fi
  grep '^# ' <<< "${log}" >&2 || true
  grep -P '^[a-z_0-9]+\t[0-9]+$' <<< "${log}"
}

# longest_stretch NAME IMAGE THING=NUMBER...: prints the name and the longest masked stretch that the image has with
# any of these guest arguments; says for each which stretch it was, and if it depends on the number of a thing.
longest_stretch() {
  local name="$1" elf="bench/$2_${machine}.elf" most=0 argument thing this begin end
  local -A first=()
  shift 2
  for argument in "$@"; do
    thing="${argument%=*}"
    mkdir "${scratch}/${machine}.${argument}"
    trace_image "${machine}" "${elf}" "${scratch}/${machine}.${argument}" stretches -- "${argument}" \
      > "${scratch}/stretches"
    IFS=$'\t' read -r this begin end _ < "${scratch}/stretches"
    echo "# ${name}: ${this} with ${argument#*=} ${thing}, from ${begin} to ${end}" >&2
    if ((longest > 0)); then
      sed -n "1,${longest}s/^/# /p" "${scratch}/stretches" >&2
    fi
    if ((this != ${first[${thing}]:=${this}})); then
      echo "# ${name} depends on the number of ${thing}" >&2
    fi
    if ((this > most)); then
      most="${this}"
    fi
  done
  printf '%s\t%d\n' "${name}" "${most}"
}
