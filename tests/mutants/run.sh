#!/bin/bash
#
# Runs the programs of mutants, `<mutant>_<test>` each, and says which test has found each mistake. Fails if one has
# survived all of its tests.

set -uo pipefail

found=() survived=()
declare -A by

for program in "$@"; do
  base="$(basename "${program}")"
  mutant="${base%_*}"
  [[ -v "by[${mutant}]" ]] && continue
  # A failure ends it; a mistake may also make it hang, which is no failure of any test.
  output="$(timeout 300 "${program}" --gtest_fail_fast --gtest_brief=1 2>&1)"
  status=$?
  test="$(sed -n 's/^\[  FAILED  \] \(Explore\.[A-Za-z]*\).*/\1/p' <<< "${output}" | head -n 1)"
  if ((status == 0)); then
    continue
  elif [[ -z "${test}" && "${status}" == 124 ]]; then
    echo "${base} has hung"
    continue
  fi
  by["${mutant}"]="${test:-the end of the program, by ${status}}"
done

for program in "$@"; do
  base="$(basename "${program}")"
  mutant="${base%_*}"
  if [[ -v "by[${mutant}]" ]]; then
    [[ " ${found[*]-} " == *" ${mutant} "* ]] && continue
    found+=("${mutant}")
    echo "${mutant}: found by ${by[${mutant}]}"
  else
    [[ " ${survived[*]-} " == *" ${mutant} "* ]] && continue
    survived+=("${mutant}")
    echo "${mutant}: SURVIVED"
  fi
done

echo "${#found[@]} of $((${#found[@]} + ${#survived[@]})) mistakes were found"
((${#survived[@]} == 0))
