#!/bin/bash
#
# Tests of tools/bazel: Bazel 4, and only that, gets the flags of tools/bazel4/bazelrc.

set -uo pipefail

wrapper="$(pwd)/tools/bazel"
work="${TEST_TMPDIR}"
result=0

# expect WANTED BAZEL: what BAZEL, run through the wrapper as `build //x`, is called with.
expect() {
  local output
  output="$(BAZEL_REAL="$2" PATH="${work}/path:/usr/bin:/bin" "${wrapper}" build //x 2>&1)"
  if [[ "${output}" != $1 ]]; then
    echo "FAIL $2: got '${output}', not '$1'"
    result=1
  fi
}

# bazel NAME VERSION: a program that says its version, or its arguments.
bazel() {
  mkdir -p "${work}/${1%/*}"
  printf '#!/bin/bash\n[[ "$1" == --version ]] && echo "bazel %s" || echo "%s: $*"\n' "$2" "$2" \
    > "${work}/$1"
  chmod +x "${work}/$1"
}

bazel debian/bazel-4 wrongly-asked
bazel named/bazel-9.1.0-linux-x86_64 wrongly-asked
bazel bazelisk/bin/bazel 8.4.0
bazel old/bin/bazel 4.2.3
bazel path/bazel-4 "from the path"

expect "wrongly-asked: --bazelrc=*/tools/bazel4/bazelrc build //x" "${work}/debian/bazel-4"
expect "wrongly-asked: build //x" "${work}/named/bazel-9.1.0-linux-x86_64"
expect "8.4.0: build //x" "${work}/bazelisk/bin/bazel"
expect "4.2.3: --bazelrc=*/tools/bazel4/bazelrc build //x" "${work}/old/bin/bazel"
expect "from the path: --bazelrc=*/tools/bazel4/bazelrc build //x" ""
expect "from the path: --bazelrc=*/tools/bazel4/bazelrc build //x" "${work}/not-there"

rm "${work}/path/bazel-4"
if output="$(BAZEL_REAL='' PATH="${work}/path" /bin/bash "${wrapper}" build 2>&1)"; then
  echo "FAIL: succeeded without any Bazel"
  result=1
elif [[ "${output}" != *"run ./bazelw instead"* ]]; then
  echo "FAIL: without any Bazel it says: ${output}"
  result=1
fi

exit "${result}"
