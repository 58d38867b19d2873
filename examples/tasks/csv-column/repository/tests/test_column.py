import pathlib
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(__file__).parent.parent / "column.py"


def column(name, text):
    done = subprocess.run([sys.executable, PROGRAM, name], input=text.encode(),
                          capture_output=True, check=False)
    return done.stdout.decode(), done.returncode


class Column(unittest.TestCase):
    def test_plain(self):
        self.assertEqual(column("b", "a,b\n1,2\n3,4\n"), ('"2"\n"4"\n', 0))

    def test_quoted(self):
        self.assertEqual(column("b", 'a,b\n"x,y","say ""hi"""\n'), ('"say \\"hi\\""\n', 0))

    def test_unended(self):
        self.assertEqual(column("a", 'a\n1\n"2\n'), ('"1"\n', 2))


if __name__ == "__main__":
    unittest.main()
