#!/bin/bash
#
# What a default linker script promises: a static constructor does not link, with a message that says what to
# do; and the parts of an image are where its symbols say, on pages of their own.
# Arguments: lld, readelf, the script, an archive with a static constructor, and an image's qemu_run.

set -uo pipefail

lld="$1" readelf="$2" script="$3" archive="$4" elf="$5.elf"
result=0

fail() {
  echo "FAIL $*"
  result=1
}

# The archive's symbols that other objects define do not matter here.
if output="$("${lld}" -T "${script}" --unresolved-symbols=ignore-all --whole-archive "${archive}" \
  -o "${TEST_TMPDIR}/image" 2>&1)"; then
  fail "a static constructor links"
elif [[ "${output}" != *"no static constructors: make the object constinit"* ]]; then
  fail "a static constructor is refused with another message: ${output}"
fi

# symbol NAME: its value, in decimal.
symbol() {
  local value
  value="$("${readelf}" -sW "${elf}" | awk -v name="$1" '$8 == name { print $2 }')"
  [[ -n "${value}" ]] || fail "the image has no symbol $1" >&2
  echo "$((16#${value:-0}))"
}

start="$(symbol __image_start)"
previous="${start}"
for name in __text_start __text_end __rodata_start __rodata_end __data_start __bss_start __bss_end \
  __image_end; do
  value="$(symbol "${name}")"
  ((value >= previous)) || fail "${name} is below the symbol before it"
  ((value % 4096 == 0)) || fail "${name} is not at the beginning of a page"
  previous="${value}"
done
entry="$("${readelf}" -hW "${elf}" | awk '/Entry point/ { print $4 }')"
((entry == $(symbol _start))) || fail "the entry point ${entry} is not _start"

case "${script}" in
  *aarch64*) wanted=0x40200000 ;;
  *riscv64*) wanted=0x80200000 ;;
  *x86_64*) wanted=0x1000000 ;;
esac
((start == wanted)) || fail "__image_start is not ${wanted}"

# No part is both writable and executable.
if [[ "$("${readelf}" -lW "${elf}")" == *RWE* ]]; then
  fail "a part of the image is writable and executable"
fi
exit "${result}"
