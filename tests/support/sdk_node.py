"""OpenAI's packages for JavaScript, installed once for each set of versions into pytest's cache."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSIONS = {"openai": "7.57.0", "@openai/agents-realtime": "0.20.0", "ws": "8.23.0", "zod": "4.6.7"}
NODE_MAJOR_MIN = 20
INSTALL_SECONDS_MAX = 45  # below what one test may take
NOT_TESTED = "SKIPPED LOUDLY: the JavaScript SDKs were not tested"
CLIENTS = Path(__file__).parents[1] / "sdk" / "clients"


def prepared_packages(cache: Path) -> Path:
    """A folder with the packages and our clients; skips with a loud reason without Node or a registry."""
    _need_node()
    folder = cache / "-".join(f"{name.rpartition('/')[2]}_{version}" for name, version in VERSIONS.items())
    if not (folder / "complete").exists():
        _install(folder)
    for client in (*CLIENTS.glob("*.mjs"), *CLIENTS.glob("*.html")):
        shutil.copy(client, folder)  # Node resolves packages beside the importing file
    return folder


def node_command(client: str) -> Sequence[str]:
    # Node 20 needs a flag for its WebSocket; later versions accept the flag and need it no longer.
    return ("node", "--experimental-websocket", "--no-warnings", f"{client}.mjs")


def _need_node() -> None:
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip(f"{NOT_TESTED}: no node and npm on this machine (as root scripts/test installs them)")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < NODE_MAJOR_MIN:
        pytest.skip(f"{NOT_TESTED}: node {version.strip()} is too old")


def _install(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": VERSIONS}))
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=15000"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{NOT_TESTED}: npm install took more than {INSTALL_SECONDS_MAX} s")
    if done.returncode != 0:
        pytest.skip(f"{NOT_TESTED}: npm install failed: {' '.join(done.stderr.split())[:300]}")
    (folder / "complete").touch()
