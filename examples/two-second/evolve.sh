# The agent. As `evolve answer N` it prints the square of N if its table has it; as `evolve rows`
# how many it has; without arguments it makes one iteration in the working directory.
set -eu

rows() { printf '%s' "$table" | grep -c . || true; }

answer() {
  printf '%s' "$table" | while read -r n square; do
    [ "$n" = "$1" ] && echo "$square" && break
  done | grep . || { echo "unknown: $1" >&2; return 1; }
}

# The number of the generation to be made, from the task.
number() {
  tr ',{' '\n\n' < "${GERMLINE_TASK:-/germline/task.json}" |
    sed -n 's/^[[:space:]]*"number"[[:space:]]*:[[:space:]]*\([0-9]*\).*/\1/p' | head -n 1
}

learn() {
  if ! grep -q "^$1 " table; then echo "$1 $(($1 * $1))" >> table; fi
}

# Tests that report a thousand long names and messages, none of them text.
shout() {
  cat << 'TESTS'
mkdir -p build
long=$(head -c 500 /dev/zero | tr '\0' '\377')
{
  echo '<testsuite name="own">'
  i=0
  while [ $((i += 1)) -le 1000 ]; do
    echo "<testcase name=\"$i $long\"><failure message=\"$long$long\"/></testcase>"
  done
  echo '</testsuite>'
} > build/junit.xml
TESTS
}

# One word in the file `behaviour` steers an iteration; a number after it says from which
# generation number on (1 if absent), so that every seed can be founded.
iterate() {
  n=$(number)
  [ -n "$n" ] || { echo "the task has no number" >&2; exit 2; }
  word=evolve from=1
  read -r word from < behaviour || true
  [ "$n" -ge "${from:-1}" ] || word=evolve
  . ./pause.sh
  pause agent
  case "$word" in
    evolve) learn "$n" ;;
    stall) ;;
    crash) learn "$n"; echo "crashing, as told" >&2; exit 7 ;;
    babble) printf 'bad \377\376 bytes'; exit 7 ;;
    weaken)  # its own tests stay green; the protected ones do not
      sed 's/^0 .*/0 1/' table > table.new && mv table.new table
      printf 'mkdir -p build\n%s\n' 'echo "<testsuite name=\"own\" tests=\"1\"><testcase name=\"all_is_well\"/></testsuite>" > build/junit.xml' > test.sh ;;
    touch-protected) learn "$n"; printf '#!/bin/sh\nexit 0\n' > protected/run ;;
    hang) while :; do sleep 3600; done ;;
    fork-bomb)  # lit again whenever no process could be made and all have ended
      bomb() { bomb | bomb & }
      while :; do command eval bomb || :; wait; done ;;  # `command`: a failed fork ends no shell
    break-context) learn "$n"; echo '{"goalState": "forget", "history": []' > agent_context.json ;;
    break-build) learn "$n"; echo 'exit 1' > build.sh ;;
    hang-tests) learn "$n"; echo 'while :; do sleep 3600; done' > test.sh ;;
    shout) learn "$n"; shout > test.sh ;;
    doom)  # until the history tells of a failure: the next generation will crash, but not now
      learn "$n"
      grep -q '"failure"' agent_context.json || echo "crash $((n + 1))" > behaviour ;;
    stillborn) learn "$n"; echo "crash $n" > behaviour ;;  # built and tested well; fails when run
    bloat) learn "$n"; head -c 17825792 /dev/zero > bloat ;;  # a file larger than may be brought in
    swell) swollen=$(head -c 1073741824 /dev/zero | tr '\0' x); echo "${#swollen}" ;;
    flood) yes "a line of a flood" | head -c 268435456; learn "$n" ;;
    *) echo "unknown behaviour: $word" >&2; exit 2 ;;
  esac
}

case "${1:-}" in
  "") iterate ;;
  rows) rows ;;
  answer) answer "${2:-}" ;;
  *) echo "usage: evolve [rows | answer N]" >&2; exit 2 ;;
esac
