import pathlib
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(__file__).parent.parent / "days.py"


def days(*lines):
    return subprocess.run([sys.executable, PROGRAM], input="\n".join(lines) + "\n",
                          capture_output=True, text=True, check=False).stdout.split()


class Days(unittest.TestCase):
    def test_over_a_weekend(self):
        self.assertEqual(days("add 2024-03-01 1", "add 2024-03-02 1"), ["2024-03-04", "2024-03-04"])

    def test_backwards(self):
        self.assertEqual(days("add 2024-03-04 -1"), ["2024-03-01"])

    def test_holidays(self):
        self.assertEqual(days("holiday 2024-12-25", "add 2024-12-24 1"), ["2024-12-26"])

    def test_counting(self):
        self.assertEqual(days("count 2024-03-01 2024-03-05", "count 2024-03-05 2024-03-01"),
                         ["2", "-2"])

    def test_no_date(self):
        self.assertEqual(days("add 2023-02-29 1", "add 2023-02-28 1"), ["?", "2023-03-01"])


if __name__ == "__main__":
    unittest.main()
