import pathlib
import subprocess
import unittest

PROGRAM = pathlib.Path(__file__).parent.parent / "report.sh"
LOG = """\
10:00 GET /a?page=2 200 512
10:01 GET /b 503 -
10:02 POST /a 201 58
what is this
10:03 GET /c 404 5
"""


def report(most, log):
    return subprocess.run(["sh", PROGRAM, str(most)], input=log, capture_output=True, text=True,
                          check=False).stdout.splitlines()


class Report(unittest.TestCase):
    def test_numbers(self):
        self.assertEqual(report(0, LOG), ["requests 4", "broken 1", "errors 1", "bytes 575"])

    def test_paths(self):
        self.assertEqual(report(2, LOG)[4:], ["2 /a", "1 /b"])

    def test_nothing(self):
        self.assertEqual(report(5, ""), ["requests 0", "broken 0", "errors 0", "bytes 0"])


if __name__ == "__main__":
    unittest.main()
