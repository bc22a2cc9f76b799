#!/bin/bash
#
# Checks pages for people against the files that they speak of, from the top of the checkout or of a test's
# runfiles:
#
#   tests/docs/pages.sh CHECK,... PAGE...
#
#   cpp, starlark  each block of code in this language follows a line <!-- excerpt of FILE -->, and is lines of
#                  that file: whatever a page shows is built and run
#   links          each link within the project leads to a file or directory, and to a heading of it where it
#                  names one
#
# In any case each block says its language: one of those, sh (commands to paste) or text (what they print).
# Prints a line for each fault, page:line first, and exits 1 if there was one. //tests/docs:pages_test checks
# what Bazel sees; tests/downstream/run.sh the rest.

set -euo pipefail

# check_blocks CHECKS PAGE
check_blocks() {
  awk -v checks=",$1," -v page="$2" '
    function fault(message) {
      printf "%s:%d: %s\n", page, start, message
      faults = 1
    }
    # Whether the block is consecutive lines of the file.
    function is_excerpt(file,    text, lines, line, i, j) {
      while ((getline line < file) > 0) text[++lines] = line
      close(file)
      for (i = 0; i + count <= lines; ++i) {
        for (j = 1; j <= count && text[i + j] == block[j]; ++j) {}
        if (j > count) return 1
      }
      return 0
    }
    !inside && /^```/ {
      inside = 1
      start = NR
      count = 0
      kind = substr($0, 4)
      if (kind !~ /^(cpp|starlark|sh|text)$/) fault("a block in no language that is checked: " kind)
      next
    }
    inside && /^```$/ {
      inside = 0
      if (index(checks, "," kind ",")) {
        if (file == "") {
          fault("a block of " kind " that is no excerpt of a file")
        } else if (!is_excerpt(file)) {
          fault("not lines of " file " as they are")
        }
      }
      file = ""
      next
    }
    inside { block[++count] = $0; next }
    /^<!-- excerpt of .* -->$/ { file = $4; next }
    /./ { file = "" }
    END { exit faults }
  ' "$2"
}

# headings PAGE: the anchors of its headings.
headings() {
  sed -n 's/^#\+ //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# check_links PAGE
check_links() {
  local faults=0 link file line
  while IFS=: read -r line link; do
    [[ "${link}" != http*://* ]] || continue
    file="${link%%#*}"
    [[ -z "${file}" ]] && file="$1" || file="$(dirname "$1")/${file}"
    if [[ ! -e "${file}" ]]; then
      echo "$1:${line}: leads nowhere: ${link}"
      faults=1
    elif [[ "${link}" == *'#'* ]] && ! headings "${file}" | grep -qxF -- "${link#*#}"; then
      echo "$1:${line}: no such heading: ${link}"
      faults=1
    fi
  done < <(awk '/^```/ { inside = !inside } { print inside ? "" : $0 }' "$1" |
    grep -noP '\]\(\K[^)]+(?=\))')
  return "${faults}"
}

checks="$1"
shift
faults=0
for page in "$@"; do
  check_blocks "${checks}" "${page}" || faults=1
  [[ ",${checks}," != *,links,* ]] || check_links "${page}" || faults=1
done
((faults == 0)) || exit 1
echo "$# pages agree with the files they speak of"
