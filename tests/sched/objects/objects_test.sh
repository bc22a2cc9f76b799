#!/bin/bash
#
# What object files may not contain: static constructors, and, unless "--globals" says that they are the
# kernel's own, mutable globals of any kind.
# Arguments: readelf, the flag "--globals", "--no-globals" or "--offender", and archives or objects.

set -uo pipefail

readelf="$1" mode="$2"
shift 2
result=0
found=""

for file in "$@"; do
  sections="$("${readelf}" --sections --wide "${file}")" || exit 1
  # Name and size of each section, whatever is in front of the name.
  list="$(sed -n 's/^ *\[ *[0-9]*\] \([^ ]\{1,\}\) *[A-Z_]* *[0-9a-f]\{16\} [0-9a-f]* \([0-9a-f]*\) .*/\1 \2/p' \
    <<< "${sections}")"
  if ! grep -q '^\.text' <<< "${list}" && [[ "${mode}" == --no-globals ]]; then
    echo "FAIL ${file}: has no code at all, so the test sees nothing"
    result=1
  fi
  unwanted='^\.(init_array|ctors|preinit_array)'
  if [[ "${mode}" != --globals ]]; then
    unwanted+='|^\.(data|bss|sdata|sbss|tdata|tbss|ldata|lbss)'
  fi
  here=""
  # .data.rel.ro is constant once it is linked.
  while read -r name size; do
    [[ "${name}" =~ ${unwanted} && ! "${name}" =~ ^\.data\.rel\.ro && "${size}" =~ [1-9a-f] ]] || continue
    here+="${file}: ${name} has 0x${size#"${size%%[!0]*}"} bytes"$'\n'
  done <<< "${list}"
  if [[ "${mode}" == --offender ]]; then
    for section in .init_array .data .bss; do
      if [[ "${here}" != *" ${section}"* ]]; then
        echo "FAIL ${file}: its ${section} was not found, only: ${here}"
        result=1
      fi
    done
  else
    found+="${here}"
  fi
done

if [[ -n "${found}" ]]; then
  echo "FAIL:"
  echo -n "${found}"
  result=1
fi
exit "${result}"
