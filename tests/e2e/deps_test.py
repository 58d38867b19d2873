#!/usr/bin/env python3
"""End to end on one machine: a genome's [deps] are fetched with a real npm from a registry of the
test's own, once, and are there, read-only, in each of its sandboxes, which have no network.

Usage: deps_test.py GERMLINE_BINARY. Needs root, node and npm. Everything it starts it ends, by pid.
"""
import glob
import json
import os
import shutil
import sys
import threading
import time
import unittest

from fleet import Fleet, FleetApart, sandbox_pids
from registry import Package, Registry, write_npm_files

GERMLINE = sys.argv.pop(1)

LEAF = Package("quince-leaf", "2.0.1", {"index.js": "module.exports = 'leaf';\n"})
TREE = Package("@orchard/quince", "1.0.0", {
    "index.js": "module.exports = require('quince-leaf') + ' of a tree';\n",
    "cli.js": "#!/usr/bin/env node\nconsole.log(require('./index.js'));\n",
}, depends={"quince-leaf": "^2.0.0"}, program="quince")
PACKAGES = [LEAF, TREE]
WANTED = {"@orchard/quince": "1.0.0"}
NPM = "npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=0"

EVALUATOR = """#!/bin/sh
[ "$(/deps/node_modules/.bin/quince)" = "leaf of a tree" ] || exit 9
read -r rows
printf '{"score": %d}' "$rows" >&3
"""

DEPS = """
[deps]
files = ["package.json", "package-lock.json"]
command = '''%s'''
mirrors = ["%s"]
wall_time = "2m"
disk = "64MiB"
"""


class Deps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for program in ("node", "npm"):
            if not shutil.which(program):
                raise AssertionError(f"{program} is not installed; see tools/packages.txt")
        cls.registry = Registry(PACKAGES)
        cls.addClassCleanup(cls.registry.stop)
        cls.fleet = FleetApart(GERMLINE)
        cls.addClassCleanup(cls.fleet.stop)
        cls.fleet.environment["GERMLINE_WORKER_MIRRORS"] = f"npm={cls.registry.url}"
        cls.fleet.start()

    def setUp(self):
        self.registry.asked.clear()

    def genome(self, command=NPM, mirror="npm", packages=PACKAGES, salt=""):
        """The two-second genome, whose build, tests and runs need what is fetched."""
        place = self.fleet.genome()
        write_npm_files(self.fleet.write, place, packages, WANTED)
        command += salt and f" # {salt}"
        with open(place + "/genome.toml") as file:
            text = file.read().replace("[sandbox]", DEPS % (command, mirror) + "[sandbox]")
        self.fleet.write(place, "genome.toml", text)
        self.fleet.commit(place, "with dependencies")
        return place

    def uses(self, place, check='[ "$(/deps/node_modules/.bin/quince)" = "leaf of a tree" ]'):
        """Build, own tests, protected tests and each run of the agent fail without them."""
        for name in ("build.sh", "test.sh", "protected/run", "evolve.sh"):
            with open(f"{place}/{name}") as file:
                head, rest = file.read().split("\nset -", 1)
            self.fleet.write(place, name, f"{head}\n{check} || exit 9\nset -{rest}")
        self.fleet.commit(place, "uses them")
        return place

    def refused(self, place, says):
        run = self.fleet.run(place)
        tree, _ = self.fleet.settled(run, 1, 150)
        self.assertEqual(tree["run"]["found_state"], "refused")
        shown = tree["run"]["found_details"]
        for text in says:
            self.assertIn(text, shown)
        return shown

    def test_they_are_fetched_once_and_are_in_every_sandbox(self):
        place = self.genome()
        with open(place + "/genome.toml", "a") as file:
            file.write('\n[fitness]\ncommand = "protected/evaluate"\nrun = "build/evolve rows"\n')
        self.fleet.write(place, "protected/evaluate", EVALUATOR)
        os.chmod(place + "/protected/evaluate", 0o755)
        run = self.fleet.run(self.uses(place), 2)
        tree = self.fleet.measured(run, 2, 200)
        ended = [i for i in tree["iterations"] if i["kind"] == "WORK_KIND_ITERATE"]
        # The founder and two more, by an evaluator and a candidate that both need them.
        self.assertEqual([e["ending"] for e in tree["evaluations"]], ["ENDING_SCORED"] * 3,
                         json.dumps(tree["evaluations"], indent=1))
        self.assertEqual([i["ending"] for i in ended], ["ENDING_EVOLVED"] * 2,
                         json.dumps(tree, indent=1))
        # Each tarball once: the founding fetched them, no iteration did.
        tarballs = sorted(path for _, path in self.registry.asked if path.endswith(".tgz"))
        self.assertEqual(tarballs, sorted(package.path for package in PACKAGES))
        told = self.fleet.call("logs", run).stdout
        self.assertEqual(told.count("fetch_deps started"), 1, told)

    def test_a_wrong_hash_refuses_the_seed_in_the_words_of_npm(self):
        changed = Package("quince-leaf", "2.0.1", {"index.js": "module.exports = 'other';\n"})
        shown = self.refused(self.genome(packages=[changed, TREE]), ["EINTEGRITY"])
        self.assertIn("npm ci", shown)

    def test_a_file_that_is_not_there_refuses_the_seed(self):
        place = self.genome()
        os.remove(place + "/package-lock.json")
        self.fleet.commit(place, "without a lock")
        self.refused(place, ["package-lock.json", "no file of the seed"])

    def test_no_generation_may_change_the_files(self):
        place = self.genome(command="true", salt="protected")
        with open(place + "/evolve.sh") as file:
            text = file.read()
        self.fleet.write(place, "evolve.sh", text.replace(
            "evolve) learn", "evolve) [ \"$n\" = 0 ] || echo '{}' > package.json; learn"))
        self.fleet.commit(place, "changes them")
        _, ended = self.fleet.settled(self.fleet.run(place), 1)
        self.assertEqual(ended[0]["ending"], "ENDING_REJECTED")
        self.assertEqual(ended[0]["reason"], "protected")
        self.assertIn("package.json", ended[0]["details"])

    def restart_worker(self, mirrors):
        self.fleet.environment["GERMLINE_WORKER_MIRRORS"] = mirrors
        self.fleet.kill_and_restart("worker")
        self.fleet.await_worker()

    def told(self, run, words):
        def tells():
            text = self.fleet.call("tree", run).stdout
            return text if all(word in text for word in words) else None
        return self.fleet.wait(tells, f"the tree says {words}")

    def test_without_the_mirror_it_waits_and_says_what_is_missing(self):
        mirrors = self.fleet.environment["GERMLINE_WORKER_MIRRORS"]
        place = self.uses(self.genome(salt="later"))
        self.restart_worker("")
        run = self.fleet.run(place)
        self.told(run, ["no mirror `npm`", "--mirror npm=URL"])
        lineage = self.fleet.tree(run)["run"]["lineages"][0]["lineage_id"]
        self.fleet.call("pause", lineage)
        self.restart_worker(mirrors)
        self.fleet.wait(lambda: self.fleet.tree(run)["run"]["found_state"] == "founded", "founded")
        # A lineage whose layer is lost on a worker without the mirror pauses, and can be resumed.
        self.restart_worker("")
        for layer in self.layers():
            shutil.rmtree(layer)
        self.fleet.call("resume", lineage)
        self.assertIn("paused", self.told(run, ["no mirror `npm`", "then `germline resume lin_"]))
        self.restart_worker(mirrors)
        self.fleet.call("resume", lineage)
        tree, ended = self.fleet.settled(run, 1, 150)
        self.assertEqual(ended[0]["ending"], "ENDING_EVOLVED", json.dumps(tree, indent=1))

    def test_a_mirror_that_is_away_is_no_verdict(self):
        self.registry.broken = True
        run = self.fleet.run(self.genome(salt="away"))
        self.fleet.wait(lambda: self.registry.asked, "it was asked")
        self.registry.broken = False
        tree, ended = self.fleet.settled(run, 1, 200)
        self.assertEqual(ended[0]["ending"], "ENDING_EVOLVED", json.dumps(tree, indent=1))

    def test_kill_ends_a_fetch_at_once(self):
        self.registry.hold = threading.Event()
        try:
            run = self.fleet.run(self.genome(salt="killed"))
            self.fleet.wait(lambda: self.registry.asked, "the fetch is under way")
            self.assertIn("fetch_deps", self.fleet.call("logs", run).stdout)
            began = time.monotonic()
            killed = self.fleet.call("kill", run)
            self.assertLess(time.monotonic() - began, 10)
            self.assertIn("killed", killed.stdout + killed.stderr)
            self.assertEqual(sandbox_pids(), [])
        finally:
            self.registry.hold.set()
            self.registry.hold = None

    def hostile(self, name, script, says):
        """What a command that does that is told, and that nothing of it was kept."""
        layers = self.layers()
        place = self.genome(command="python3 package.json", salt=name)
        self.fleet.write(place, "package.json", script)
        self.fleet.commit(place, name)
        shown = self.refused(place, says)
        self.assertEqual(self.layers(), layers)
        return shown

    def layers(self):
        return set(glob.glob(self.fleet.state + "/worker/exports/deps/*"))

    def test_a_hostile_command_gets_nothing(self):
        with open("/etc/hostname") as file:
            here = file.read().strip()
        shown = self.hostile("out", """
import os, socket, urllib.error, urllib.request
mirror = os.environ['GERMLINE_MIRROR_NPM']
def tried(what, do):
    try:
        print(what, 'GOT', do())
    except urllib.error.HTTPError as error:
        print(what, 'is refused:', error.code, error.read(300).decode())
    except OSError as error:
        print(what, 'fails:', error)
ask = lambda *given: urllib.request.urlopen(urllib.request.Request(*given), timeout=5).status
tried('post', lambda: ask(mirror + '/quince-leaf', b'secret'))
tried('audit', lambda: ask(mirror + '/-/npm/v1/security/audits'))
tried('query', lambda: ask(mirror + '/quince-leaf?stolen=words'))
tried('escape', lambda: ask(mirror + '/../../etc/passwd'))
tried('other', lambda: socket.create_connection(('127.0.0.1', %d), 3))
tried('far', lambda: socket.create_connection(('192.0.2.1', 80), 3))
tried('name', lambda: socket.getaddrinfo('packages.invalid', 80))
tried('shadow', lambda: open('/etc/shadow').read())
print('hostname', open('/etc/hostname').read() if os.path.exists('/etc/hostname') else 'none')
raise SystemExit(3)
""" % self.registry.server.server_port, [
            "post is refused: 4", "audit is refused: 403", "query is refused: 403",
            "escape is refused: 403", "other fails:", "far fails:", "name fails:",
            "shadow fails:", "exit code 3"])
        self.assertNotIn("GOT", shown)
        if len(here) > 3:
            self.assertNotIn(f"hostname {here}", shown)
        self.assertEqual(self.registry.asked, [])

    def test_what_leads_out_of_the_folder_is_not_kept(self):
        self.hostile("absolute", "import os\nos.symlink('/etc/passwd', 'out')\n",
                     ["'out'", "/etc/passwd", "stays inside"])
        self.hostile("above", "import os\nos.mkdir('a')\nos.symlink('../../etc', 'a/out')\n",
                     ["'a/out'", "stays inside"])
        self.hostile("pipe", "import os\nos.mkfifo('pipe')\n", ["'pipe'", "neither a file"])

    def test_bounds_on_what_is_left(self):
        self.hostile("large", "open('large', 'wb').write(bytes(1 << 27))\n", ["exit code 1"])
        self.hostile("many", "for i in range(101_000):\n  open(f'{i:06}', 'w').close()\n",
                     ["No space left on device"])

    def test_no_right_of_a_file_is_kept_but_that_it_runs_and_every_name_is(self):
        layers = self.layers()
        place = self.genome(command="python3 package.json", salt="names")
        self.fleet.write(place, "package.json", """
import os, shutil
shutil.copy('/bin/true', 'suid')
os.chmod('suid', 0o6777)
long = '/'.join(['a' * 120] * 4)
os.makedirs(long)
for name in (long + '/file', 'h\u00fclse', b'latin-\\xfc', 'a name\\nof two lines'):
    open(name, 'w').close()
os.symlink('/'.join(['..'] * 4) + '/suid', long + '/link')
os.link('suid', 'again')
""")
        self.uses(place, '[ -x /deps/suid ] && [ ! -u /deps/suid ] && [ ! -w /deps/suid ]')
        tree, ended = self.fleet.settled(self.fleet.run(place), 1, 150)
        self.assertEqual(ended[0]["ending"], "ENDING_EVOLVED", tree["run"])
        (layer,) = self.layers() - layers
        for name in ("suid", "again"):
            self.assertEqual(os.stat(f"{layer}/tree/{name}").st_mode & 0o7777, 0o555)
        kept = os.listdir((layer + "/tree").encode())
        for name in ("h\u00fclse".encode(), b"latin-\xfc", b"a name\nof two lines"):
            self.assertIn(name, kept)
        deep = layer + "/tree/" + "/".join(["a" * 120] * 4)
        self.assertEqual(sorted(os.listdir(deep)), ["file", "link"])
        self.assertTrue(os.path.samefile(deep + "/link", layer + "/tree/suid"))

    def test_what_is_kept_survives_the_worker_and_what_is_damaged_is_fetched_again(self):
        layers = self.layers()
        place = self.uses(self.genome(salt="kept"))
        self.fleet.settled(self.fleet.run(place), 1, 150)
        (layer,) = self.layers() - layers
        self.fleet.kill_and_restart("worker")
        self.fleet.await_worker()
        self.registry.asked.clear()
        _, ended = self.fleet.settled(self.fleet.run(place), 1, 150)
        self.assertEqual(ended[0]["ending"], "ENDING_EVOLVED")
        self.assertEqual(self.registry.asked, [])
        leaf = layer + "/tree/node_modules/quince-leaf/index.js"
        with open(leaf, "r+") as file:
            file.write("MODULE")
        _, ended = self.fleet.settled(self.fleet.run(place), 1, 150)
        self.assertEqual(ended[0]["ending"], "ENDING_EVOLVED")
        self.assertTrue(self.registry.asked)


class UnderUp(unittest.TestCase):
    def test_up_has_the_mirrors_of_its_flags_and_of_a_file(self):
        registry = Registry(PACKAGES)
        self.addCleanup(registry.stop)
        registry.answers["/files/pip.txt"] = (200, "text/plain", b"a pip")
        fleet = Fleet(GERMLINE)
        self.addCleanup(fleet.stop)
        fleet.write(fleet.root, "mirrors.toml", f"""schema = 1
[mirror.plain-files]
url = "{registry.url}/files"
allow = ["/[a-z]+\\\\.txt"]
""")
        fleet.start("--mirror", f"npm={registry.url}", "--mirrors-config",
                    fleet.root + "/mirrors.toml")
        place = fleet.genome()
        write_npm_files(fleet.write, place, PACKAGES, WANTED)
        fleet.write(place, "fetch.py", """
import os, urllib.request
mirror = os.environ['GERMLINE_MIRROR_PLAIN_FILES']
urllib.request.urlretrieve(mirror + '/pip.txt', 'pip.txt')
""")
        with open(place + "/genome.toml") as file:
            text = file.read().replace("[sandbox]", f"""[deps]
files = ["package.json", "package-lock.json", "fetch.py"]
command = "python3 fetch.py && {NPM}"
mirrors = ["npm", "plain-files"]
[sandbox]""")
        fleet.write(place, "genome.toml", text)
        with open(place + "/build.sh", "a") as file:
            file.write("\ngrep -q 'a pip' /deps/pip.txt && /deps/node_modules/.bin/quince\n")
        fleet.commit(place, "two mirrors")
        tree, ended = fleet.settled(fleet.run(place), 1)
        self.assertEqual(ended[0]["ending"], "ENDING_EVOLVED", json.dumps(tree["run"], indent=1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
