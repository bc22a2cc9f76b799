#!/bin/bash
#
# Shows that images are the same bytes from two checkouts at different paths, this one and a copy, and name no
# directory of the machine they were built on. Not a test target, because it runs Bazel; .ci/run runs it.
#
#   tests/platforms/reproducible.sh //kernel_demo:x86_64 ...
#
# Each target is a qemu_run: the image is its <name>.elf.

set -euo pipefail

checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
scratch="$(mktemp -d "${TMPDIR:-/tmp}/reproducible.XXXXXX")"
copy="${scratch}/a/rather/longer/path/to/the/other"

cleanup() {
  (cd "${copy}/src" && ./bazelw --output_base="${copy}/out" shutdown) > /dev/null 2>&1 || true
  chmod -R u+w "${scratch}"
  rm -rf "${scratch}"
}
trap cleanup EXIT

mkdir -p "${copy}/src"
tar -C "${checkout}" --exclude='./bazel-*' --exclude=./.git -cf - . | tar -C "${copy}/src" -xf -

# With the flags of .ci/run, so that here it is built already.
flags=(--config=ci)
(cd "${checkout}" && ./bazelw build "${flags[@]}" "$@")
(cd "${copy}/src" && ./bazelw --output_base="${copy}/out" build "${flags[@]}" "$@")

# The default mode has debug information, where paths like to hide.
result=0
for target in "$@"; do
  elf="${target#//}"
  elf="bazel-bin/${elf/://}.elf"
  if ! cmp "${checkout}/${elf}" "${copy}/src/${elf}"; then
    echo "${target} differs between two checkouts"
    result=1
  fi
  # A directory of this machine: at the beginning of a string in the file.
  if paths="$(tr -c '[:print:]' '\n' < "${checkout}/${elf}" |
    grep -E '^/(build|home|opt|proc|root|tmp|usr|var)/|execroot|sandbox/')"; then
    echo "${target} names directories of this machine:"
    echo "${paths}"
    result=1
  fi
  echo "${target}: $(sha256sum < "${checkout}/${elf}")"
done
exit "${result}"
