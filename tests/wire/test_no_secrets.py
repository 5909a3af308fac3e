"""No secret of a request reaches a log, and each log line of a session names the session."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.deployment import (
    HYPERCORN_COMMAND,
    SECRET,
    SERVE_COMMAND,
    UPGRADE,
    gateway_process,
    http,
    token,
    wait_until_empty,
)
from voice_trio.auth.tokens import user_hash
from voice_trio.errors import LinkClosed, VoiceTrioError
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.deployment import Deployment

KEY = "sk-proj-THEKEYTHATCOSTS"
CONFIGURED = {
    "OPENAI_API_KEY": KEY,
    "METRICS_TOKEN": "metrics-bearer-that-is-ours",
    "VOICE_SIGNING_SECRET": "a signing secret that is long enough, really",
    "SENTRY_DSN": "http://sentrykeysentrykey@127.0.0.1:9/1",
    "REDIS_URL": "redis://user:redispassword@127.0.0.1:9/0",
}
WORDS = "my grandmother's maiden name is Quetzalcoatl"
PASSWORD = "hunter2hunter2"


async def request_everywhere(deployment: Deployment, shown: str) -> None:
    """Every way in that takes a token, with one that is right or wrong, on paths that are and are not."""
    for path in ("/v1/ws/voice", "/api/v1/ws/voice", "/v1/ws/nowhere", "/"):
        for query in (
            f"?token={shown}",
            f"?resume={shown}&token={shown}",
            f"?password={PASSWORD}&access_token={shown}",
        ):
            await open_and_leave(f"ws://127.0.0.1:{deployment.port}{path}{query}")
        await open_and_leave(f"ws://127.0.0.1:{deployment.port}{path}", Authorization=f"Bearer {shown}")
    for path in ("/v1/voice/stats", "/metrics", "/v1/voice/rollout", "/no/such/page", "/v1/voice/health"):
        await http(deployment.port, f"{path}?token={shown}&password={PASSWORD}", {"Authorization": f"Bearer {shown}"})
        await http(deployment.port, path, {"Cookie": f"session={shown}", "api-key": shown})
    await http(
        deployment.port,
        f"/v1/ws/voice?token={shown}%00%ff",
        {**UPGRADE, "Sec-WebSocket-Protocol": f"realtime, {shown}"},
    )


async def open_and_leave(url: str, **headers: str) -> None:
    async with trio.open_nursery() as nursery:
        try:
            link = await open_link(nursery, url, headers=headers)
            with trio.move_on_after(0.2):
                while True:
                    await link.receive()
            await link.aclose()
        except (LinkClosed, VoiceTrioError):
            pass
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("command", [SERVE_COMMAND, HYPERCORN_COMMAND], ids=["serve", "hypercorn"])
async def test_no_secret_and_no_word_is_ever_logged(tmp_path: Path, command: Sequence[str]) -> None:
    right, wrong = token("ada"), token("ada")[:-8] + "AAAAAAAA"
    secrets = [right, wrong, right.split(".")[2], SECRET, PASSWORD, "redispassword", *CONFIGURED.values()]
    with trio.fail_after(50):
        async with gateway_process(tmp_path, command, LOG_LEVEL="DEBUG", **CONFIGURED) as deployment:
            assert deployment.process is not None
            async with trio.open_nursery() as nursery:
                client = await deployment.join(nursery, shown=None)
                await client.authenticate(right)
                ready = await client.hears("connection.ready")
                secrets.append(ready.event["resume_token"])
                await client.type(WORDS)
                await client.hears("response.done")
                await client.send("{" + right)
                await client.send({"type": "auth", "token": right})
                await client.send({"type": "session.update", "session": {"api_key": KEY}})
                await client.end_session()
                await client.is_closed()
                nursery.cancel_scope.cancel()
            await wait_until_empty(deployment)
            for shown in (right, wrong):
                await request_everywhere(deployment, shown)
            deployment.process.signal(signal.SIGTERM)
            await deployment.process.ended.wait()
            log = deployment.process.log
    assert sum('"event": "refused"' in line for line in log) > 5
    for secret in (*secrets, "Quetzalcoatl", "grandmother"):
        found = [line for line in log if secret in line]
        assert not found, f"{secret!r} in {found[0]}"


async def test_every_line_of_a_session_names_it(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with gateway_process(tmp_path, LOG_LEVEL="INFO") as deployment, trio.open_nursery() as nursery:
            assert deployment.process is not None
            client = await deployment.join(nursery)
            ready = await client.hears("connection.ready")
            await client.type("how warm must it be")
            await client.hears("response.done")
            await client.end_session()
            await client.is_closed()
            await wait_until_empty(deployment)
            nursery.cancel_scope.cancel()
            log = deployment.process.log
    lines = [json.loads(line) for line in log if line.startswith("{")]
    events = {line["event"]: line for line in lines if line.get("session_id") == ready.event["session_id"]}
    assert {"session_admitted", "turn", "session_ended"} <= set(events)
    key = user_hash("ada", load_settings({"JWT_SECRET": SECRET}).signing_secret)
    assert {events[name]["user"] for name in ("session_admitted", "turn", "session_ended")} == {key}  # F20
    assert events["turn"]["cost_usd"] > 0
    assert events["turn"]["stages_ms"]["asked"] >= 0
    assert events["session_ended"]["cost_usd"] >= events["turn"]["cost_usd"]
    assert all(line.get("session_id") for line in lines if line["logger"].startswith("voice_trio.session."))
