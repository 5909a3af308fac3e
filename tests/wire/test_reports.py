"""Errors of a deployed gateway reach Sentry with their session, and `check --sentry` knows if they would."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.deployment import SCRIPTS, gateway_process, token
from tests.support.sentry_receiver import receiver

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_failed_session_is_reported_before_the_process_is_gone(tmp_path: Path) -> None:
    with receiver() as sentry, trio.fail_after(30):
        nowhere = "ws://127.0.0.1:9/v1/realtime"
        variables = {"SENTRY_DSN": sentry.dsn, "OPENAI_REALTIME_URL": nowhere, "UPSTREAM_MAX_ATTEMPTS": "1"}
        async with gateway_process(tmp_path, **variables) as deployment, trio.open_nursery() as nursery:
            assert deployment.process is not None
            client = await deployment.join(nursery)
            closed = await client.is_closed()
            assert closed.code == 1011
            deployment.process.signal(signal.SIGTERM)
            await deployment.process.ended.wait()
            nursery.cancel_scope.cancel()
        (event,) = sentry.events
        assert event["tags"]["event"] == "upstream_unavailable"
        assert event["tags"]["session_id"].startswith("vs_")
        assert len(event["user"]["id"]) == 32
        everything = b"".join(sentry.raw)
        assert token().encode() not in everything
        assert b"ada" not in everything.lower().replace(b"metadata", b"").replace(b"adapter", b"")


@pytest.mark.parametrize(("status", "code"), [(200, 0), (403, 1)])
def test_check_sends_a_test_event(tmp_path: Path, status: int, code: int) -> None:
    with receiver() as sentry:
        sentry.status = status
        environ = {"SENTRY_DSN": sentry.dsn, "KNOWLEDGE_PATH": str(tmp_path / "k.sqlite3"), "COLUMNS": "200"}
        command = [str(SCRIPTS / "voice-trio"), "check", "--sentry"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)
        (line,) = [line for line in done.stdout.splitlines() if " sentry " in line]
        assert line.startswith("ok" if code == 0 else "FAILED"), line
        assert len(sentry.events) == (1 if code == 0 else 0)
