#!/bin/sh
# Puts the table into the script: the artefact carries what its generation knows.
set -eu
. ./pause.sh
pause build
mkdir -p build
{
  printf '#!/bin/sh\n# Built from evolve.sh and table; edit those.\ntable="\\\n'
  cat table
  printf '"\n'
  cat evolve.sh
} > build/evolve.new
chmod 755 build/evolve.new
sh -n build/evolve.new
mv build/evolve.new build/evolve
