"""No dependency requires a newer Rust than Cargo.toml's rust-version.

clippy's incompatible_msrv looks at our own code; this looks at the crates that Cargo.lock pins.
"""

import json
import subprocess
import sys

COMMAND = ["cargo", "metadata", "--locked", "--format-version", "1"]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def main() -> int:
    found = subprocess.run(COMMAND, capture_output=True, text=True, check=True)
    packages = json.loads(found.stdout)["packages"]
    own = next(p["rust_version"] for p in packages if p["name"] == "nasoseg")
    newer = [
        f"{p['name']} {p['version']} requires Rust {p['rust_version']}"
        for p in packages
        if p["rust_version"] and numbers(p["rust_version"]) > numbers(own)
    ]
    for line in newer:
        print(f"{line}, but nasoseg promises {own} (Cargo.toml, rust-version)")
    return 1 if newer else 0


if __name__ == "__main__":
    sys.exit(main())
