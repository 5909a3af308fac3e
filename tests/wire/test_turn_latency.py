"""`benchmarks.turn_latency` against a gateway: as many turns as asked for, each stage reported, exit status."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
import trio

from benchmarks.support import ROOT
from tests.support.deployment import environment, fill_knowledge, token
from voice_trio.client import write_wav
from voice_trio.net.listeners import open_listener
from voice_trio.server.server import run_server
from voice_trio.settings import load_settings
from voice_trio.testing import RuleBasedModel, serve_scripted_model
from voice_trio.testing.sounds import tone_pcm

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


async def measure(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "benchmarks.turn_latency", *arguments, "--json"]
    return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False, cwd=ROOT)


async def test_every_stage_of_every_turn_is_measured(tmp_path: Path) -> None:
    recording, knowledge = tmp_path / "question.wav", tmp_path / "knowledge.sqlite3"
    write_wav(recording, tone_pcm(0, 1200))
    fill_knowledge(knowledge)
    with trio.fail_after(40):
        async with trio.open_nursery() as nursery:
            model = RuleBasedModel(("How warm must the brooder be?",), answer_ms=500)
            url = await nursery.start(serve_scripted_model, model)
            listener = open_listener("127.0.0.1:0")
            place = f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/ws/voice"
            nursery.start_soon(run_server, load_settings(environment(url, knowledge)), listener)
            done = await measure(str(recording), "--url", place, "--token", token(), "--turns", "3")
            refused = await measure(str(recording), "--url", place, "--token", "nonsense", "--turns", "1")
            nursery.cancel_scope.cancel()
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert (told["turns"], told["sessions"], told["statuses"]) == (3, 1, {"completed": 3})
    first_audio = told["latency_ms"]["committed_to_first_audio"]
    assert first_audio["count"] == 3
    assert 0 < first_audio["p50"] <= first_audio["p95"] <= first_audio["p99"] < 3000
    assert refused.returncode == 1
    assert b"stopped after 0 turns" in refused.stderr


@pytest.mark.parametrize("arguments", [[], ["no-such-file.wav"]])
async def test_without_a_recording_it_says_so(arguments: list[str]) -> None:
    done = await measure(*arguments)
    assert done.returncode != 0
