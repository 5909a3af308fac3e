"""The commands that need a server: call, check and demo, against real servers, each in its own process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import wave
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.deployment import (
    SCRIPTS,
    Deployment,
    GatewayProcess,
    environment,
    fill_knowledge,
    gateway,
    model_on_tcp,
    token,
)
from voice_trio.client import write_wav
from voice_trio.embedded.local import write_question
from voice_trio.testing import RuleBasedModel, serve_scripted_model
from voice_trio.testing.sounds import tone_pcm

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = str(SCRIPTS / "voice-trio")
QUESTION = "How warm must the brooder be in the first week?"


async def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return await trio.run_process(
        [COMMAND, *arguments],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environ},
    )


def question(tmp_path: Path) -> Path:
    path = tmp_path / "question.wav"
    write_wav(path, tone_pcm(0, 1600))
    return path


async def test_call_asks_a_recording_and_prints_what_came_back(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve_scripted_model, RuleBasedModel([QUESTION], answer_ms=500))
            async with gateway(tmp_path, OPENAI_REALTIME_URL=url) as deployment:
                out = tmp_path / "answer.wav"
                told = await run(
                    "call",
                    str(question(tmp_path)),
                    "--url",
                    deployment.url,
                    "--token",
                    token(),
                    "--json",
                    "--out",
                    str(out),
                )
            nursery.cancel_scope.cancel()
    assert told.returncode == 0, told.stderr
    report = json.loads(told.stdout)
    assert report["transcript"] == QUESTION
    assert "34 degrees" in report["answer"]
    assert report["context"]["outcome"] in ("hidden", "waited")
    (passage,) = report["context"]["passages"]
    assert (passage["title"], passage["source"]) == ("Brooding", "Brooding.md")
    assert 450 < report["latency_ms"]["sound_ended_to_committed"] < 800
    assert 250 < report["latency_ms"]["committed_to_first_audio"] < 800
    with wave.open(str(out)) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (24_000, 12_000)


async def test_call_says_plainly_why_it_was_refused_or_heard_nothing(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with gateway(tmp_path) as deployment:
            refused = await run("call", str(question(tmp_path)), "--url", deployment.url, "--token", token(plan="free"))
        nobody = await run("call", str(question(tmp_path)), "--url", "ws://127.0.0.1:1/v1/ws/voice?token=a.b.c")
    assert (refused.returncode, nobody.returncode) == (1, 1)
    assert refused.stderr.decode() == "Error: refused: Voice is reserved for plans elite, intelia.\n"
    assert "cannot reach ws://127.0.0.1:1/v1/ws/voice: " in nobody.stderr.decode()
    assert "a.b.c" not in nobody.stderr.decode()


async def test_ctrl_c_ends_a_call_without_a_traceback(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with gateway(tmp_path) as deployment:
            process = await trio.lowlevel.open_process(
                [COMMAND, "call", str(question(tmp_path)), "--url", deployment.url, "--token", token()],
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"]},
                start_new_session=True,
            )
            assert process.stderr is not None
            await deployment.model.wait_for_session()
            await trio.sleep(0.3)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
            assert await process.stderr.receive_some() == b""
            await process.stderr.aclose()


async def test_check_finds_everything_well_or_says_what_is_not(tmp_path: Path) -> None:
    knowledge = tmp_path / "knowledge.sqlite3"
    with trio.fail_after(20):
        async with model_on_tcp() as (model, url):
            wide = environment(url, knowledge, COLUMNS="400")  # the paths of a test may be long, and are folded
            empty = await run("check", **wide)
            fill_knowledge(knowledge)
            well = await run("check", **wide)
            model.refuse_key()
            refused = await run("check", **wide | {"OPENAI_API_KEY": "sk-hidden-hidden"})
    assert (empty.returncode, well.returncode, refused.returncode) == (1, 0, 1)
    assert "empty; fill it with" in empty.stdout.decode()
    assert "3 passages" in well.stdout.decode()
    assert re.search(r"FAILED\s+upstream.*invalid_api_key", refused.stdout.decode())
    assert "sk-hidden" not in refused.stdout.decode() + refused.stderr.decode()


@pytest.mark.timeout(150)
async def test_the_demo_prints_a_call_that_works(tmp_path: Path) -> None:
    environ = {"KNOWLEDGE_PATH": str(tmp_path / "knowledge.sqlite3"), "LOG_FORMAT": "json"}
    with trio.fail_after(120):  # on a new machine it learns to listen first
        async with trio.open_nursery() as nursery:
            demo = GatewayProcess([COMMAND, "demo", "--bind", "127.0.0.1:0"], environ)
            await nursery.start(demo.run)
            deployment = Deployment(demo.port, model=None)  # type: ignore[arg-type]  # it is in the other process
            while not (lines := [line for line in demo.log if " call " in line]):  # noqa: ASYNC110  # another process
                await trio.sleep(0.05)
            arguments = lines[0].split(" call ")[1].split()
            told = await run("call", *arguments, "--json")
            assert told.returncode == 0, told.stderr
            assert json.loads(told.stdout)["context"]["passages"][0]["title"].startswith("Coccidiosis")
            assert (await deployment.get("/v1/voice/health")).json["status"] == "healthy"
            demo.signal(signal.SIGTERM)
            await demo.ended.wait()
            assert demo.returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_running_demo_hears_and_answers_what_is_imported_F50(tmp_path: Path) -> None:
    (tmp_path / "llamas.md").write_text("# Llamas\nThe gestation of a llama takes eleven months. Llamas eat alfalfa.\n")
    write_question(tmp_path / "llama.wav", "How long is the gestation of a llama?")
    with trio.fail_after(220):
        async with trio.open_nursery() as nursery:
            environ = {"KNOWLEDGE_PATH": str(tmp_path / "knowledge.sqlite3"), "OPENAI_API_KEY": ""}
            demo = GatewayProcess([COMMAND, "demo", "--bind", "127.0.0.1:0"], environ)
            await nursery.start(demo.run)
            while not (hints := [line for line in demo.log if "knowledge import" in line]):  # noqa: ASYNC110  # as above
                await trio.sleep(0.05)
            options = hints[0].split(" FOLDER ")[1].split()
            imported = await run("knowledge", "import", str(tmp_path / "llamas.md"), *options)
            assert imported.returncode == 0, imported.stderr
            while not any("has learned the words" in line for line in demo.log):  # noqa: ASYNC110  # as above
                await trio.sleep(0.1)
            arguments = next(line for line in demo.log if " call " in line).split(" call ")[1].split()[1:]
            told = await run("call", str(tmp_path / "llama.wav"), *arguments, "--json")
            assert told.returncode == 0, told.stderr
            report = json.loads(told.stdout)
            demo.signal(signal.SIGTERM)
            await demo.ended.wait()
    assert "gestation of a llama" in report["transcript"].lower()
    assert "eleven months" in report["answer"].lower()
