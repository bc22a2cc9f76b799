# shellcheck shell=bash
# To be sourced, with the test's arguments: what is asked of every script that prints "name, tab, number".
#
# Arguments: the machine, its column in the README's table (from 1), the README, the scripts' own first ones
# (llvm-nm, llvm-objdump), the script, listing.

machine="$1" column="$2" readme="$3" nm="$4" objdump="$5" script="./$6" listing="./$7"
first="${TEST_TMPDIR}/first" remarks="${TEST_TMPDIR}/remarks"
result=0

fail() {
  echo "FAIL $*"
  result=1
}

# run OPTION...: what the script prints into `first`, `remarks`; and into `second` what it prints --quick.
run_twice() {
  "${script}" "${nm}" "--arch=${machine}" "$@" > "${first}" 2> "${remarks}" || fail "the first run"
  cat "${first}" "${remarks}"
  "${script}" "${nm}" "--arch=${machine}" --quick > "${TEST_TMPDIR}/second" 2> /dev/null || fail "the second run"
  # What --quick leaves out.
  grep -v '^irq_off_max' "${first}" | diff - "${TEST_TMPDIR}/second" || fail "two runs differ"
}

# expect_names NAME...: each once, in this order, with a number.
expect_names() {
  local names
  names="$(cut -f 1 "${first}" | tr '\n' ' ')"
  [[ "${names}" == "$* " ]] || fail "the names are ${names}"
  if grep -vP '^[a-z_0-9]+\t[1-9][0-9]*$' "${first}"; then
    fail "a line is not a name, a tab and a number"
  fi
}

# expect_as_watched NAME EXTRA: it has as many instructions when it is watched as the guest has counted, and EXTRA.
expect_as_watched() {
  local counted watched
  counted="$(awk -v name="$1" '$1 == name { print $2 }' "${first}")"
  "${listing}" "${nm}" "${objdump}" "--arch=${machine}" "$1" > "${TEST_TMPDIR}/$1.listing"
  watched="$(awk '/^[0-9]+ instructions$/ { print $1 }' "${TEST_TMPDIR}/$1.listing")"
  ((watched == counted + $2)) || fail "$1: ${counted} counted and $2, ${watched} watched"
}

# expect_locked NAME yes|no: whether it executes an instruction that reads and writes memory at once, for all CPUs.
# After expect_as_watched.
expect_locked() {
  local locked found=no
  case "${machine}" in
    aarch64) locked='lda?xr|stl?xr|cas|swp|ldadd|ldset|ldclr' ;;
    riscv64) locked='lr\.|sc\.|amo' ;;
    x86_64) locked='lock|xchg' ;;
  esac
  if grep -E "^ *[0-9]+  [0-9a-f]+  (${locked})" "${TEST_TMPDIR}/$1.listing"; then
    found=yes
  fi
  [[ "${found}" == "$2" ]] || fail "$1: locked instructions: ${found}"
}

# No number is above the one that the README shows.
expect_as_shown() {
  local name number shown
  while IFS=$'\t' read -r name number; do
    shown="$(awk -F '|' -v name="\`${name}\`" -v column="${column}" \
      'index($2, name) { gsub(/[^0-9]/, "", $(column + 1)); print $(column + 1); exit }' "${readme}")"
    if [[ -z "${shown}" ]]; then
      fail "${readme} does not show ${name}"
    elif ((number > shown)); then
      fail "${name} is ${number}, and ${readme} says ${shown}"
    elif ((number < shown)); then
      echo "better than ${readme} says: ${name} is ${number}, not ${shown}"
    fi
  done < "${first}"
}
