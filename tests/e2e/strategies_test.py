#!/usr/bin/env python3
"""End to end on one machine: a strategy chooses parents across lineages, with a coordinator that is
killed half way; runs are scaled up and down while they go on.

Usage: strategies_test.py GERMLINE_BINARY. Needs root. Everything it starts it ends, by pid.
"""
import json
import os
import signal
import sys
import unittest

from fleet import FleetApart, iterations_of, sandbox_pids

GERMLINE = sys.argv.pop(1)


class Strategies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = FleetApart(GERMLINE)
        cls.addClassCleanup(cls.fleet.stop)
        cls.fleet.start()

    def tearDown(self):
        self.fleet.call("kill", "--all", check=False)

    def genome(self, pauses=""):
        """The two-second genome, measured by how many squares it knows."""
        place = self.fleet.genome("evolve", pauses)
        self.fleet.write(place, "protected/evaluate",
                         "#!/bin/sh\nread -r rows\nprintf '{\"score\": %d}' \"$rows\" >&3\n")
        os.chmod(place + "/protected/evaluate", 0o755)
        with open(place + "/genome.toml", "a") as file:
            file.write('\n[fitness]\ncommand = "protected/evaluate"\nrun = "build/evolve rows"\n')
        self.fleet.commit(place, "measured")
        return place

    def test_a_strategy_has_generations_measured_again_and_so_is_the_best(self):
        place = self.genome()
        with open(place + "/genome.toml", "a", encoding="utf-8") as file:
            file.write("evaluations = 3\nelite_evaluations = 6\n")  # [fitness] is the last section
        self.fleet.commit(place, "elite")
        # Each evaluation is one case: for one birth beside another 2 ^ (1 / 0.25) = 16 are needed.
        run = self.fleet.run(place, 2, "--lineages", "2", "--strategy",
                             "clade-thompson,pass=1,expand=0.25")
        tree = self.fleet.measured(run, 4)
        story = json.dumps(tree, indent=1) + self.fleet.logs()
        of = {}
        for evaluation in tree["evaluations"]:
            self.assertEqual(evaluation["ending"], "ENDING_SCORED", story)
            of.setdefault(evaluation["parent_generation"], []).append(int(evaluation["number"]))
        self.assertGreaterEqual(len(tree["evaluations"]), 16, story)
        # Both lineages begin from the seed, and the genome does the same in both: a source is
        # measured once.
        sources = {g["source_id"] for g in tree["generations"]}
        same = [g for g in tree["generations"] if g["same_as"]]
        self.assertGreater(len(same), 0, story)
        self.assertEqual(len(tree["generations"]) - len(same), len(sources), story)
        for generation in same:
            self.assertNotIn(generation["generation_id"], of, story)
        for numbers in of.values():
            self.assertEqual(sorted(numbers), list(range(1, len(numbers) + 1)), story)
        ranked = self.fleet.call("archive", "top", run, "-n", "1", "--json").stdout
        best = json.loads(ranked)[0]
        self.assertGreaterEqual(best["fitness"]["samples"], 6, story)

    def test_agents_are_shown_other_generations_and_merge_them(self):
        fleet = self.fleet
        place = fleet.example("circle-packing")
        with open(place + "/src/__main__.py", encoding="utf-8") as file:
            text = file.read()
        # It crosses wherever it can, and keeps what comes of it.
        eager = text.replace("chance.random() < 0.5", "True").replace(
            "LEAST_GAIN = 1e-5", "LEAST_GAIN = -100.0")
        self.assertIn("elif others and True:", eager)
        self.assertIn("LEAST_GAIN = -100.0", eager)
        fleet.write(place, "src/__main__.py", eager)
        fleet.commit(place, "eager")
        run = fleet.run(place, 3, "--lineages", "2", "--strategy", "best", "--inspirations", "2")
        tree = self.fleet.measured(run, 6)
        story = json.dumps(tree, indent=1) + fleet.logs()
        of = {g["generation_id"]: g for g in tree["generations"]}
        self.assertEqual(len(of), 7, story)
        merged = [g for g in tree["generations"] if g["merged"]]
        self.assertGreaterEqual(len(merged), 2, story)
        for generation in merged:
            iteration = json.loads(fleet.call("show", generation["born_of_iteration"], "--json")
                                   .stdout)["iteration"]
            shown = {i["generation_id"]: i for i in iteration["inspirations"]}
            self.assertNotIn(generation["parent"], shown, story)
            for mate in generation["merged"]:
                self.assertIn(mate, shown, story)
                self.assertEqual(shown[mate]["mean"], of[mate]["fitness"]["mean"], story)
                # The source is that generation's, but for the context.
                changed = fleet.objects("diff", "--name-only", of[mate]["commit"],
                                        shown[mate]["commit"]).split()
                self.assertIn(changed, ([], ["agent_context.json"]), story)
                # What the agent made stands on it; the commit of the birth on the head alone.
                attempt = iteration["attempts"][-1]["attempt_id"]
                fleet.objects("merge-base", "--is-ancestor", shown[mate]["commit"],
                              f"refs/germline/attempts/{attempt}/raw")
            parents = fleet.objects("rev-list", "--parents", "-1", generation["commit"]).split()
            self.assertEqual(len(parents), 2, story)
        fleet.objects("fsck", "--strict")
        told = fleet.call("tree", run).stdout
        self.assertIn("inspirations 2", told)
        self.assertIn("merged " + merged[0]["merged"][0][:10], told)

    def test_a_new_run_begins_with_the_best_of_another(self):
        fleet = self.fleet
        place = fleet.example("circle-packing")
        with open(place + "/src/__main__.py", encoding="utf-8") as file:
            text = file.read()
        # Where it finds nothing better it begins afresh: each iteration bears, whatever the chance.
        gain = "    if after - before < LEAST_GAIN:\n"
        self.assertIn(gain, text)
        fleet.write(place, "src/__main__.py", text.replace(
            gain, gain + "        changed = mutation.afresh(text, chance)\n    if False:\n"))
        fleet.commit(place, "restless")
        old = fleet.run(place, 3, "--lineages", "2", "--strategy", "best")
        self.fleet.measured(old, 6)
        file = place + "/../archive.jsonl"
        with open(file, "w", encoding="utf-8") as out:
            out.write(fleet.call("archive", "export", old).stdout)
        ranked = json.loads(fleet.call("archive", "top", old, "--json").stdout)
        best = [each["generation_id"] for each in ranked if each["parent"]][:2]
        scores = {each["generation_id"]: each["fitness"]["mean"] for each in ranked}
        sources = {each["generation_id"]: each["source_id"] for each in ranked}
        run = fleet.run(place, 2, "--lineages", "2", "--strategy", "best", "--import", file,
                        "--import-count", "2")
        tree = self.fleet.measured(run, 4)
        story = json.dumps(tree, indent=1) + fleet.logs()
        imported = {g["imported"]: g for g in tree["generations"] if g["imported"]}
        self.assertEqual(sorted(imported), sorted(best), story)
        for origin, generation in imported.items():
            # Built, tested and measured anew, and found to be what it was.
            self.assertEqual(generation["source_id"], sources[origin], story)
            self.assertAlmostEqual(generation["fitness"]["mean"], scores[origin], msg=story)
            context = fleet.objects("show", generation["commit"] + ":agent_context.json")
            self.assertIn(origin, json.loads(context)["history"][-1]["details"], story)
        # What came of agents then stands on the better of them, or on what was born of that.
        others = [g for g in tree["generations"] if g["parent"] and not g["imported"]]
        self.assertEqual(len(others), 2, story)
        better = imported[best[0]]["generation_id"]
        self.assertIn(better, {g["parent"] for g in others}, story)
        self.assertLessEqual({g["parent"] for g in others},
                             {better} | {g["generation_id"] for g in others}, story)
        self.assertIn("imported " + best[0][:10], fleet.call("tree", run).stdout)
        # What imports have in common with each other no rule is asked about.
        ruled = fleet.run(place, 1, "--lineages", "2", "--strategy", "best", "--import", file,
                          "--import-count", "2", "--policy", "near-duplicate 0.0001 kill")
        tree, ended = fleet.settled(ruled, 2)
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 2,
                         json.dumps(tree, indent=1) + fleet.logs())

    def test_a_change_that_was_made_before_is_refused(self):
        fleet = self.fleet
        # Each iteration begins from the seed, and adds a row; what it adds it to is the same.
        run = fleet.run(self.genome(), 2, "--strategy", "seed", "--policy",
                        "near-duplicate 0.3 refuse")
        tree, ended = fleet.settled(run, 2)
        story = json.dumps(tree, indent=1) + fleet.logs()
        second = ended[1]
        self.assertEqual((second["ending"], second["reason"]),
                         ("ENDING_REJECTED", "near_duplicate"), story)
        first = ended[0]["generation_id"]
        self.assertIn(f"the change is that of {first} by 33 %", second["details"])
        self.assertAlmostEqual(second["likeness"], 1 / 3, msg=story)
        self.assertIn("near-duplicate 0.3 refuse", fleet.call("logs", run).stdout)
        context = fleet.objects("show", second["commit"] + ":agent_context.json")
        self.assertIn("near_duplicate", json.loads(context)["history"][-1]["action"])

    def test_lineages_go_on_from_each_others_generations(self):
        fleet = self.fleet
        run = fleet.run(fleet.example("circle-packing"), 4, "--strategy", "best")

        def improved():
            means = {True: [], False: []}
            for each in fleet.tree(run)["generations"]:
                if "mean" in each["fitness"]:
                    means[each["parent"] == ""].append(each["fitness"]["mean"])
            return means[True] and max(means[False], default=0) > means[True][0]
        fleet.wait(improved, "a generation is better than the seed")
        # So the best is the first lineage's, and the second one's first iteration begins from it.
        self.assertEqual(len(fleet.asked("scale", run, "2")["added"]), 1)
        fleet.settled(run, 3)
        fleet.kill_and_restart("coordinator")
        fleet.await_worker()
        tree = self.fleet.measured(run, 8)
        story = json.dumps(tree, indent=1) + fleet.logs()
        self.assertEqual(tree["run"]["strategy"], "best")
        means = {g["generation_id"]: g["fitness"].get("mean") for g in tree["generations"]}
        of = {g["generation_id"]: g for g in tree["generations"]}
        crossed = 0
        for iteration in iterations_of(tree):
            parent = of[iteration["parent_generation"]]
            self.assertGreaterEqual(iteration["choice"]["among"], 1, story)
            crossed += parent["lineage_id"] not in ("", iteration["lineage_id"])
        self.assertGreater(crossed, 0, story)
        best = max(means.values())
        seed = next(g for g in tree["generations"] if not g["parent"])
        self.assertGreater(best, means[seed["generation_id"]] + 0.05, story)
        # Each birth's commit stands on its parent's source, by a merge where its lineage moved.
        for generation in tree["generations"]:
            if not generation["parent"]:
                continue
            base = fleet.objects("merge-base", generation["commit"],
                                 of[generation["parent"]]["commit"]).strip()
            self.assertEqual(base, of[generation["parent"]]["commit"], story)
        for lineage in tree["run"]["lineages"]:
            head = fleet.objects("rev-parse", "refs/heads/lineages/" + lineage["lineage_id"])
            self.assertEqual(head.strip(), lineage["head_commit"], story)
        fleet.objects("fsck", "--strict")
        told = fleet.call("tree", run).stdout
        self.assertIn("strategy best", told)
        self.assertIn("from generation", told)

    def test_a_run_is_scaled_while_it_goes_on(self):
        fleet = self.fleet
        run = fleet.run(fleet.example("circle-packing"), 0, "--strategy", "archive-sampling")
        fleet.settled(run, 1)
        added = fleet.asked("scale", run, "2")["added"]
        self.assertEqual(len(added), 1)
        lineage = added[0]["lineage_id"]

        def bore():
            tree = fleet.tree(run)
            return any(g["lineage_id"] == lineage for g in tree["generations"])
        fleet.wait(bore, "the new lineage has borne")
        # The newest goes, once its iteration has ended.
        leaving = fleet.asked("scale", run, "1")["leaving"]
        self.assertEqual([each["lineage_id"] for each in leaving], [lineage])

        def state(of):
            return {each["lineage_id"]: each["state"]
                    for each in fleet.tree(run)["run"]["lineages"]}[of]
        fleet.wait(lambda: state(lineage) == "LINEAGE_STATE_RETIRED", "it is retired")
        killed = fleet.asked("scale", run, "0", "--kill")["killed"]
        self.assertEqual(len(killed), 1)
        self.assertIn(killed[0]["proof"], ("KILL_PROOF_KILLED", "KILL_PROOF_NOTHING_RAN"))
        # Evaluations of what the retired one bore may go on; a kill of all ends them.
        fleet.call("kill", "--all")
        self.assertEqual(sandbox_pids(), [])

    def test_what_is_killed_is_no_parent(self):
        fleet = self.fleet
        run = fleet.run(self.genome(), 0, "--lineages", "2", "--strategy", "best")
        fleet.settled(run, 4)
        first, second = [each["lineage_id"] for each in fleet.tree(run)["run"]["lineages"]]
        killed = fleet.asked("kill", first)
        self.assertEqual(len(killed["lineages"]), 1)
        before = {i["item_id"] for i in iterations_of(fleet.tree(run))}
        tree, _ = fleet.settled(run, len(before) + 2)
        barred = {g["generation_id"] for g in tree["generations"] if g["barred"]}
        self.assertEqual(barred, {g["generation_id"] for g in tree["generations"]
                                  if g["lineage_id"] == first})
        for iteration in iterations_of(tree):
            if iteration["item_id"] not in before:
                self.assertEqual(iteration["lineage_id"], second)
                self.assertNotIn(iteration["parent_generation"], barred)
        fleet.call("kill", run)
        self.assertEqual(sandbox_pids(), [])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main(verbosity=2)
