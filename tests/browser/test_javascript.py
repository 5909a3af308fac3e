"""The JavaScript that needs no browser, by Node's own test runner; and the predecessor's front end, played by Node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STATIC = HERE.parents[1] / "voice_trio" / "web" / "static"
NODE_MAJOR_MIN = 20


def node() -> str:
    """Where Node is; skips where there is none, or only an old one."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("SKIPPED LOUDLY: no node on this machine; the browser client's arithmetic was not tested")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < NODE_MAJOR_MIN:
        pytest.skip(f"SKIPPED LOUDLY: node {version.strip()} is too old; the browser client was not tested")
    return found


def test_jitter_buffer_resampler_and_positions_are_right_to_the_sample(tmp_path: Path) -> None:
    for file in STATIC.glob("*.js"):
        shutil.copy(file, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')  # as a browser takes them
    command = [node(), "--test", "--test-reporter=tap", str(HERE / "voice.test.mjs")]
    done = subprocess.run(command, env={"VOICE_TRIO_STATIC": str(tmp_path)}, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "\n# fail 0" in done.stdout
