"""The package's types, as a user's type checker sees them: the installed package with py.typed."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def mypy(folder: Path, *arguments: object) -> str:
    """What mypy reports; "" if it finds nothing."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    ran = subprocess.run(
        [*command, "--cache-dir", str(folder / "cache"), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert ran.returncode in (0, 1), ran.stderr
    return ran.stdout


def test_the_package_is_typed_throughout(tmp_path):
    assert mypy(tmp_path, "-p", "nasoseg") == ""


def test_a_users_program_is_typed(tmp_path):
    assert mypy(tmp_path, HERE / "typed_user.py") == ""
    # The check has teeth: a claim that is false is reported.
    false = tmp_path / "false.py"
    claims = (HERE / "typed_user.py").read_text(encoding="utf-8")
    claim = "assert_type(detection[0], nasoseg.DetectionSlice)"
    assert claim in claims
    false.write_text(claims.replace(claim, "assert_type(detection[0], Any)"), encoding="utf-8")
    assert "Expression is of type" in mypy(tmp_path, false)
