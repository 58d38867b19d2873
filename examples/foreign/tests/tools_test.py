import os
import tempfile
import unittest

import tools


class ToolsTest(unittest.TestCase):
    def setUp(self):
        self.before = os.getcwd()
        self.folder = tempfile.TemporaryDirectory()
        os.chdir(self.folder.name)
        with open("f", "w", encoding="utf-8", newline="") as file:
            file.write("one\r\ntwo\r\n")

    def tearDown(self):
        os.chdir(self.before)
        self.folder.cleanup()

    def test_replace_text_changes_one_place(self):
        self.assertEqual(tools.call("replace_text", {"path": "f", "old": "one", "new": "1"}),
                         ("edited f", False))
        self.assertEqual(tools.read_file("f"), "1\r\ntwo\r\n")

    def test_replace_text_demands_one_place(self):
        _, is_error = tools.call("replace_text", {"path": "f", "old": "o", "new": "0"})
        self.assertTrue(is_error)

    def test_wrong_calls_are_errors(self):
        for name, given in (("nothing", {}), ("read_file", {}), ("read_file", {"path": "none"})):
            self.assertTrue(tools.call(name, given)[1], name)

    def test_every_tool_is_described(self):
        for described in tools.offered():
            self.assertTrue(described["description"], described["name"])

    def test_list_files_leaves_built_ones_out(self):
        os.mkdir("build")
        with open("build/x", "w", encoding="utf-8"):
            pass
        self.assertEqual(tools.list_files(), "f")


if __name__ == "__main__":
    unittest.main()
