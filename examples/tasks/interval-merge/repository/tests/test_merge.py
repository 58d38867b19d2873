import pathlib
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(__file__).parent.parent / "merge.py"


def merge(text):
    return subprocess.run([sys.executable, PROGRAM], input=text, capture_output=True, text=True,
                          check=True).stdout


class Merge(unittest.TestCase):
    def test_apart(self):
        self.assertEqual(merge("1 2\n5 7\n"), "1 2\n5 7\ntotal 3\n")

    def test_overlapping(self):
        self.assertEqual(merge("1 4\n3 6\n"), "1 6\ntotal 5\n")

    def test_touching(self):
        self.assertEqual(merge("1 3\n3 5\n"), "1 5\ntotal 4\n")


if __name__ == "__main__":
    unittest.main()
