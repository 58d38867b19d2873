import pathlib
import subprocess
import sys
import time
import unittest

PROGRAM = pathlib.Path(__file__).parent.parent / "pairs.py"


def pairs(distance, numbers):
    return subprocess.run([sys.executable, PROGRAM, str(distance)], capture_output=True, text=True,
                          input=" ".join(map(str, numbers)), check=True).stdout.split()


class Pairs(unittest.TestCase):
    def test_few(self):
        self.assertEqual(pairs(2, [1, 3, 5, 9]), ["2", "2"])

    def test_equal_numbers(self):
        self.assertEqual(pairs(0, [4, 4, 4]), ["3", "2"])

    def test_many_in_time(self):
        began = time.monotonic()
        self.assertEqual(pairs(0, range(5000)), ["0", "0"])
        self.assertLess(time.monotonic() - began, 1)


if __name__ == "__main__":
    unittest.main()
