#!/bin/bash
#
# Shows that images are the same bytes from two checkouts at different paths, and name no directory of the
# machine they were built on. Not a test target, because it runs Bazel; .ci/run runs it.
#
#   tests/platforms/reproducible.sh //kernel_demo:x86_64 ...
#
# Each target is a qemu_run: the image is its <name>.elf.

set -euo pipefail

checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
scratch="$(mktemp -d "${TMPDIR:-/tmp}/reproducible.XXXXXX")"
first="${scratch}/one"
second="${scratch}/a/rather/longer/path/to/two"

cleanup() {
  local tree
  for tree in "${first}" "${second}"; do
    if [[ -d "${tree}/src" ]]; then
      (cd "${tree}/src" && ./bazelw --output_base="${tree}/out" shutdown) > /dev/null 2>&1 || true
    fi
  done
  chmod -R u+w "${scratch}"
  rm -rf "${scratch}"
}
trap cleanup EXIT

for tree in "${first}" "${second}"; do
  mkdir -p "${tree}/src"
  tar -C "${checkout}" --exclude='./bazel-*' --exclude=./.git -cf - . | tar -C "${tree}/src" -xf -
done

for tree in "${first}" "${second}"; do
  (cd "${tree}/src" && ./bazelw --output_base="${tree}/out" build --noshow_progress "$@")
done

# The default mode has debug information, where paths like to hide.
result=0
for target in "$@"; do
  elf="${target#//}"
  elf="bazel-bin/${elf/://}.elf"
  if ! cmp "${first}/src/${elf}" "${second}/src/${elf}"; then
    echo "${target} differs between two checkouts"
    result=1
  fi
  # A directory of this machine: at the beginning of a string in the file.
  if paths="$(tr -c '[:print:]' '\n' < "${first}/src/${elf}" |
    grep -E '^/(build|home|opt|proc|root|tmp|usr|var)/|execroot|sandbox/')"; then
    echo "${target} names directories of this machine:"
    echo "${paths}"
    result=1
  fi
  echo "${target}: $(sha256sum < "${first}/src/${elf}")"
done
exit "${result}"
