"""Runs the unit tests and writes JUnit XML to build/junit.xml."""
import os
import sys
import unittest
from xml.sax.saxutils import quoteattr

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(here), "agent"))


class Recorder(unittest.TextTestResult):
    """Remembers how each test ended."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.endings = {}

    def startTest(self, test):
        self.endings[test.id()] = None
        super().startTest(test)

    def addFailure(self, test, err):
        self.endings[test.id()] = f"{err[0].__name__}: {err[1]}"
        super().addFailure(test, err)

    def addError(self, test, err):
        self.endings[test.id()] = f"{err[0].__name__}: {err[1]}"
        super().addError(test, err)


def main():
    suite = unittest.defaultTestLoader.discover(here, pattern="*_test.py")
    outcome = unittest.TextTestRunner(resultclass=Recorder).run(suite)
    cases = []
    for name, problem in outcome.endings.items():
        inner = "" if problem is None else f"<failure message={quoteattr(problem[:500])}/>"
        cases.append(f'<testcase classname="own" name="{name}">{inner}</testcase>')
    os.makedirs("build", exist_ok=True)
    with open("build/junit.xml", "w", encoding="utf-8") as report:
        report.write(f'<testsuite name="own" tests="{len(cases)}">\n' + "\n".join(cases) +
                     "\n</testsuite>\n")
    return 0 if cases and outcome.wasSuccessful() else 1


sys.exit(main())
