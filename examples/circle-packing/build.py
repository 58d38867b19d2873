"""Checks the sources and packs them into one executable file, build/agent."""
import pathlib
import zipapp

for path in sorted(pathlib.Path("src").glob("*.py")):
    compile(path.read_text(encoding="utf-8"), str(path), "exec")
pathlib.Path("build").mkdir(exist_ok=True)
zipapp.create_archive("src", "build/agent", interpreter="/usr/bin/python3",
                      filter=lambda path: "__pycache__" not in path.parts)
print("built build/agent")
