#!/usr/bin/env python3
"""The evaluator for tasks against candidates of every kind: what each answer gives, and that none
of them stops it, keeps it, or makes it hold more than its bound.

Usage: evaluate_test.py SOURCE_DIR.
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import unittest

from evaluator import PLACE, Pipes, as_line, load_evaluator

SOURCE = pathlib.Path(sys.argv.pop(1))
EVALUATOR = load_evaluator(SOURCE)
EVALUATOR.GRACE_S = 1  # what is late is so by half of it: a busy machine has the other half
MIB = 1 << 20

TASK = """\
schema = 1
title = "Doubles"
text = "Print twice what you read."
run = ["python3", "double.py"]
test = "true"
work_seconds = {work}
run_seconds = 0
"""
CASES = """\
def cases(random):
    for _ in range(4):
        yield [], str(random.randrange(10**9))
"""
SOLUTION = "print(2 * int(input()))\n"


def answering(change=lambda request, answer: as_line(answer)):
    """A candidate that doubles at once; `change` says what it makes of each answer."""
    def behave(lines, say):
        for line in lines:
            request = json.loads(line)
            answer = {"id": request["id"]}
            if request["do"] == "run":
                answer.update(exit=0, stdout=f"{2 * int(request['stdin'])}\n")
            say(change(request, answer))
    return behave


def to_the_second_run(wrong):
    """One that says that in place of its second answer to a run in each task."""
    runs = []

    def change(request, answer):
        runs[:] = [] if request["do"] == "solve" else [*runs, 1]
        return wrong(answer) if len(runs) == 2 else as_line(answer)
    return answering(change)


class Evaluate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="germline-tasks-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.make()

    def make(self, names=("one", "two"), work=0, seconds=20, more=""):
        for name in names:
            task = self.folder / name
            for part in ("repository", "hidden/solution"):
                (task / part).mkdir(parents=True, exist_ok=True)
            (task / "task.toml").write_text(TASK.format(work=work))
            (task / "repository/double.py").write_text("print(1)\n")
            (task / "hidden/cases.py").write_text(CASES)
            (task / "hidden/solution/double.py").write_text(SOLUTION)
        (self.folder / "tasks.toml").write_text(
            f"schema = 1\ntasks = {json.dumps(names)}\nseconds = {seconds}\n{more}")

    def report(self, behave, most_seconds=100):
        pipes = Pipes(behave)
        self.addCleanup(pipes.close)
        return EVALUATOR.evaluate(self.folder, "7", pipes.read_fd, pipes.write_fd, most_seconds)

    def shares(self, behave, most_seconds=100):
        return list(self.report(behave, most_seconds)["cases"].values())

    def test_who_is_right_has_all(self):
        report = self.report(answering())
        self.assertEqual(report["score"], 1)
        self.assertEqual(report["cases"], {"one": 1, "two": 1})
        self.assertEqual((report["metrics"]["solved"], report["metrics"]["tried"]), (2, 2))

    def test_a_candidate_gets_the_repository_and_inputs_alone(self):
        seen = []
        self.report(answering(lambda request, answer: seen.append(request) or as_line(answer)))
        self.assertEqual([each["id"] for each in seen], list(range(1, 11)))
        self.assertEqual(seen[0]["files"],
                         [{"path": "double.py", "text": "print(1)\n", "executable": False}])
        self.assertNotIn("input()", json.dumps(seen))
        self.assertNotEqual(seen[1]["stdin"], seen[6]["stdin"])

    def test_one_wrong_answer_costs_one_case(self):
        wrongs = {
            "another text": lambda a: as_line({**a, "stdout": a["stdout"] + "x"}),
            "another exit code": lambda a: as_line({**a, "exit": 1}),
            "a truth for a number": lambda a: as_line({**a, "exit": False}),
            "a number for a text": lambda a: as_line({**a, "stdout": int(a["stdout"])}),
            "it was not run": lambda a: as_line({"id": a["id"], "problem": "time"}),
            "nothing in it": lambda a: as_line({"id": a["id"]}),
            "no object": lambda _: b"[1]\n",
            "no JSON": lambda _: b"\xff\xfe{\n",
            "not a number": lambda a: as_line({**a, "exit": float("nan")}),
            "deep": lambda _: b"[" * 500_000 + b"\n",
            "a long number": lambda _: b'{"id": ' + b"9" * 500_000 + b"}\n",
            "half a surrogate": lambda a: as_line({**a, "stdout": "\ud800"}),
            "too long": lambda a: as_line({**a, "stdout": "x" * 3 * MIB}),
        }
        for name, wrong in wrongs.items():
            with self.subTest(name):
                self.assertEqual(self.shares(to_the_second_run(wrong)), [0.75, 0.75])

    def test_answers_to_something_else_are_passed_over(self):
        def noisy(_, answer):
            others = (-1, answer["id"] + 1, True, "1", None, 10**30)
            return b"".join(as_line({**answer, "id": each, "stdout": "x"})
                            for each in others) + as_line(answer)
        self.assertEqual(self.shares(answering(noisy)), [1, 1])

    def test_a_late_answer_costs_its_case_and_is_passed_over(self):
        def late(answer):
            time.sleep(1.5)
            return as_line(answer)
        self.assertEqual(self.shares(to_the_second_run(late)), [0.75, 0.75])

    def test_no_answer_costs_its_case(self):
        self.assertEqual(self.shares(to_the_second_run(lambda _: b"")), [0.75, 0.75])

    def test_work_that_is_late_costs_its_task(self):
        def slow(request, answer):
            if request.get("task") == "one":
                time.sleep(1.5)
            return as_line(answer)
        self.assertEqual(self.shares(answering(slow)), [0, 1])

    def test_who_says_nothing_costs_the_time_of_the_work_alone(self):
        began = time.monotonic()
        self.assertEqual(self.shares(lambda lines, _: [None for _ in lines]), [0, 0])
        self.assertLess(time.monotonic() - began, 6)

    def test_who_ends_has_what_it_had(self):
        def ends(request, answer):
            if request.get("task") == "two":
                raise BrokenPipeError
            return as_line(answer)
        self.assertEqual(self.shares(answering(ends)), [1, 0])
        self.assertEqual(self.shares(lambda *_: None), [0, 0])

    def test_who_does_not_read_is_not_waited_for(self):
        # More than a pipe holds, so the evaluator cannot get rid of it.
        (self.folder / "one/repository/big").write_text("x" * 500_000)
        self.assertEqual(self.shares(lambda lines, say: time.sleep(3)), [0, 0])

        def naps(lines, say):
            time.sleep(1.5)
            answering()(lines, say)
        self.assertEqual(self.shares(naps), [0, 1])

    def test_a_flood_ends_with_the_time_and_is_not_kept(self):
        self.make(seconds=2)
        for flood in (b"x" * 65536, b"{}\n" * 20000, b"\n" * 65536, b"[" * 65536):
            with self.subTest(flood[:3]):
                def behave(_, say, flood=flood):
                    while True:
                        say(flood)
                began = time.monotonic()
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                self.assertEqual(self.shares(behave), [0, 0])
                self.assertLess(time.monotonic() - began, 5)
                grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
                self.assertLess(grown, 32 * 1024)

    def test_the_time_for_all_tasks_ends_it(self):
        for seconds, most in ((1, 100), (100, 1)):
            self.make(work=10, seconds=seconds)
            began = time.monotonic()
            self.assertEqual(self.shares(lambda lines, _: [None for _ in lines], most), [0, 0])
            self.assertLess(time.monotonic() - began, 5)

    def test_what_is_held_out_may_be_read_only(self):
        for path in (self.folder / "one").rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        (task, _), _, _ = EVALUATOR.load(self.folder)
        place = self.folder / "laid-out"
        task.lay_out(place, solved=True)
        self.assertEqual((place / "double.py").read_text(), SOLUTION)
        for path in (place, place / "double.py"):
            self.assertTrue(path.stat().st_mode & 0o200)

    def test_stages(self):
        stage = "[[stages]]\ntasks = 1\nshare = 0.5\n"
        self.make(more=stage)
        report = self.report(to_the_second_run(lambda _: b"[]\n"))
        self.assertEqual((report["score"], report["metrics"]["tried"]), (0.75, 2))
        report = self.report(answering(lambda request, answer: b"[]\n"))
        self.assertEqual((report["score"], report["metrics"]["tried"]), (0, 1))
        self.assertEqual(report["cases"], {"one": 0, "two": 0})

    def test_a_task_that_is_wrong_is_named(self):
        def refused(name, text, says):
            path = self.folder / name
            old = path.read_text()
            path.write_text(text)
            with self.assertRaises(SystemExit) as told:
                self.report(answering())
            path.write_text(old)
            self.assertIn(says, str(told.exception))
        task = (self.folder / "one/task.toml").read_text()
        refused("one/task.toml", task + "sceonds = 1\n", "there is no key sceonds")
        refused("one/task.toml", task.replace('title = "Doubles"\n', ""), "title is missing")
        refused("one/task.toml", task.replace('"true"', "1"), "test is not of type str")
        refused("one/task.toml", task.replace("schema = 1", "schema = 2"), "schema is 2")
        refused("one/task.toml", "schema", "cannot be read")
        refused("tasks.toml", 'schema = 1\ntasks = ["one"]\nseconds = 1\nstages = [1]\n',
                "a stage is")
        refused("one/task.toml", task.replace('"python3", "double.py"', "1"),
                "one/task.toml: run is not a list of texts")
        refused("tasks.toml", "schema = 1\ntasks = []\nseconds = 1\n", "tasks is not a list")
        cases = "one/hidden/cases.py"
        refused(cases, "def cases(random):\n    return []\n", "0 cases")
        refused(cases, "cases = ", "hidden/cases.py cannot be run: SyntaxError: ")
        refused(cases, "", "there is no function cases(random)")
        for line, says in (("raise KeyError(7)", "KeyError: 7"), ("yield 1", "TypeError: "),
                           ("yield [1], ''", "TypeError: "), ("yield [], b''", "TypeError: "),
                           ("yield [], '\\ud800'", "UnicodeEncodeError: ")):
            refused(cases, f"def cases(random):\n    {line}\n",
                    f"one: cases(random) yields no pairs of arguments and standard input: {says}")
        refused(cases, "def cases(random):\n    yield ['\\0'], ''\n",
                "one: its own solution cannot be run: ")

    def test_files_are_sent_as_they_are(self):
        repository = self.folder / "one/repository"
        (repository / "lines").write_bytes(b"a\r\nb\rc\n")
        (task, _), _, _ = EVALUATOR.load(self.folder)
        self.assertIn("a\r\nb\rc\n", [each["text"] for each in task.files()])
        (repository / "latin").write_bytes(b"\xe4")
        with self.assertRaises(SystemExit) as told:
            self.report(answering())
        self.assertIn("one: repository/latin is not UTF-8", str(told.exception))

    def test_the_program_writes_the_score_to_its_descriptor(self):
        read_end, write_end = os.pipe()
        environment = {**os.environ, "GERMLINE_SCORE_FD": str(write_end),
                       "GERMLINE_RANDOM_SEED": "7", "GERMLINE_WALL_TIME_MS": "20000"}
        done = subprocess.run([SOURCE / PLACE], env=environment, pass_fds=[write_end],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("germline run --held-out FOLDER", done.stderr)
        done = subprocess.run([SOURCE / PLACE], pass_fds=[write_end], stdin=subprocess.DEVNULL,
                              env={**environment, "GERMLINE_HELD_OUT": str(self.folder)},
                              capture_output=True, text=True, check=True)
        os.close(write_end)
        with os.fdopen(read_end) as report:
            self.assertEqual(json.load(report)["score"], 0)
        self.assertEqual(done.stderr.splitlines()[0], "one: 0% in 0 s, 4 ended")


if __name__ == "__main__":
    unittest.main(verbosity=2)
