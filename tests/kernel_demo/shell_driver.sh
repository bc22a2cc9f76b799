# How a test types at the demo kernel's shell as a person would, waiting for each prompt, and checks the
# answers. To be sourced by a script that `set -euo pipefail`.

readonly PROMPT='baton'

log=''
fail() {
  echo "$1"
  echo "----- the log of ${RUN}"
  echo "${log}"
  exit 1
}

# Reads up to the next prompt, "baton> ", into `answer`. No other ">" is ever printed.
read_answer() {
  answer=''
  # The limit is for a shell that hangs: it is never waited for.
  if ! IFS= read -r -t 40 -d '>' -u "${from}" answer; then
    log+="${answer}"
    fail "no prompt after: $1"
  fi
  answer="${answer//$'\r'/}"
  log+="${answer}>"
  [[ "${answer}" == *"${PROMPT}" ]] || fail "something else than a prompt after: $1"
}

# press KEYS [EXPRESSION...]: the answer must have a line that matches each extended regular expression.
press() {
  local command="$1" expression
  shift
  printf '%b' "${command}" >&"${to}"
  read_answer "${command}"
  for expression in "$@"; do
    grep -qE -- "${expression}" <<< "${answer}" || fail "'${command}' was not answered by: ${expression}"
  done
}

# enter COMMAND [EXPRESSION...]: the same, with the key that ends a line.
enter() {
  press "$1\n" "${@:2}"
}

# boot RUN ARGUMENT...: what the qemu_run RUN boots is typed at from here on; its first words are in `answer`.
boot() {
  RUN="$1"
  coproc guest { "./${RUN}" run=shell "${@:2}" 2>&1; }
  pid="${guest_PID}"
  trap 'kill "${pid}" 2> /dev/null || true' EXIT
  exec {from}<&"${guest[0]}" {to}>&"${guest[1]}"
  read_answer 'the start'
}

# end: types Ctrl-D, and the guest must end with success.
end() {
  local rest status=0
  printf '\004' >&"${to}"
  rest="$(cat <&"${from}")"
  log+="${rest}"
  wait "${pid}" || status=$?
  ((status == 0)) || fail "Ctrl-D ended it with ${status}"
}
