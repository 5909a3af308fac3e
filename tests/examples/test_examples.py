"""Each program in examples/ is run as its docstring says, against a gateway with a scripted model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.deployment import gateway, token
from voice_trio.client import read_sound, write_wav

if TYPE_CHECKING:
    from tests.support.deployment import Deployment
    from voice_trio.testing import ScriptedModel

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS_MAX = 40.0
QUESTION = "How warm must the brooder be in the first week?"


async def run(name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)


def ways_in(deployment: Deployment, shown: str) -> tuple[str, ...]:
    return "--url", deployment.url, "--token", shown


async def ask_aloud(model: ScriptedModel) -> None:
    """The microphone's sound means nothing to a scripted model: this says what it hears."""
    await model.says("session.updated")
    await model.hear_speech(QUESTION, first_word_after=0.1, word_every=0.05, lasts=1.0)


async def test_a_question_is_asked_and_answered(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment:
            deployment.model.answers_with("Thirty-four degrees.", audio_ms=200)
            ran = await run("ask_a_question.py", *ways_in(deployment, token()), QUESTION)
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout.decode().splitlines() == ["document: Brooding", "answer: Thirty-four degrees."]


async def test_a_refusal_is_reported(tmp_path: Path) -> None:
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment:
            ran = await run("ask_a_question.py", *ways_in(deployment, "nonsense"), QUESTION)
    assert ran.returncode == 1
    assert ran.stderr.decode().startswith("refused (token_invalid): ")


async def test_a_sound_card_made_of_files_records_the_answer(tmp_path: Path) -> None:
    question, answer = tmp_path / "question.wav", tmp_path / "answer.wav"
    write_wav(question, bytes(48_000))
    with trio.fail_after(SECONDS_MAX):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            deployment.model.answers_with("Thirty-four degrees.", audio_ms=1000, tone=True)
            nursery.start_soon(ask_aloud, deployment.model)
            ran = await run("custom_sound_card.py", str(question), str(answer), *ways_in(deployment, token()))
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout.decode().splitlines() == [f"you: {QUESTION}", "assistant: Thirty-four degrees."]
    assert len(read_sound(answer)) == pytest.approx(48_000, abs=2 * 960)


def test_the_tests_of_a_prompt_pass_outside_the_repository(tmp_path: Path) -> None:
    """Without this repository's pytest configuration, as in the project of somebody who copied the file."""
    shutil.copy(EXAMPLES / "test_your_prompt.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_your_prompt.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "5 passed" in ran.stdout
