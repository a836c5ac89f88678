"""No line of code or prose is wider than 100 columns.

Tables, links that cannot be broken, and generated or recorded files are left out.
"""

import re
import subprocess
import sys
from pathlib import Path

WIDTH = 100
CODE = {".rs", ".py", ".mjs", ".c", ".h", ".cpp", ".hpp", ".sh", ".toml", ".cmake", ".yml"}
CHECKED = CODE | {".md", ".txt"}
NAMED = {"Makefile", "CMakeLists.txt", "run"}
LEFT_OUT = ("training/results/", "models/", "tests/data/", "tests/abi/nasoseg.abi")
# A table row, or a line without a space in which it could be broken.
UNBREAKABLE = re.compile(r"^\s*(\||[^ ]*$|[-*] [^ ]*$|(///?!?|#|//) ?[^ ]*$|\[[^\]]+\]: )")


def main() -> int:
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    wide = 0
    for name in files.stdout.splitlines():
        path = Path(name)
        known = path.suffix in CHECKED or path.name in NAMED
        if not known or name.startswith(LEFT_OUT) or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > WIDTH and not UNBREAKABLE.match(line):
                print(f"{name}:{number}: {len(line)} columns; at most {WIDTH} are allowed")
                wide += 1
    return 1 if wide else 0


if __name__ == "__main__":
    sys.exit(main())
