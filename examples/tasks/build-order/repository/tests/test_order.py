import pathlib
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(__file__).parent.parent / "order.py"


def order(text):
    done = subprocess.run([sys.executable, PROGRAM], input=text, capture_output=True, text=True,
                          check=False)
    return done.stdout.splitlines(), done.returncode


class Order(unittest.TestCase):
    def test_a_chain(self):
        self.assertEqual(order("a: b\nb: c\nc:\n"), (["c", "b", "a"], 0))

    def test_what_has_no_line(self):
        self.assertEqual(order("a: b\n"), (["b", "a"], 0))

    def test_a_cycle(self):
        lines, code = order("a: b\nb: a\n")
        self.assertEqual(code, 1)
        self.assertIn(lines, (["cycle: a b a"], ["cycle: b a b"]))


if __name__ == "__main__":
    unittest.main()
