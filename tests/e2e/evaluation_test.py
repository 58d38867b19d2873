#!/usr/bin/env python3
"""End to end on one machine: generations are measured, by an evaluator that the candidate can
neither see nor fool, and once each whatever dies meanwhile.

Usage: evaluation_test.py GERMLINE_BINARY. Needs root. Everything it starts it ends, by pid.
"""
import csv
import io
import json
import os
import signal
import subprocess
import sys
import unittest

from fleet import FleetApart, sandbox_pids

GERMLINE = sys.argv.pop(1)

# As a candidate the two-second genome prints how many squares it knows.
COUNTS_ROWS = """#!/bin/sh
read -r rows
metrics="\\"seed\\": $((GERMLINE_RANDOM_SEED % 1000000)), \\"wall_ms\\": $GERMLINE_WALL_TIME_MS"
printf '{"score": %d, "metrics": {%s}, "descriptors": {"rows": %d}, "cases": {"all": 1}}' \\
  "$rows" "$metrics" "$rows" >&3
"""
HANGS = "#!/bin/sh\nsleep 3600\n"


def fitness_table(run="build/evolve rows", more=""):
    return f'\n[fitness]\ncommand = "protected/evaluate"\nrun = "{run}"\n{more}\n'


class Evaluations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = FleetApart(GERMLINE)
        cls.addClassCleanup(cls.fleet.stop)
        cls.fleet.start()

    def genome(self, evaluator, table, behaviour="evolve"):
        place = self.fleet.genome(behaviour)
        self.fleet.write(place, "protected/evaluate", evaluator)
        os.chmod(place + "/protected/evaluate", 0o755)
        with open(place + "/genome.toml", "a") as file:
            file.write(table)
        self.fleet.commit(place, "measured")
        return place

    def with_candidate(self, evaluator, candidate):
        """The same, with a script of its own as what is measured."""
        place = self.genome(evaluator, fitness_table("build/candidate"), "stall")
        self.fleet.write(place, "candidate.sh", candidate)
        with open(place + "/build.sh", "a") as file:
            file.write("cp candidate.sh build/candidate; chmod 755 build/candidate\n")
        with open(place + "/genome.toml") as file:
            text = file.read()
        self.fleet.write(place, "genome.toml", text.replace(
            'artefact = ["build/evolve"]', 'artefact = ["build/evolve", "build/candidate"]'))
        self.fleet.commit(place, "with a candidate")
        return place

    def measured(self, run, iterations, seconds=100):
        """The run's tree once its iterations and all evaluations have ended."""
        self.fleet.settled(run, iterations, seconds)

        def holds():
            tree = self.fleet.tree(run)
            done = tree and all(e["ending"] != "ENDING_UNSPECIFIED" for e in tree["evaluations"])
            return tree if done else None
        return self.fleet.wait(holds, f"all of {run} is measured", seconds)

    def seed_alone(self, evaluator, table, seconds=60):
        """The evaluations of a seed whose lineage makes one iteration that changes nothing."""
        run = self.fleet.run(self.genome(evaluator, table, "stall"))
        tree = self.measured(run, 1, seconds)
        self.assertEqual(len(tree["generations"]), 1, self.fleet.logs())
        return run, tree["evaluations"]

    def fails_as(self, evaluator, table, reason, says):
        _, evaluations = self.seed_alone(evaluator, table)
        story = json.dumps(evaluations, indent=1) + self.fleet.logs()
        self.assertEqual([(e["ending"], e["reason"]) for e in evaluations],
                         [("ENDING_FAILED", reason)], story)
        self.assertIn(says, evaluations[0]["details"], story)
        self.assertIsNone(evaluations[0].get("score"))

    def test_generations_are_measured_and_ranked(self):
        fleet = self.fleet
        table = fitness_table(more='evaluations = 2\nwall_time = "20s"')
        run = fleet.run(self.genome(COUNTS_ROWS, table), 2)
        tree = self.measured(run, 2)
        story = json.dumps(tree, indent=1) + fleet.logs()
        self.assertEqual(tree["run"]["fitness_direction"], "FITNESS_DIRECTION_MAXIMIZE")
        born = tree["generations"]
        self.assertEqual(len(born), 3, story)
        means = [g["fitness"]["mean"] for g in born]
        self.assertEqual(means, [means[0] + i for i in range(3)], story)
        for generation in born:
            fitness = generation["fitness"]
            self.assertEqual((fitness["samples"], fitness["failed"], fitness["open"]), (2, 0, 0))
            self.assertEqual((fitness["low"], fitness["high"]), (fitness["mean"],) * 2)
        # The same seeds for all generations, one for each repetition.
        seeds = {}
        for each in tree["evaluations"]:
            values = {m["name"]: m["value"] for m in each["score"]["metrics"]}
            seeds.setdefault(each["number"], set()).add(values["seed"])
            self.assertTrue(0 < values["wall_ms"] <= 20_000, story)
        self.assertEqual([len(s) for s in seeds.values()], [1, 1], story)
        self.assertNotEqual(seeds["1"], seeds["2"])

        top = fleet.call("archive", "top", run).stdout.splitlines()
        self.assertEqual(len(top), 4)
        self.assertEqual(top[1].split()[2:5], ["2", "2", f"{means[2]:g}"], top)
        ranked = json.loads(fleet.call("archive", "top", run, "-n", "1", "--json").stdout)
        self.assertEqual([g["generation_id"] for g in ranked], [born[2]["generation_id"]])
        lines = fleet.call("archive", "export", run).stdout.splitlines()
        self.assertEqual([len(json.loads(line)["evaluations"]) for line in lines], [2] * 3)
        rows = list(csv.DictReader(io.StringIO(
            fleet.call("archive", "export", run, "--format", "csv").stdout)))
        self.assertEqual([float(row["mean"]) for row in rows], means)
        self.assertIn(f"fitness {means[1]:g}", fleet.call("tree", run).stdout)
        shown = fleet.call("show", born[1]["generation_id"]).stdout
        self.assertIn("evaluation", shown)
        item = tree["evaluations"][0]["item_id"]
        self.assertIn("descriptors   rows", fleet.call("show", item).stdout)
        logs = fleet.call("logs", run).stdout
        self.assertEqual(logs.count(" scored "), 6, logs)

    def test_a_genome_without_a_model_gets_better_at_packing_circles(self):
        # With other seeds it may find nothing better twice in a row.
        run = self.fleet.run(self.fleet.example("circle-packing"), 3, "--random-seed", "5")
        tree = self.measured(run, 3)
        story = json.dumps(tree, indent=1) + self.fleet.logs()
        means = [g["fitness"]["mean"] for g in tree["generations"]]
        self.assertGreaterEqual(len(means), 3, story)
        self.assertEqual(means, sorted(means), story)
        self.assertGreater(means[-1], means[0] + 0.05, story)

    def test_a_run_that_measures_nothing_says_so(self):
        run = self.fleet.run(self.fleet.genome("stall"))
        self.fleet.settled(run, 1)
        told = self.fleet.call("archive", "top", run, check=False)
        self.assertEqual(told.returncode, 5, told.stderr)
        self.assertIn("no [fitness]", told.stderr)

    def test_the_candidate_sees_nothing_of_the_evaluator(self):
        probe = """#!/bin/sh
{ ls -d /harness /harness/seed 2>/dev/null || echo no harness; } | head -n 1
[ -n "${GERMLINE_RANDOM_SEED:-}${GERMLINE_SCORE_FD:-}" ] && echo has its words || echo no words
{ echo '{"score": 1e6}' >&3; } 2>/dev/null && echo has the report || echo no report
echo '{"score": 1e6}' > /proc/self/fd/0 2>/dev/null && echo wrote back || echo one way
pgrep -f protected/evaluate > /dev/null && echo sees it || echo sees nobody
id -u
"""
        evaluator = """#!/bin/sh
i=0
while read -r line; do echo "$line" >&2; i=$((i + 1)); done
[ -e /germline/artefact ] && echo "has the artefact" >&2
exit 9
"""
        run = self.fleet.run(self.with_candidate(evaluator, probe))
        evaluations = self.measured(run, 1)["evaluations"]
        details = evaluations[0]["details"]
        for seen in ("no harness", "no words", "no report", "one way", "sees nobody"):
            self.assertIn("\n" + seen + "\n", details)
        self.assertNotIn("has the artefact", details)

    def test_an_evaluation_that_goes_wrong_gives_no_score(self):
        says = "#!/bin/sh\nprintf '{\"score\": 1}' >&3\n"
        self.fails_as(says + "exit 3\n", fitness_table(), "crash", "exit code 3")
        self.fails_as("#!/bin/sh\necho '{\"score\": 1'  >&3\n", fitness_table(), "score", "no JSON")
        self.fails_as("#!/bin/sh\n:\n", fitness_table(), "score", "is empty")
        self.fails_as(HANGS, fitness_table(more='wall_time = "2s"'), "time", "time")
        self.fails_as("#!/bin/sh\nread -r rows || exit 4\n", fitness_table("build/evolve nonsense"),
                      "crash", "usage: evolve")
        self.fails_as("#!/bin/sh\nhead -c 2000000 /dev/zero >&3\n", fitness_table(), "score",
                      "more than 1 MiB")

    def test_a_candidate_that_floods_its_evaluator_is_bounded_by_the_pipe(self):
        # It writes for ever; the evaluator reads a line, and that is all that moves.
        run = self.fleet.run(self.with_candidate(COUNTS_ROWS, "#!/bin/sh\nyes 3\n"))
        evaluations = self.measured(run, 1)["evaluations"]
        self.assertEqual(evaluations[0]["ending"], "ENDING_SCORED", self.fleet.logs())
        self.assertEqual(evaluations[0]["score"]["score"], 3)

    def run_that_hangs(self):
        run = self.fleet.run(self.genome(HANGS, fitness_table(), "stall"))
        self.await_evaluation(run)
        return run

    def await_evaluation(self, run):
        def runs():
            tree = self.fleet.tree(run)
            return tree and tree["evaluations"] and (
                tree["evaluations"][0]["phase"] == "ITERATION_PHASE_RUNNING" and
                len(sandbox_pids()) >= 2)
        self.fleet.wait(runs, "the evaluation runs")

    def test_kill_ends_what_is_measured_with_proof(self):
        for words in (lambda run: run, lambda run: "--all",
                      lambda run: self.fleet.tree(run)["run"]["lineages"][0]["lineage_id"]):
            run = self.run_that_hangs()
            killed = self.fleet.asked("kill", words(run))
            self.assertEqual(sandbox_pids(), [], killed)
            evaluation = self.fleet.tree(run)["evaluations"][0]
            self.assertEqual(evaluation["ending"], "ENDING_KILLED")
            proofs = [line["proof"] for line in killed["lineages"]]
            self.assertIn("KILL_PROOF_KILLED", proofs, killed)

    def test_whoever_is_killed_meanwhile_there_is_one_score(self):
        slow = COUNTS_ROWS.replace("read -r rows", "read -r rows\nsleep 6")
        for victim in ("coordinator", "worker"):
            run = self.fleet.run(self.genome(slow, fitness_table(), "stall"))
            self.await_evaluation(run)
            self.fleet.kill_and_restart(victim)
            self.fleet.await_worker()
            tree = self.measured(run, 1)
            story = json.dumps(tree, indent=1) + self.fleet.logs()
            self.assertEqual([e["ending"] for e in tree["evaluations"]], ["ENDING_SCORED"], story)
            attempts = [a["state"] for a in tree["evaluations"][0]["attempts"]]
            lost = ["ATTEMPT_STATE_LOST"] if victim == "worker" else []
            self.assertEqual(attempts, [*lost, "ATTEMPT_STATE_FINISHED"], story)
            self.assertEqual(tree["generations"][0]["fitness"]["samples"], 1)

    def test_a_candidate_whose_sandbox_is_ended_under_it_gives_no_score(self):
        # To the evaluator it looks like one that has ended by itself, with nothing to say.
        counts = "#!/bin/sh\nprintf '{\"score\": %d}' \"$(wc -l)\" >&3\n"
        candidate = "#!/bin/sh\nsleep 5\necho a line\n"
        run = self.fleet.run(self.with_candidate(counts, candidate))
        self.await_evaluation(run)
        # The second sandbox that was made is the candidate's.
        holders = self.fleet.wait(lambda: len(self.fleet.supervisors()) == 2 and
                                  self.fleet.supervisors(), "both sandboxes stand")
        os.kill(max(holders), signal.SIGKILL)
        evaluation = self.measured(run, 1)["evaluations"][0]
        story = json.dumps(evaluation, indent=1) + self.fleet.logs()
        self.assertEqual([a["state"] for a in evaluation["attempts"]],
                         ["ATTEMPT_STATE_LOST", "ATTEMPT_STATE_FINISHED"], story)
        self.assertEqual(evaluation["score"]["score"], 1, story)

    def test_following_a_run_goes_on_until_it_is_measured(self):
        slow = COUNTS_ROWS.replace("read -r rows", "read -r rows\nsleep 2")
        done = subprocess.run(
            [GERMLINE, "run", self.genome(slow, fitness_table(), "stall"), "--iterations", "1",
             "--follow", "--coordinator", self.fleet.address], capture_output=True, text=True,
            timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(" scored ", done.stdout)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main(verbosity=2)
