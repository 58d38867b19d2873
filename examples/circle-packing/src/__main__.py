"""`agent` makes one iteration: it changes packing.py by chance. `agent solve` prints its packing."""
import json
import os
import random
import subprocess
import sys

import circles
import mutation
import packing

TRIES = 4000
# True: each iteration draws a packing afresh and goes on from that, not from its own. Then nothing is
# inherited, which is random search, to compare evolution with.
AFRESH = False
LEAST_GAIN = 1e-5


def source_of(branch):
    shown = subprocess.run(["git", "show", branch + ":./src/packing.py"], check=True,
                           capture_output=True, text=True)
    return shown.stdout


def merge(branch):
    """The commit that is made of what is written here descends from the branch, too."""
    subprocess.run(["git", "merge", "-q", "-s", "ours", "--no-commit", "--no-ff", branch], check=True)


def iterate():
    with open(os.environ.get("GERMLINE_TASK", "/germline/task.json"), encoding="utf-8") as file:
        task = json.load(file)
    place = "src/packing.py"  # it is started in the genome's folder
    with open(place, encoding="utf-8") as file:
        text = file.read()
    chance = random.Random(task["random_seed"])
    before = mutation.Genes(text).score()
    others = task.get("inspirations", [])
    mate = None
    if AFRESH:
        text = mutation.afresh(text, chance)
        before = 0.0
    elif others and chance.random() < 0.5:
        mate = chance.choice(others)["branch"]
        try:
            text = mutation.crossed(text, source_of(mate), chance)
        except (AttributeError, TypeError, ValueError, subprocess.CalledProcessError) as error:
            print(f"{mate} cannot be crossed: {error}")
            mate = None
    changed, _, after = mutation.improve(text, chance, TRIES)
    if after - before < LEAST_GAIN:
        print(f"nothing better than {before:.9f} in {TRIES} tries")
        return 0
    if mate:
        merge(mate)
    with open(place, "w", encoding="utf-8") as file:
        file.write(changed)
    print(f"from {before:.9f} to {after:.9f}")
    return 0


def main():
    if sys.argv[1:] == ["solve"]:
        print("\n".join(circles.lines(packing.CENTRES, packing.key)), flush=True)
        return 0
    if len(sys.argv) == 1:
        return iterate()
    print("usage: agent [solve]", file=sys.stderr)
    return 2


sys.exit(main())
