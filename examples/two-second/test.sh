#!/bin/sh
# The genome's own tests: every row of the table is right, and the artefact answers from it.
set -u
. ./pause.sh
pause test
failed=0
tests=0
cases=""

# check NAME COMMAND...: one test case, red if the command fails.
check() {
  name=$1; shift
  tests=$((tests + 1))
  if "$@"; then
    cases="$cases<testcase classname=\"own\" name=\"$name\"/>
"
  else
    failed=$((failed + 1))
    cases="$cases<testcase classname=\"own\" name=\"$name\"><failure message=\"$name failed\"/></testcase>
"
  fi
}

table_is_right() {
  while read -r n square; do [ "$square" = $((n * n)) ] || return 1; done < table
}
table_has_no_double() { [ -z "$(cut -d' ' -f1 table | sort | uniq -d)" ]; }
artefact_knows_the_table() {
  [ "$(build/evolve rows)" = "$(grep -c . table)" ] || return 1
  while read -r n square; do [ "$(build/evolve answer "$n")" = "$square" ] || return 1; done < table
}
unknown_is_refused() { ! build/evolve answer 123456789 2>/dev/null; }

check table_is_right table_is_right
check table_has_no_double table_has_no_double
check artefact_knows_the_table artefact_knows_the_table
check unknown_is_refused unknown_is_refused
mkdir -p build
printf '<?xml version="1.0"?>\n<testsuite name="own" tests="%d" failures="%d">\n%s</testsuite>\n' \
  "$tests" "$failed" "$cases" > build/junit.xml
echo "$tests tests, $failed failed"
[ "$failed" -eq 0 ]
