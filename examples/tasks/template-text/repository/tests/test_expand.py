import pathlib
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(__file__).parent.parent / "expand.py"


def expand(template, *values):
    done = subprocess.run([sys.executable, PROGRAM, *values], input=template, capture_output=True,
                          text=True, check=False)
    return done.stdout, done.returncode


class Expand(unittest.TestCase):
    def test_values(self):
        self.assertEqual(expand("${a}-$b.\n", "a=1", "b=x=y"), ("1-x=y.\n", 0))

    def test_defaults(self):
        self.assertEqual(expand("${a:-no ${b}!}${c:+yes}", "b=2"), ("no 2!", 0))

    def test_escapes(self):
        self.assertEqual(expand("$$a}$}"), ("$a}}", 0))

    def test_errors(self):
        self.assertEqual(expand("$a"), ("", 3))
        self.assertEqual(expand("$a ${b"), ("", 2))


if __name__ == "__main__":
    unittest.main()
