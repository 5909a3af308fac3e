"""Signals that operators, terminals and tools send: each of them drains, in each way to run the gateway."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.deployment import HYPERCORN_COMMAND, SERVE_COMMAND, Deployment, gateway_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voice_trio.testing import FakeClient

ALONE = (*HYPERCORN_COMMAND, "-w", "0")


@pytest.mark.parametrize(
    ("command", "number"),
    [
        (SERVE_COMMAND, signal.SIGHUP),
        (SERVE_COMMAND, signal.SIGUSR1),
        (SERVE_COMMAND, signal.SIGUSR2),
        (ALONE, signal.SIGTERM),
        (ALONE, signal.SIGHUP),
    ],
)
async def test_each_signal_drains_F69(tmp_path: Path, command: Sequence[str], number: signal.Signals) -> None:
    with trio.fail_after(30):
        async with gateway_process(tmp_path, command) as deployment, trio.open_nursery() as nursery:
            process = deployment.process
            assert process is not None
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            process.signal(number)
            closed = await client.is_closed()
            assert (closed.code, closed.reason) == (1012, "Server restarting, resume")
            await process.ended.wait()
            assert process.returncode == 0
            assert [line["signal"] for line in process.events("stopping")] == [number.name]
            nursery.cancel_scope.cancel()


async def _hears_a_story(deployment: Deployment, nursery: trio.Nursery) -> FakeClient:
    deployment.model.answers_with("A long story.", audio_ms=100_000, pace=1.0, first_audio_after=0.05)
    client = await deployment.join(nursery)
    await client.hears("connection.ready")
    await client.type("Tell me a long story.")
    await client.hears("response.audio.delta")
    return client


@pytest.mark.parametrize("command", [SERVE_COMMAND, ALONE], ids=["serve", "hypercorn -w 0"])
async def test_a_second_sigterm_ends_at_once_and_a_second_hang_up_does_not_F69(
    tmp_path: Path, command: Sequence[str]
) -> None:
    with trio.fail_after(30):
        async with gateway_process(tmp_path, command) as deployment, trio.open_nursery() as nursery:
            process = deployment.process
            assert process is not None
            client = await _hears_a_story(deployment, nursery)
            for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
                process.signal(number)
                await trio.sleep(0.3)
            await client.hears("session.draining")
            assert not process.ended.is_set()
            process.signal(signal.SIGTERM)
            with trio.fail_after(4):
                await process.ended.wait()
            assert process.returncode in (0, 128 + signal.SIGTERM)
            assert process.events("session_ended")
            nursery.cancel_scope.cancel()


async def test_under_nohup_a_hang_up_changes_nothing_F69(tmp_path: Path) -> None:
    with trio.fail_after(30):
        command = ("sh", "-c", 'trap "" HUP; exec "$0" "$@"', *SERVE_COMMAND)
        async with gateway_process(tmp_path, command) as deployment:
            process = deployment.process
            assert process is not None
            process.signal(signal.SIGHUP)
            await trio.sleep(0.5)
            assert (await deployment.get("/readyz")).status == 200
            process.signal(signal.SIGTERM)
            await process.ended.wait()
            assert process.returncode == 0
