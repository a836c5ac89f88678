"""`python -m nasoseg`: runs the program that comes with the package, with this Python's ONNX
Runtime. Arguments, output and exit codes are the program's.
"""

import os
import subprocess
import sys

from ._engine import runtime_for
from ._native import FOLDER


def main() -> None:
    program = FOLDER / ("nasoseg.exe" if sys.platform == "win32" else "nasoseg")
    runtime = runtime_for(None)
    if runtime is not None:
        os.environ["NASOSEG_ORT_DYLIB"] = str(runtime)
    arguments = [str(program), *sys.argv[1:]]
    sys.stdout.flush()
    if sys.platform == "win32":
        sys.exit(subprocess.call(arguments))
    # Replaces this process, so that signals and exit codes are the program's own.
    os.execv(program, arguments)


if __name__ == "__main__":
    main()
