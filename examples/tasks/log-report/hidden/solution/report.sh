# Sums up a server's log; README.md says how.
export LC_ALL=C
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
grep -v '^$' > "$here/lines"
grep -E '^[^ ]+ [A-Z]+ [^ ]+ [0-9]{3} ([0-9]+|-)$' "$here/lines" > "$here/good"
requests=$(wc -l < "$here/good")
echo "requests $requests"
echo "broken $(($(wc -l < "$here/lines") - requests))"
echo "errors $(cut -d ' ' -f 4 "$here/good" | grep -c '^5')"
# Leading zeros would make a number octal.
sums=$(cut -d ' ' -f 5 "$here/good" | sed 's/^-$/0/; s/^0*\([0-9]\)/\1/' | tr '\n' '+')
echo "bytes $((${sums}0))"
cut -d ' ' -f 3 "$here/good" | sed 's/?.*//' | sort | uniq -c | sort -k1,1nr -k2 |
  sed 's/^ *//' | head -n "$1"
