import pathlib
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(__file__).parent.parent / "cache.py"


def play(*commands):
    return subprocess.run([sys.executable, PROGRAM], input="".join(c + "\n" for c in commands),
                          capture_output=True, text=True, check=True).stdout.splitlines()


class Cache(unittest.TestCase):
    def test_it_holds_two(self):
        self.assertEqual(play("put a 1", "put b 2", "put c 3", "get a", "get c"), ["-", "3"])

    def test_getting_uses(self):
        self.assertEqual(play("put a 1", "put b 2", "get a", "put c 3", "keys"), ["1", "c a"])

    def test_deleting(self):
        self.assertEqual(play("put a 1", "delete a", "delete a", "get a"), ["deleted", "-", "-"])


if __name__ == "__main__":
    unittest.main()
