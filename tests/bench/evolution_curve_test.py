#!/usr/bin/env python3
"""evolution_curve.py in its shortest form, with its SIGKILL of everything; what it computes, with
known values; and the pictures, where matplotlib is installed.

Usage: evolution_curve_test.py GERMLINE_BINARY. Needs root.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import evolution_outcome as outcome  # noqa: E402

GERMLINE = sys.argv.pop(1)
SECONDS_MAX = 420
DEBIAN_PYTHON = "/usr/bin/python3"  # matplotlib is Debian's


def program(name, *words, python=sys.executable):
    """It is asked to end where it takes too long, so that it ends what it has started."""
    with subprocess.Popen([python, os.path.join(HERE, name), *words], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            out, err = process.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


class Outcome(unittest.TestCase):
    def test_mann_whitney_is_exact(self):
        self.assertEqual(outcome.mann_whitney(range(6, 12), range(6)), (36, 1 / 924))
        self.assertEqual(outcome.mann_whitney(range(6), range(6, 12)), (0, 1))
        # As scipy.stats.mannwhitneyu(..., alternative="greater", method="exact") has it.
        u, p = outcome.mann_whitney([2.1, 2.5, 1.0, 4.0], [1.5, 0.3, 2.4, 0.9, 1.1])
        self.assertEqual(u, 16)
        self.assertAlmostEqual(p, 12 / 126)
        # With equal values: of six ways to deal out 1 1 2 2 one has U = 4, four have U = 2.
        self.assertEqual(outcome.mann_whitney([2, 2], [1, 1]), (4, 1 / 6))
        self.assertEqual(outcome.mann_whitney([1, 2], [1, 2]), (2, 5 / 6))

    def test_a_curve_counts_iterations_that_bore_nothing_and_never_falls(self):
        run = {"seed_score": 2, "iterations": [
            {"score": 1, "parent": 0}, {"score": None, "parent": 0}, {"score": 3, "parent": 1}]}
        self.assertEqual(outcome.curve(run), [2, 2, 2, 3])
        self.assertEqual(outcome.depth_of_best(run), 2)

    def test_quartiles(self):
        self.assertEqual(outcome.quartiles([4, 1, 3, 2]), (1.75, 2.5, 3.25))
        self.assertEqual(outcome.quartiles([7]), (7, 7, 7))

    def test_the_document_has_the_tables_of_its_data(self):
        docs = os.path.join(HERE, "../../docs")
        with open(docs + "/evolution.md", encoding="utf-8") as file:
            text = file.read()
        self.assertIn(outcome.tables(outcome.read(docs + "/evolution")), text)


class Program(unittest.TestCase):
    def test_it_runs_survives_goes_on_and_is_drawn(self):
        with tempfile.TemporaryDirectory() as folder:
            words = [GERMLINE, folder, "--repeats", "1", "--lineages", "2"]
            done = program("evolution_curve.py", *words, "--iterations", "2", "--strategies",
                           "best,afresh")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            runs = outcome.read(folder)
            self.assertEqual([run["strategy"] for run in runs], ["best", "afresh"])
            for run in runs:
                story = json.dumps(run)
                self.assertEqual(len(run["iterations"]), 4, story)
                self.assertGreater(outcome.curve(run)[-1], 1, story)
                for name in ("germline", "germline-zygote", "germline-gatewa"):
                    self.assertIn(name, run["kill"]["killed"], story)
            self.assertGreater(outcome.curve(runs[0])[-1], runs[0]["seed_score"] + 0.05)
            self.assertIn("`best` more than `afresh`", done.stdout)
            self.assertEqual(os.path.getsize(os.path.join(folder, "tree-best.txt")) > 0, True)

            again = program("evolution_curve.py", *words, "--iterations", "2", "--strategies",
                            "best,afresh")
            self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
            self.assertEqual(outcome.read(folder), runs)
            other = program("evolution_curve.py", *words, "--iterations", "3")
            self.assertIn("take another folder", other.stderr)
            self.assertEqual(other.returncode, 1)
            self.pictures(folder)

    def pictures(self, folder):
        if subprocess.run([DEBIAN_PYTHON, "-c", "import matplotlib"], check=False,
                          capture_output=True).returncode != 0:
            print("matplotlib is not installed: nothing is drawn")
            return
        for words in (("curve", folder), ("tree", folder, "best")):
            picture = os.path.join(folder, words[0] + ".svg")
            drawn = program("draw_curves.py", *words, picture, python=DEBIAN_PYTHON)
            self.assertEqual(drawn.returncode, 0, drawn.stderr)
            self.assertGreater(os.path.getsize(picture), 5000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
