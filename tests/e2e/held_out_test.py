#!/usr/bin/env python3
"""Abuse, end to end on one machine: held-out files are looked for by an agent, by its build, and by
the candidate that is measured with them. The evaluator alone has them.

Usage: held_out_test.py GERMLINE_BINARY. Needs root. Everything it starts it ends, by pid.
"""
import glob
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import sys
import unittest

from fleet import FleetApart, iterations_of

GERMLINE = sys.argv.pop(1)

GENOME = """\
schema = 1
[genome]
name = "hunter"
[agent]
build = "mkdir -p build && sh hunt.sh > build/hunted && cp agent.sh build/agent && \
cp hunt.sh build/hunt && chmod 755 build/agent build/hunt"
artefact = ["build/agent", "build/hunt", "build/hunted"]
run = "build/agent"
result = "worktree"
model = "none"
[protect]
paths = ["protected/**"]
tests = "protected/run"
[fitness]
command = "protected/evaluate"
run = "build/hunt"
[sandbox]
memory = "512MiB"
wall_time = "120s"
"""

PROTECTED = """\
#!/bin/sh
printf '<testsuite name="protected"><testcase classname="protected" name="is_there"/></testsuite>' \\
  >&"${GERMLINE_REPORT_FD:?}"
"""

# Says what of the files it can find, by every way there is; no line of it has the words themselves.
HUNT = """\
#!/bin/sh
needle=%s; needle=${needle}%s
name=held-; name=${name}%s
[ -z "${GERMLINE_HELD_OUT:-}" ] || echo "FOUND the variable"
for place in /germline/held-out /proc/[0-9]*/root/germline/held-out /proc/[0-9]*/cwd/held-out; do
  [ ! -e "$place" ] || echo "FOUND the folder $place"
done
find / -path /usr -prune -o -name "$name*" -print 2>/dev/null | sed 's/^/FOUND by name /' | head -n 3
grep -rlsaF "$needle" / --exclude-dir=usr --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev |
  sed 's/^/FOUND by content /' | head -n 3
rest=${needle#?}  # so that grep does not find itself
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/mountinfo 2>/dev/null |
  grep -aqE "[h]eld-out|[${needle%%"$rest"}]$rest" && echo "FOUND in a process"
for git in /srv/origin.git /workspace/.git; do
  [ -d "$git" ] || continue
  git --git-dir="$git" cat-file --batch-all-objects --batch 2>/dev/null |
    grep -aqE "$name|$needle" && echo "FOUND in $git"
done
[ ! -f "${GERMLINE_ARTEFACT_DIR:-/nowhere}/build/hunted" ] ||
  sed 's/^/when built: /' "$GERMLINE_ARTEFACT_DIR/build/hunted"
echo "looked everywhere"
"""

AGENT = """\
#!/bin/sh
sh /germline/artefact/build/hunt > found
date +%s%N >> found
"""

# Whatever it hears it passes on. It has the files, finds them as the others look, and cannot change
# them.
EVALUATE = """\
#!/bin/sh
while read -r line; do echo "$line" >&2; done
[ "$GERMLINE_HELD_OUT" = /germline/held-out ] || exit 3
sha256sum "$GERMLINE_HELD_OUT"/answers/held-* | grep -q '^%s ' || exit 4
{ echo x > "$GERMLINE_HELD_OUT/new"; } 2>/dev/null && exit 5
{ echo x >> "$(ls -d "$GERMLINE_HELD_OUT"/answers/held-*)"; } 2>/dev/null && exit 6
rm -f "$GERMLINE_HELD_OUT"/answers/held-* 2>/dev/null && exit 7
sh ./hunt.sh > "$GERMLINE_SCRATCH/own"
for way in variable folder "by name" "by content" "in a process"; do
  grep -q "FOUND.*$way" "$GERMLINE_SCRATCH/own" || { echo "no way: $way" >&2; exit 8; }
done
printf '{"score": 1}' >&3
"""


class HeldOut(unittest.TestCase):
    def setUp(self):
        self.fleet = fleet = FleetApart(GERMLINE)
        self.addCleanup(fleet.stop)
        fleet.start()
        self.secret, self.name = secrets.token_hex(16), secrets.token_hex(8)
        self.folder = os.path.join(fleet.root, "held")
        os.makedirs(self.folder + "/answers")
        fleet.write(self.folder, f"answers/held-{self.name}", self.secret)

    def genome(self):
        place = self.fleet.example("two-second")
        for name in os.listdir(place):
            if name in ("protected", ".git", "agent_context.json"):
                continue
            os.remove(os.path.join(place, name))
        shutil.rmtree(place + "/protected")
        os.mkdir(place + "/protected")
        half = len(self.secret) // 2
        files = {"genome.toml": GENOME, "agent.sh": AGENT, "protected/run": PROTECTED,
                 "hunt.sh": HUNT % (self.secret[:half], self.secret[half:], self.name),
                 "protected/evaluate": EVALUATE % hashlib.sha256(self.secret.encode()).hexdigest()}
        for name, text in files.items():
            self.fleet.write(place, name, text)
        for name in ("run", "evaluate"):
            os.chmod(place + "/protected/" + name, 0o755)
        self.fleet.commit(place, "a hunter")
        return place

    def test_nobody_but_the_evaluator_has_what_is_held_out(self):
        fleet = self.fleet
        run = fleet.run(self.genome(), 2, "--held-out", self.folder)
        fleet.settled(run, 2)

        def measured():
            tree = fleet.tree(run)
            ended = tree and [e["ending"] != "ENDING_UNSPECIFIED" for e in tree["evaluations"]]
            return tree if ended and all(ended) else None
        tree = fleet.wait(measured, "all is measured")
        story = json.dumps(tree, indent=1) + fleet.logs()
        self.assertEqual(len(tree["generations"]), 3, story)
        self.assertEqual([e["ending"] for e in tree["evaluations"]], ["ENDING_SCORED"] * 3, story)
        for evaluation in tree["evaluations"]:
            shown = fleet.call("show", evaluation["item_id"]).stdout
            self.assertIn("when built: looked everywhere", shown)
            self.assertNotIn("FOUND", shown)
        found = [fleet.call("diff", one["item_id"]).stdout for one in iterations_of(tree)]
        self.assertIn("+looked everywhere", found[0], story)
        self.assertNotIn("FOUND", "".join(found))
        # What people are told.
        shown = fleet.call("show", run).stdout
        held = tree["run"]["held_out"]
        self.assertEqual((held["files"], held["bytes"]), (1, "32"), held)
        self.assertIn("1 file, 32 B", shown)
        self.assertIn(held["held_out_id"], shown)
        self.assertNotIn(self.secret, shown + json.dumps(tree) + fleet.logs())
        # Other accounts of these machines cannot reach them: a folder above is closed.
        kept = glob.glob(f"{fleet.state}/**/held-{self.name}", recursive=True)
        self.assertTrue(any("/worker/" in place for place in kept), kept)
        for place in kept:
            above = [str(folder) for folder in pathlib.Path(place).parents
                     if str(folder).startswith(fleet.state + "/")]
            self.assertTrue(any(os.stat(folder).st_mode & 0o007 == 0 for folder in above), place)
        # No branch of the coordinator's has them, and so no clone.
        everything = fleet.objects("rev-list", "--all", "--objects")
        self.assertNotIn(self.name, everything)


if __name__ == "__main__":
    unittest.main(verbosity=2)
