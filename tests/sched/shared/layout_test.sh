#!/bin/bash
#
# What the layout of a shared scheduler's image refuses: data besides the partition, and addresses that depend on where
# the image lies; where the same without them links.
# Arguments: clang, lld, the layout.

set -uo pipefail

clang="$1" lld="$2" script="$3"
result=0

# link NAME: an image of the functions that the header names, and of what stands at the input.
link() {
  {
    echo '__attribute__((section(".rodata.capacity"), used)) static const unsigned capacity = 400;'
    for name in add_task peek_task next_task claim_task delete_task set_task_state delete_task_by set_task_state_by \
      sweep; do
      echo "int baton_shared_${name}(void) { return 0; }"
    done
    cat
  } > "${TEST_TMPDIR}/$1.c"
  "${clang}" --target=x86_64-none-elf -ffreestanding -fpie -O1 -c "${TEST_TMPDIR}/$1.c" -o "${TEST_TMPDIR}/$1.o" &&
    "${lld}" -T "${script}" -pie --no-dynamic-linker --oformat=binary "${TEST_TMPDIR}/$1.o" \
      -o "${TEST_TMPDIR}/$1" 2>&1
}

# refuse NAME MESSAGE: it does not link, because of that.
refuse() {
  local output
  if output="$(link "$1")"; then
    echo "FAIL $1 links"
    result=1
  elif [[ "${output}" != *"$2"* ]]; then
    echo "FAIL $1 is refused with another message: ${output}"
    result=1
  fi
}

link nothing_else < /dev/null || result=1
link constants <<< 'static const int kTable[] = {3, 1, 4}; int at(int i) { return kTable[i]; }' || result=1

readonly OTHERS='the image has data besides the partition, or addresses that depend on where it is'
refuse variable "${OTHERS}" <<< 'int variable = 3;'
refuse zero "${OTHERS}" <<< 'int zero; int get(void) { return zero++; }'
refuse pointer "${OTHERS}" <<< 'const char* const pointer = "a";'
exit "${result}"
