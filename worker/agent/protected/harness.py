"""Runs behaviours against the agent: a scratch folder each, a scripted model, the JUnit report.

It knows how to drive an agent, not what is expected of one (behaviours.py).
"""
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from xml.sax.saxutils import quoteattr

import scripted_model

AGENT = os.path.join(os.path.abspath(os.environ["GERMLINE_ARTEFACT_DIR"]), "build/release/agent")
PREFIX = shlex.split(os.environ.get("GERMLINE_AS_CANDIDATE", ""))
TIMEOUT_S = 200  # a bound for what hangs, not for what is slow: a tenth of the usual speed passes


class Failure(Exception):
    """A behaviour is not as it must be."""


def expect(truth, message):
    if not truth:
        raise Failure(message)


class Stage:
    """One scratch folder that the candidate may write, with a home, and on demand a clone."""

    def __init__(self, folder):
        self.folder = folder
        self.workspace = os.path.join(folder, "workspace")
        self.task_path = os.path.join(folder, "task.json")
        self.environment = {
            "PATH": "/usr/bin:/bin", "HOME": os.path.join(folder, "home"), "TMPDIR": folder,
            "LANG": "C.UTF-8", "GERMLINE_TASK": self.task_path,
            "GIT_AUTHOR_NAME": "agent", "GIT_AUTHOR_EMAIL": "agent@invalid",
            "GIT_COMMITTER_NAME": "agent", "GIT_COMMITTER_EMAIL": "agent@invalid"}
        self.write_task()

    def write_task(self, **members):
        deadline = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
        task = {
            "contract": 1, "run_id": "run_p", "lineage_id": "lin_p", "item_id": "itm_p",
            "attempt_id": "att_p", "number": 1, "parent_generation": "gen_p", "goal": None,
            "goal_hints": [], "notes": [], "inspirations": [], "deadline_utc": deadline,
            "wall_time_ms": 600000, "random_seed": 1, "workspace": self.workspace,
            "budget": {"max_requests": 100, "max_output_tokens": 1000000, "budget_nanousd": 0},
            "branch": "lineage", "remote": "origin", "model": "scripted",
            "context_path": "agent_context.json", "build_command": "true", "test_command": "true"}
        task.update(members)
        with open(self.task_path, "w", encoding="utf-8") as out:
            json.dump(task, out)
        os.chmod(self.task_path, 0o644)

    def candidate(self, arguments, stdin="", **environment):
        """Runs a command as the candidate; its outcome."""
        directory = self.workspace if os.path.isdir(self.workspace) else self.folder
        return subprocess.run(
            PREFIX + arguments, input=stdin.encode(), capture_output=True, timeout=TIMEOUT_S,
            cwd=directory, env={**self.environment, **environment}, check=False)

    def shell(self, script):
        """Runs a script as the candidate; its output. The script must succeed."""
        done = self.candidate(["bash", "-euc", script])
        expect(done.returncode == 0, f"the stage's own script failed: {done.stderr[-300:]!r}")
        return done.stdout.decode(errors="replace")

    def clone(self, files=None, history=()):
        """Makes origin and the workspace, with a small genome in it."""
        context = {"goalState": "Greet better.", "history": list(history), "kept": [1]}
        self.shell(f"""
            mkdir -p {self.folder}/home && cd {self.folder}
            git init -q --bare -b lineage origin.git && git init -q -b lineage workspace
            cd workspace && git remote add origin ../origin.git
            mkdir protected && echo guard > protected/run && echo 'schema = 1' > genome.toml
            printf '%s' {shlex.quote(json.dumps(context))} > agent_context.json""")
        for name, content in {"greeting.txt": "hello\n", **(files or {})}.items():
            self.shell(f"cd {self.workspace}; printf '%s' {shlex.quote(content)} > {name}")
        self.shell("git add -A && git commit -qm seed && git push -q origin HEAD:lineage")
        self.seed = self.shell("git rev-parse HEAD").strip()

    def pushed(self, path):
        """A file's content in what was pushed."""
        return self.shell(f"git --git-dir {self.folder}/origin.git show lineage:{path}")

    def pushed_paths(self):
        """What differs between the seed and what was pushed."""
        return self.shell(f"git --git-dir {self.folder}/origin.git diff --name-only "
                          f"{self.seed} lineage").split()

    def tool(self, name, *inputs):
        """Calls a tool of the agent, in one process; its results."""
        os.makedirs(self.folder, exist_ok=True)
        self.shell(f"mkdir -p {self.workspace} {self.folder}/home")
        text = "".join(json.dumps(each) + "\n" for each in inputs)
        done = self.candidate([AGENT, "tool", name], stdin=text)
        results = [json.loads(line) for line in done.stdout.decode().splitlines()]
        expect(len(results) == len(inputs), f"{len(inputs)} calls gave {len(results)} results")
        return results

    def task_mode(self, answer, *requests):
        """The answers to the lines of an evaluator, against the model `answer`; (answers, requests)."""
        self.shell(f"mkdir -p {self.workspace} {self.folder}/home")
        text = "".join(json.dumps(each) + "\n" for each in requests)
        with scripted_model.Server(answer) as server:
            done = self.candidate([AGENT, "task"], stdin=text, ANTHROPIC_BASE_URL=server.url,
                                  ANTHROPIC_API_KEY="token", GERMLINE_MODEL="scripted")
            answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
            expect(len(answers) == len(requests), f"{len(requests)} lines, {len(answers)} answers")
            return answers, server.requests

    def iterate(self, answer):
        """One iteration against the model `answer(request) -> reply`; (exit code, requests)."""
        with scripted_model.Server(answer) as server:
            done = self.candidate([AGENT], ANTHROPIC_BASE_URL=server.url, ANTHROPIC_API_KEY="token")
            return done.returncode, server.requests


def run_one(behaviour):
    scratch = os.environ.get("GERMLINE_SCRATCH") or tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="protected-", dir=scratch)
    os.chmod(folder, 0o777)
    try:
        behaviour(Stage(folder))
        return None
    except Failure as failure:
        return str(failure)
    except subprocess.TimeoutExpired:
        return f"it did not end within {TIMEOUT_S} s"
    except Exception as wrong:  # whatever the candidate provokes is its failure, not the harness's
        return f"{type(wrong).__name__}: {wrong}"


def run_all(module, filters):
    cases, failures = [], 0
    for name, behaviour in vars(module).items():
        if not name.startswith("it_") or not all(part in name for part in filters):
            continue
        started = time.monotonic()
        problem = run_one(behaviour)
        spent = f'{time.monotonic() - started:.2f}'
        print(f"{'ok  ' if problem is None else 'FAIL'} {name} ({spent} s) {problem or ''}",
              file=sys.stderr)
        failures += problem is not None
        inner = "" if problem is None else f"<failure message={quoteattr(problem[:2000])}/>"
        cases.append(f'<testcase classname="protected" name="{name}" time="{spent}">{inner}'
                     "</testcase>")
    report = (f'<?xml version="1.0"?>\n<testsuite name="protected" tests="{len(cases)}" '
              f'failures="{failures}">\n' + "\n".join(cases) + "\n</testsuite>\n")
    with os.fdopen(int(os.environ["GERMLINE_REPORT_FD"]), "w", encoding="utf-8") as out:
        out.write(report)
    return 1 if failures or not cases else 0
