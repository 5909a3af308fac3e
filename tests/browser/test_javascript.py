"""The JavaScript that needs no browser, by Node's own test runner; and the predecessor's front end, played by Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.deployment import token
from tests.support.node import node
from voice_trio.protocols.voice.server_events import ERROR_CODES

if TYPE_CHECKING:
    from tests.support.browser_driver import StartGateway

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "voice_trio" / "web"


def test_jitter_buffer_resampler_and_positions_are_right_to_the_sample(tmp_path: Path) -> None:
    for file in WEB.glob("client/*"):
        shutil.copy(file, tmp_path)
    shutil.copytree(WEB / "static" / "console", tmp_path / "console")
    (tmp_path / "package.json").write_text('{"type": "module"}')  # as a browser takes them
    environ = {"VOICE_TRIO_STATIC": str(tmp_path), "VOICE_TRIO_ERROR_CODES": json.dumps(ERROR_CODES)}
    command = node("--test", "--test-reporter=tap", *map(str, HERE.glob("*.test.mjs")))
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "\n# fail 0" in done.stdout


def predecessor(url: str, *, pause: float, life: float) -> dict[str, Any]:
    """What happened to the old front end in `life` seconds, connecting again `pause` seconds after each close."""
    command = node("--no-warnings", str(HERE / "predecessor.mjs"), url)
    done = subprocess.run([*command, str(pause), str(life)], capture_output=True, text=True, timeout=50)
    happened: dict[str, Any] = json.loads(done.stdout)
    return happened


def test_the_predecessors_front_end_has_its_conversation_and_sees_no_error(start_gateway: StartGateway) -> None:
    with start_gateway(answer_ms=6_000) as gateway:
        happened = predecessor(f"ws://127.0.0.1:{gateway.port}/api/v1/ws/voice?token={token()}", pause=2, life=8)
    assert happened["failures"] == []
    assert (happened["opens"], happened["closes"]) == (1, [])
    assert happened["audioMs"] >= 500
    assert happened["audioAfterInterruptMs"] == 0
    assert set(happened["sent"]) == {"audio.input", "language.detected", "interrupt"}
    for kind in ("connection.ready", "response.created", "response.audio_transcript.delta", "playback.flush"):
        assert kind in happened["types"]


def test_the_predecessors_front_end_stops_reconnecting_after_refusals(start_gateway: StartGateway) -> None:
    """It would for ever reset its counter, were every refusal an open and a close: from the third on they are none."""
    with start_gateway() as gateway:
        url = f"ws://127.0.0.1:{gateway.port}/api/v1/ws/voice?token={token(plan='free')}"
        happened = predecessor(url, pause=0.2, life=20)
    assert happened["opens"] == 2
    assert happened["failures"] == ["plan_required", "plan_required"]
    assert [code for code, _ in happened["closes"]] == [4003, 4003] + [1006] * 5
    assert happened["attempts"] == 6  # more than it allows itself: it has given up


def test_the_predecessors_front_end_comes_to_rest_when_its_hour_is_used_up(start_gateway: StartGateway) -> None:
    """Even a regular end is a reason to connect again, for it: two sessions, two refusals, and then none."""
    with start_gateway(MAX_SESSION_DURATION="1", MAX_SESSIONS_PER_USER_PER_HOUR="2") as gateway:
        url = f"ws://127.0.0.1:{gateway.port}/api/v1/ws/voice?token={token()}"
        happened = predecessor(url, pause=0.2, life=25)
    assert happened["opens"] == 4
    assert happened["failures"] == ["rate_limited", "rate_limited"]
    assert [code for code, _ in happened["closes"]] == [1000, 1000, 1008, 1008] + [1006] * 5
    assert happened["attempts"] == 6  # it has given up


@pytest.mark.slow
def test_with_its_own_two_seconds_between_tries_it_comes_to_rest_as_well(start_gateway: StartGateway) -> None:
    with start_gateway() as gateway:
        url = f"ws://127.0.0.1:{gateway.port}/api/v1/ws/voice?token={token(plan='free')}"
        happened = predecessor(url, pause=2, life=40)
    assert happened["opens"] == 2
    assert [code for code, _ in happened["closes"]] == [4003, 4003] + [1006] * 5
    assert happened["attempts"] == 6
