#!/bin/bash
#
# Tests of bazelw: machines are directories that BAZELW_ROOT names, and the programs that it would run (apt-get,
# sudo, id, Bazel) are scripts that write down how they were called.

set -uo pipefail

bazelw="$(pwd)/bazelw"
work="${TEST_TMPDIR}"
result=0

fail() {
  echo "FAIL ${case}: $*"
  echo "  exit code ${code}; it said:"
  sed 's/^/    /' "${machine}/output"
  echo "  it ran:"
  sed 's/^/    /' "${machine}/calls"
  result=1
}

# new_machine NAME OS VERSION: a machine with nothing on it.
new_machine() {
  case="$1"
  machine="${work}/$1"
  mkdir -p "${machine}/bin" "${machine}/etc" "${machine}/usr/bin"
  printf 'NAME="x"\nID=%s\nVERSION_ID="%s"\n' "$2" "$3" > "${machine}/etc/os-release"
  : > "${machine}/calls"
  program id 'echo 1000'
}

# program NAME [LINE]: puts a program on its PATH that writes its call down, then runs LINE.
program() {
  program_at "${machine}/bin/$1" "${2:-}"
}

program_at() {
  mkdir -p "${1%/*}"
  printf '#!/bin/bash\n[[ "${0##*/}" == id ]] || echo "${0##*/} $*" >> "%s"\n%s\n' \
    "${machine}/calls" "${2:-}" > "$1"
  chmod +x "$1"
}

# What bazelw looks for, read from bazelw itself.
packages() {
  grep -E '^[a-z0-9+-]+\|/' "${bazelw}"
}

install_all_but() {
  local package file reason
  while IFS='|' read -r package file reason; do
    [[ " $* " == *" ${package} "* ]] || program_at "${machine}${file}"
  done < <(packages)
}

run() {
  BAZELW_ROOT="${machine}" PATH="${machine}/bin" /bin/bash "${bazelw}" "$@" \
    > "${machine}/output" 2>&1 < /dev/null
  code=$?
}

said() { grep -qF -- "$1" "${machine}/output" || fail "it does not say: $1"; }
ran() { grep -qxF -- "$1" "${machine}/calls" || fail "it did not run: $1"; }
exits() { ((code == $1)) || fail "exit code ${code} instead of $1"; }

# All is there: Bazel is run with the arguments as they are, nothing else is, and nothing is said.
new_machine complete debian 12
install_all_but
run test '//a b' --flag
exits 0
ran "bazel test //a b --flag"
(($(wc -l < "${machine}/calls") == 1)) || fail "it ran more than Bazel"
[[ ! -s "${machine}/output" ]] || fail "it says something"

# Bazel's own exit code is the script's, and an argument with a space stays one.
new_machine bazel_fails debian 12
install_all_but
program_at "${machine}/usr/bin/bazel" 'exit $#'
run test '//a b' --flag
exits 3

# Each package alone, as root: it is named with its reason and installed, then Bazel runs.
while IFS='|' read -r package file reason; do
  new_machine "missing_${package}" debian 12
  install_all_but "${package}" bazel-bootstrap
  program id 'echo 0'
  program env 'shift; exec "$@"'
  # What the installation brings.
  program_at "${machine}/package/bazel"
  program apt-get "[[ \"\$1\" != install ]] || /bin/cp '${machine}/package/bazel' '${machine}/usr/bin'"
  run build //x
  exits 0
  said "${package} "
  said "${reason}"
  ran "apt-get update"
  if [[ "${package}" == bazel-bootstrap ]]; then
    ran "apt-get install -y --no-install-recommends bazel-bootstrap"
  else
    ran "apt-get install -y --no-install-recommends bazel-bootstrap ${package}"
  fi
  ran "bazel build //x"
done < <(packages)

# Not root: with sudo, which is told not to ask, as there is no terminal.
new_machine with_sudo debian 12
install_all_but lld-19
program sudo 'shift; exec "$@"'
program env 'shift; exec "$@"'
program apt-get
run build
exits 0
ran "sudo -n apt-get update"
ran "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends lld-19"
ran "bazel build"

# Not root and no sudo: the exact command, and no Bazel.
new_machine without_sudo debian 12
install_all_but lld-19 qemu-system-arm
run build
exits 1
said "there is no sudo"
said "  apt-get update && apt-get install -y --no-install-recommends lld-19 qemu-system-arm"
! grep -q '^bazel' "${machine}/calls" || fail "it ran Bazel nevertheless"

# apt-get fails: the same.
new_machine apt_fails debian 12
install_all_but lld-19
program id 'echo 0'
program apt-get 'exit 100'
run build
exits 1
said "the installation failed"
said "  apt-get update && apt-get install -y --no-install-recommends lld-19"
! grep -q '^bazel' "${machine}/calls" || fail "it ran Bazel nevertheless"

# Another system, all there: Bazel of the PATH, or Bazelisk.
for bazel in bazel bazelisk; do
  new_machine "other_${bazel}" fedora 44
  for tool in "${bazel}" clang ld.lld-19 llvm-ar qemu-system-x86_64 qemu-system-aarch64 \
    qemu-system-riscv64; do
    program "${tool}"
  done
  run test //...
  exits 0
  ran "${bazel} test //..."
  [[ ! -s "${machine}/output" ]] || fail "it says something"
done

# Another system with Bazel alone: each missing tool with its version; what can be done is.
new_machine other_tools_missing debian 13
program bazel
run query //...
exits 0
ran "bazel query //..."
for tool in "clang (LLVM 19" "ld.lld (LLVM 19" "llvm-ar (LLVM 19" "qemu-system-x86_64 (QEMU 7.2" \
  "qemu-system-aarch64 (QEMU 7.2" "qemu-system-riscv64 (QEMU 7.2"; do
  said "missing: ${tool}"
done

# Another system without Bazel.
new_machine other_no_bazel arch ''
run query
exits 1
said "missing: bazel (8 or 9) or bazelisk"

# No os-release at all, as on other kernels.
new_machine no_os_release x x
rm "${machine}/etc/os-release"
program bazel
run version
exits 0
ran "bazel version"

exit "${result}"
