"""Adds to the wheel what is not a Python source file.

In: NASOSEG_BUILT, the folder with the built library and program (by default target/release);
include/nasoseg.h; models/demo; Cargo.toml. Out: a wheel for this platform that holds the library,
the program, the declarations generated from the header, and the demo bundle. auditwheel widens the
wheel's platform tag afterwards, if the files allow it (`make wheel`).
"""

import importlib.util
import os
import re
import sys
import sysconfig
import tempfile
from pathlib import Path

if sys.version_info < (3, 11):
    raise SystemExit(
        f"hatch_build.py: found Python {sys.version.split()[0]}, expected 3.11 or later. Build the "
        "wheel with that; it can be installed from Python 3.9 on"
    )

import tomllib
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


def root(folder: str) -> Path:
    """The repository."""
    return Path(folder).parents[1]


class Metadata(MetadataHookInterface):
    PLUGIN_NAME = "custom"

    def update(self, metadata: dict) -> None:
        repository = root(self.root)
        with open(repository / "Cargo.toml", "rb") as file:
            metadata["version"] = tomllib.load(file)["package"]["version"]
        header = (repository / "include" / "nasoseg.h").read_text(encoding="utf-8")
        (abi,) = re.findall(r"^#define NASOSEG_ABI_VERSION (\d+)", header, re.MULTILINE)
        # The Slicer extension recognises this project's wheels by nasoseg-abi-N.
        metadata["keywords"] = [*self.config["keywords"], f"nasoseg-abi-{abi}"]


class Build(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict) -> None:
        if self.target_name != "wheel" or version == "editable":
            raise SystemExit(
                "nasoseg: found a request for another target, expected a wheel. "
                "Run `make wheel` in the repository"
            )
        repository = root(self.root)
        built = Path(os.environ.get("NASOSEG_BUILT") or repository / "target" / "release")
        library, program = {
            "win32": ("nasoseg.dll", "nasoseg.exe"),
            "darwin": ("libnasoseg.dylib", "nasoseg"),
        }.get(sys.platform, ("libnasoseg.so", "nasoseg"))
        for name in (library, program):
            if not (built / name).is_file():
                raise SystemExit(
                    f"{built / name}: found nothing, expected a built file. Run `make wheel`, or "
                    "set NASOSEG_BUILT to the folder that holds it"
                )
        self.folder = tempfile.TemporaryDirectory()
        declarations = Path(self.folder.name) / "_abi.py"
        declarations.write_text(
            self.declarations((repository / "include" / "nasoseg.h").read_text(encoding="utf-8")),
            encoding="utf-8",
        )
        build_data["force_include"] |= {
            str(declarations): "nasoseg/_abi.py",
            str(built / library): f"nasoseg/_native/{library}",
            str(built / program): f"nasoseg/_native/{program}",
            str(repository / "models" / "demo"): "nasoseg/demo",
        }
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        # ctypes loads the library, so the wheel does not depend on a Python ABI.
        build_data["tag"] = f"py3-none-{platform}"

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:
        self.folder.cleanup()

    def declarations(self, header: str) -> str:
        path = Path(self.root) / "tools" / "declarations.py"
        spec = importlib.util.spec_from_file_location("declarations", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.module(header)
