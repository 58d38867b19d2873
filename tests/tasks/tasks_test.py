#!/usr/bin/env python3
"""The tasks in examples/tasks are sound: none is solved before anyone has worked on it, each one's
own solution is right, its visible tests tell the two apart, and its inputs come from the seed.

Usage: tasks_test.py SOURCE_DIR [FOLDER]. With FOLDER it looks at the tasks there.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import tomllib
import unittest

from evaluator import Pipes, as_line, load_evaluator

SOURCE = pathlib.Path(sys.argv.pop(1))
EVALUATOR = load_evaluator(SOURCE)
FOLDER = pathlib.Path(sys.argv.pop(1)) if sys.argv[1:] else SOURCE / "examples/tasks"
TASKS, SECONDS, STAGES = EVALUATOR.load(FOLDER)
SEEDS = ("1", "18446744073709551615")


class Tasks(unittest.TestCase):
    def in_place(self, task, solved):
        folder = tempfile.TemporaryDirectory(prefix="germline-task-")
        self.addCleanup(folder.cleanup)
        place = folder.name + "/repository"
        task.lay_out(place, solved)
        return place

    def each(self):
        for task in TASKS:
            with self.subTest(task=task.name):
                yield task

    def share(self, task, place, seed):
        """The share of the cases that the program there passes; one that is too slow fails."""
        cases = task.cases(seed)
        passed = 0
        for case, right in zip(cases, task.answers(cases)):
            try:
                passed += EVALUATOR.judge(task, case, right, dict(zip(
                    ("stdout", "exit"), task.execute(place, *case, task.run_seconds))))
            except subprocess.TimeoutExpired:
                return passed / len(cases)  # it has failed one, and the others would take long
        return passed / len(cases)

    def test_all_are_named_and_have_the_time_that_they_need(self):
        folders = sorted(path.parent.name for path in FOLDER.glob("*/task.toml"))
        self.assertEqual(sorted(task.name for task in TASKS), folders)
        self.assertTrue(all(0 < stage["tasks"] < len(TASKS) for stage in STAGES))
        self.assertLessEqual(sum(task.work_seconds for task in TASKS), SECONDS)

    def test_the_task_solver_is_the_built_in_genome_with_a_fitness(self):
        solver, builtin = (tomllib.loads((SOURCE / folder / "genome.toml").read_text())
                           for folder in ("examples/task-solver", "worker/agent"))
        self.assertEqual(solver.pop("fitness")["command"], "protected/evaluate")
        self.assertEqual(solver["genome"].pop("name"), "task-solver")
        del builtin["genome"]["name"]
        self.assertEqual(solver, builtin)

    def test_the_repository_does_not_pass_and_the_solution_does(self):
        for task in self.each():
            share = self.share(task, self.in_place(task, solved=False), SEEDS[0])
            print(f"{task.name}: untouched {share:.0%}", file=sys.stderr)
            self.assertLessEqual(share, 0.4)
            for seed in SEEDS:
                self.assertEqual(self.share(task, self.in_place(task, solved=True), seed), 1)

    def test_visible_tests_tell_whether_it_is_solved(self):
        for task in self.each():
            for solved in (False, True):
                done = subprocess.run(["sh", "-c", task.test], cwd=self.in_place(task, solved),
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode == 0, solved, done.stderr)

    def test_inputs_come_from_the_seed(self):
        for task in self.each():
            first, again, other = (task.cases(seed) for seed in (SEEDS[0], *SEEDS))
            self.assertEqual(first, again)
            self.assertNotEqual(first, other)

    def test_last_line_ends_do_not_count(self):
        for task in self.each():
            cases = task.cases(SEEDS[0])
            for case, right in zip(cases, task.answers(cases)):
                for output in (right[0] + "\n\n", right[0].rstrip("\n")):
                    self.assertTrue(task.accepts(*case, right, (output, right[1])), case)

    def sent(self, task):
        """All that the evaluator sends of a task, to a candidate that answers nothing rightly."""
        requests = []

        def behave(lines, say):
            for line in lines:
                requests.append(json.loads(line))
                say(as_line({"id": requests[-1]["id"], "exit": 99, "stdout": ""}))
        pipes = Pipes(behave)
        candidate = EVALUATOR.Candidate(pipes.read_fd, pipes.write_fd, time.monotonic() + 100)
        EVALUATOR.measure(task, candidate, SEEDS[0])
        pipes.close()
        return requests

    def test_nothing_hidden_is_in_what_a_candidate_gets(self):
        def lines(folder, pattern):
            return {line.strip() for path in folder.rglob(pattern) if path.is_file()
                    for line in path.read_text().splitlines() if len(line.strip()) >= 12}
        for task in self.each():
            solve, *runs = self.sent(task)
            shown = task.folder / "repository"
            self.assertEqual({each["path"]: each["text"].encode() for each in solve["files"]},
                             {str(path.relative_to(shown)): path.read_bytes()
                              for path in shown.rglob("*")
                              if path.is_file() and "__pycache__" not in path.parts})
            self.assertEqual([(each["arguments"], each["stdin"]) for each in runs],
                             task.cases(SEEDS[0]))
            self.assertEqual({frozenset(each) for each in runs},
                             {frozenset(("id", "do", "arguments", "stdin", "seconds"))})
            secret = lines(task.folder / "hidden", "*.*") - lines(shown, "*")
            self.assertTrue(secret)
            texts = [solve["title"], solve["text"], solve["test"], *solve["run"],
                     *(each["text"] for each in solve["files"])]
            self.assertEqual(solve.keys(), {"id", "do", "task", "title", "text", "files", "run",
                                            "test", "seconds"})
            self.assertFalse([line for line in secret if any(line in text for text in texts)])


if __name__ == "__main__":
    unittest.main(verbosity=2)
