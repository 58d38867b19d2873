import pathlib
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(__file__).parent.parent / "columns.py"


def columns(most, *rows):
    done = subprocess.run([sys.executable, PROGRAM, str(most)], capture_output=True, check=True,
                          input="".join("\t".join(row) + "\n" for row in rows).encode(),
                          env={"PYTHONUTF8": "1"})
    return done.stdout.decode().split("\n")[:-1]


class Columns(unittest.TestCase):
    def test_plain(self):
        self.assertEqual(columns(20, ["a", "b"], ["long", "c"]), ["a     b", "long  c"])

    def test_wide_characters(self):
        self.assertEqual(columns(20, ["日本", "x"], ["abc", "y"]), ["日本  x", "abc   y"])

    def test_marks(self):
        self.assertEqual(columns(20, ["e\u0301", "x"], ["ab", "y"]), ["e\u0301   x", "ab  y"])

    def test_cutting(self):
        self.assertEqual(columns(4, ["abcdef", "日本語"]), ["abc…  日…"])


if __name__ == "__main__":
    unittest.main()
