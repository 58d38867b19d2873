"""The evaluator for tasks as a module, and candidates for it. No sandbox."""
import importlib.machinery
import importlib.util
import json
import os
import sys
import threading

PLACE = "examples/task-solver/protected/evaluate"


def load_evaluator(source):
    loader = importlib.machinery.SourceFileLoader("evaluate", str(source / PLACE))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("evaluate", loader))
    sys.dont_write_bytecode = True  # beside it lies a genome
    loader.exec_module(module)
    return module


class Pipes:
    """An evaluator's two descriptors, with a candidate `behave(lines, say)` at their other ends:
    `lines` gives what it is asked, `say` takes bytes. It ends when `behave` does."""

    def __init__(self, behave):
        self.read_fd, candidate_out = os.pipe()
        candidate_in, self.write_fd = os.pipe()

        def run():
            with os.fdopen(candidate_in, "rb") as asked, os.fdopen(candidate_out, "wb", 0) as said:
                try:
                    behave(asked, said.write)
                except (BrokenPipeError, ValueError):  # the evaluator has ended, in mid-line maybe
                    pass
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def close(self):
        os.close(self.read_fd)
        os.close(self.write_fd)
        self.thread.join(10)


def as_line(value):
    return json.dumps(value).encode() + b"\n"
