"""Measures an installation: nasoseg's wheel, ONNX Runtime and numpy; beside it what other packages
would download.

    python tools/footprint.py dist/nasoseg-*.whl [--other TotalSegmentator --other nnunetv2]

In: a wheel. Out: a Markdown table. nasoseg is installed into a temporary folder and imported in
fresh processes; for the others uv resolves the set for this Python and system, and the package
index gives the size of every file: nothing large is downloaded. MB are 10^6 bytes.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import Distribution
from pathlib import Path

import tomllib

RUNS = 15


def pip(*arguments: object) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            *map(str, arguments),
        ],
        check=True,
    )


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(
        path.lstat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    )


def of(distribution: Distribution, folder: Path) -> int:
    """Bytes of what a distribution installed, without bytecode."""
    paths = [Path(str(file.locate())) for file in distribution.files or []]
    return sum(
        path.stat().st_size
        for path in paths
        if path.exists() and folder in path.resolve().parents and path.suffix != ".pyc"
    )


def import_times(folder: Path) -> tuple[float, float]:
    """Median seconds of `import nasoseg` in a fresh process: by the wall's clock, by the CPU's."""
    script = """
import time
w, c = time.perf_counter(), time.process_time()
import nasoseg
print(time.perf_counter() - w, time.process_time() - c)
"""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    found = []
    for _ in range(RUNS):
        out = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found.append([float(word) for word in out.split()])
    wall, cpu = zip(*found)
    return statistics.median(wall), statistics.median(cpu)


def downloads(*requirements: str) -> dict[str, int]:
    """Bytes of every file that an installer would download for this Python and system: uv resolves
    the set, the index gives the sizes.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted, lock = Path(folder) / "requirements.in", Path(folder) / "pylock.toml"
        wanted.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        command = [
            "uv",
            "pip",
            "compile",
            "--quiet",
            "--no-cache",
            "--python-version",
            version,
            "--format",
            "pylock.toml",
        ]
        subprocess.run([*command, wanted, "--output-file", lock], check=True)
        packages = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
    return {
        package["name"]: (package.get("wheels") or [package["sdist"]])[0]["size"]
        for package in packages
    }


def mb(size: float) -> str:
    return f"{size / 1e6:,.1f}" if size < 1e8 else f"{size / 1e6:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path)
    parser.add_argument(
        "--other", action="append", default=[], help="a requirement to compare with"
    )
    arguments = parser.parse_args()
    wheel = arguments.wheel.resolve()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        pip("install", "--no-compile", "--target", folder, f"nasoseg[cpu] @ {wheel.as_uri()}")
        sizes = {
            d.metadata["Name"].lower(): of(d, folder)
            for d in Distribution.discover(path=[str(folder)])
        }
        total = size(folder)
        import_times(folder)  # The first one writes bytecode and warms the disk's cache.
        wall, cpu = import_times(folder)
    ours = downloads("numpy", "onnxruntime") | {"nasoseg": wheel.stat().st_size}
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    print(f"{python}, {sys.platform}; {wheel.name}\n")
    print("| package | download, MB | installed, MB |\n|---|---|---|")
    for package, installed in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"| {package} | {mb(ours[package])} | {mb(installed)} |")
    print(f"| all | {mb(sum(ours.values()))} | {mb(total)} |")
    download = sum(ours.values()) - ours["numpy"]
    print(f"| beyond Python and numpy | {mb(download)} | {mb(total - sizes['numpy'])} |\n")
    times = f"{wall * 1e3:.0f} ms, {cpu * 1e3:.0f} ms of CPU (median of {RUNS} fresh processes)"
    print(f"`import nasoseg`: {times}\n")
    if arguments.other:
        compare(arguments.other)


def compare(requirements: list[str]) -> None:
    """The table of other packages' downloads."""
    print("| package | files | download, MB | of that torch, triton and CUDA, MB |", end="")
    print(" beyond numpy, MB |\n|---|---|---|---|---|")
    for requirement in requirements:
        found = downloads(requirement)
        torch = sum(
            size
            for key, size in found.items()
            if key.lower().startswith(("torch", "triton", "nvidia", "cuda"))
        )
        rest = sum(size for key, size in found.items() if key.lower() != "numpy")
        megabytes = " | ".join(map(mb, (sum(found.values()), torch, rest)))
        print(f"| {requirement} | {len(found)} | {megabytes} |")


main()
