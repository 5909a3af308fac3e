"""A gateway whose log is not read any more: its standard output and error are one full pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.deployment import (
    HYPERCORN_COMMAND,
    SERVE_COMMAND,
    Deployment,
    environment,
    fill_knowledge,
    free_port,
    inherited,
    model_on_tcp,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path


@asynccontextmanager
async def started(
    tmp_path: Path, command: Sequence[str], stderr: int, **variables: str
) -> AsyncIterator[tuple[Deployment, trio.Process]]:
    """A gateway with `stderr`, once it serves; it is killed at the end."""
    knowledge = tmp_path / "knowledge.sqlite3"
    fill_knowledge(knowledge)
    async with model_on_tcp() as (model, model_url):
        environ = inherited("PATH", "HOME", "PYTHONPATH") | environment(model_url, knowledge, **variables)
        deployment = Deployment(free_port(), model)
        bind = ["-b" if "hypercorn" in command[0] else "--bind", f"127.0.0.1:{deployment.port}"]
        process = await trio.lowlevel.open_process(
            [*command, *bind], stdout=stderr, stderr=stderr, env=environ, start_new_session=True
        )
        try:
            while not await _is_alive(deployment):  # noqa: ASYNC110  # another process: no event to wait for
                await trio.sleep(0.1)
            yield deployment, process
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            with trio.move_on_after(5, shield=True):
                await process.wait()


async def _is_alive(deployment: Deployment) -> bool:
    try:
        return (await deployment.get("/livez")).status == 200
    except OSError:
        return False


def full_pipe() -> tuple[int, int]:
    """Both ends of a pipe that takes nothing more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


@pytest.mark.parametrize(
    ("command", "log_format"), [(SERVE_COMMAND[:2], "json"), (SERVE_COMMAND[:2], "pretty"), (HYPERCORN_COMMAND, "json")]
)
async def test_a_log_that_nothing_reads_stops_no_session_no_health_check_and_no_end_F61(
    tmp_path: Path, command: Sequence[str], log_format: str
) -> None:
    reading, writing = full_pipe()
    with trio.fail_after(40):
        async with started(tmp_path, command, writing, LOG_FORMAT=log_format) as (deployment, process):
            os.close(writing)
            deployment.model.answers_with("Warm.", audio_ms=100)
            async with trio.open_nursery() as nursery:
                client = await deployment.join(nursery)
                await client.hears("connection.ready")
                for _ in range(2):
                    await client.type("How warm must the brooder be?")
                    await client.hears("response.done")
                    assert (await deployment.get("/livez")).status == 200
                process.send_signal(signal.SIGTERM)
                assert (await client.is_closed()).code == 1012
                assert await process.wait() == 0
                nursery.cancel_scope.cancel()
    os.close(reading)


async def test_a_log_whose_reader_is_gone_stops_nothing_F61(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with trio.fail_after(30):
        async with started(tmp_path, SERVE_COMMAND[:2], writing) as (deployment, process):
            os.close(writing)
            async with trio.open_nursery() as nursery:
                client = await deployment.join(nursery)
                await client.type("How warm must the brooder be?")
                await client.hears("response.done")
                nursery.cancel_scope.cancel()
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0


async def test_what_was_queued_is_written_when_the_reader_goes_on_F61(tmp_path: Path) -> None:
    reading, writing = full_pipe()
    with trio.fail_after(30):
        async with started(tmp_path, SERVE_COMMAND[:2], writing, LOG_FORMAT="json") as (_, process):
            os.close(writing)
            process.send_signal(signal.SIGTERM)
            read = await trio.to_thread.run_sync(_read_to_the_end, reading)
            assert await process.wait() == 0
    events = [line for line in read.decode().replace("x{", "\n{").splitlines() if line.startswith("{")]
    assert [json.loads(event)["event"] for event in events[-3:]] == ["serving", "pages", "stopping"]


def _read_to_the_end(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=True) as file:
        return file.read()


def test_the_first_lines_of_a_start_that_fails_are_written_F61() -> None:
    ended = subprocess.run(
        [*SERVE_COMMAND[:2], "--bind", "nowhere"], stderr=subprocess.PIPE, env={"JWT_SECRET": ""}, check=False
    )
    assert ended.returncode != 0
    assert b"Error: " in ended.stderr
