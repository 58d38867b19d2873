# pause WHO: sleeps as long as the file `pauses` says for WHO (lines "WHO SECONDS"; absent: not at
# all). Crash tests use it to hold an iteration in a state of their choice.
pause() {
  [ -f pauses ] || return 0
  while read -r who seconds; do
    [ "$who" = "$1" ] && sleep "$seconds"
  done < pauses
  return 0
}
