"""Checks the sources and lays them out as build/agent."""
import pathlib
import shutil

SOURCE, BUILT = pathlib.Path("agent"), pathlib.Path("build/agent")
shutil.rmtree(BUILT, ignore_errors=True)
shutil.copytree(SOURCE, BUILT, ignore=shutil.ignore_patterns("__pycache__"))
for path in sorted(BUILT.rglob("*")):
    if path.is_dir():
        continue
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py" or text.startswith("#!/usr/bin/python3"):
        compile(text, str(path), "exec")
    # Who writes a file seldom makes it a program.
    path.chmod(0o755 if text.startswith("#!") else 0o644)
print("built build/agent")
