"""Which Python `scripts/test` runs besides that of .venv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "_venv.sh"


def make_python(path: Path, version: str, *, works: bool = True) -> Path:
    """A command that runs this Python and says that it is `version`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    major, minor = version.split(".")
    pretend = f"import sys; sys.version_info = ({major}, {minor}, 0)\n"
    body = f'exec {sys.executable} -c "{pretend}$2"' if works else "exit 127"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def found(folder: Path) -> str:
    command = f". {SCRIPT}; set -e; other=$(find_other_python); echo $other"
    environ = {"PATH": f"{folder / 'bin'}:{os.defpath}", "PYENV_ROOT": str(folder / "pyenv")}
    run = subprocess.run(["bash", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize(("own", "other"), [("3.11", "3.13"), ("3.13", "3.12"), ("3.12", "3.13")])
def test_it_is_the_newest_that_is_not_that_of_the_venv_F72(tmp_path: Path, own: str, other: str) -> None:
    make_python(tmp_path / ".venv" / "bin" / "python", own)
    make_python(tmp_path / "bin" / "python3.13", "3.13", works=False)  # a shim whose version is not selected
    wanted = {
        version: make_python(tmp_path / "pyenv" / "versions" / f"{version}.1" / "bin" / "python", version)
        for version in ("3.12", "3.13")
    }
    assert found(tmp_path) == str(wanted[other])
