import pathlib
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(__file__).parent.parent / "versions.py"


def run(word, *versions):
    done = subprocess.run([sys.executable, PROGRAM, word], input="\n".join(versions) + "\n",
                          capture_output=True, text=True, check=False)
    return done.stdout.split(), done.returncode


class Versions(unittest.TestCase):
    def test_numbers(self):
        self.assertEqual(run("sort", "1.10.0", "1.9.0", "0.99.3"),
                         (["0.99.3", "1.9.0", "1.10.0"], 0))

    def test_prereleases(self):
        self.assertEqual(run("sort", "1.0.0", "1.0.0-rc.1", "1.0.0-rc", "1.0.0-2"),
                         (["1.0.0-2", "1.0.0-rc", "1.0.0-rc.1", "1.0.0"], 0))

    def test_newest(self):
        self.assertEqual(run("newest", "2.0.0-beta", "1.4.0", "1.3.9"), (["1.4.0"], 0))

    def test_no_version(self):
        self.assertEqual(run("sort", "1.0.0", "1.0"), ([], 2))


if __name__ == "__main__":
    unittest.main()
