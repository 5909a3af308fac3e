"""The proxies of `deploy/` on real sockets: TLS, no compression, no token in logs, restarts that end no session."""

from __future__ import annotations

import signal
import ssl
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.browser_measurements import keep_measurements
from tests.support.certificates import certificate
from tests.support.deployment import SCRIPTS, UPGRADE, gateway_process, model_on_tcp, token
from tests.support.proxies import COMMANDS, Proxy, proxy
from tests.support.redis_servers import redis_server
from voice_trio.errors import VoiceTrioError
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.testing import FakeClient

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.deployment import Deployment

pytestmark = [pytest.mark.parametrize("name", COMMANDS)]
_SERVE = (str(SCRIPTS / "voice-trio"), "serve", "--bind")
SILENCE_SECONDS_MAX = 2.0


async def test_a_gateway_sees_no_offer_to_compress_and_the_log_no_token(tmp_path: Path, name: str) -> None:
    heads: list[str] = []

    async def gateway(stream: trio.SocketStream) -> None:
        head = (await stream.receive_some(65536)).decode()
        if "/readyz" not in head:
            heads.append(head)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await stream.aclose()

    tls = certificate(tmp_path)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            (listener,) = await nursery.start(partial(trio.serve_tcp, gateway, 0, host="127.0.0.1"))
            port = listener.socket.getsockname()[1]
            async with proxy(name, tmp_path, [port], tls) as it:
                while not heads:  # HAProxy checks the server's health first
                    await get(it, tls.certfile, f"/v1/ws/voice?token={token()}")
                status = await get(it, tls.certfile, "/metrics")
                log = it.log
            nursery.cancel_scope.cancel()
    sent = heads[0].lower()
    assert "sec-websocket-extensions" not in sent
    assert "upgrade: websocket" in sent
    assert "x-forwarded-for: 127.0.0.1" in sent
    assert " 404 " in status
    assert token()[-20:] not in log
    assert "/v1/ws/voice" in log


async def get(it: Proxy, cafile: str, path: str) -> str:
    """The first line of what comes back."""
    stream = await trio.open_ssl_over_tcp_stream(
        "localhost", it.port, ssl_context=trusting(cafile), https_compatible=True
    )
    headers = UPGRADE | {"Host": "localhost", "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    head = "\r\n".join([f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())])
    await stream.send_all((head + "\r\n\r\n").encode())
    answer = (await stream.receive_some(65536)).decode()
    await trio.aclose_forcefully(stream)
    return answer.partition("\r\n")[0]


def trusting(cafile: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cafile)


@dataclass
class Caller:
    """A client that keeps talking, and reconnects with its resume token when the server restarts."""

    name: str
    url: str
    cafile: str
    session_ids: list[str] = field(default_factory=list)
    silences: list[float] = field(default_factory=list)
    answers: int = 0
    client: FakeClient | None = None
    resume: str = ""

    async def live(self, nursery: trio.Nursery) -> None:
        left_at: float | None = None
        pause = 0.05
        while True:
            client = await self._connect(nursery)
            ready = await self._ready(client) if client is not None else None
            if client is None or ready is None:
                await trio.sleep(pause)
                pause = min(0.5, pause * 2)
                continue
            if left_at is not None:
                self.silences.append(trio.current_time() - left_at)
            self.client, pause = client, 0.05
            self.resume = ready["resume_token"]
            self.session_ids.append(ready["session_id"])
            closed = await client.is_closed()
            self.client, left_at = None, trio.current_time()
            if closed.code not in (1012, 1006, None):
                raise AssertionError(f"{self.name} was cut off: {closed}")

    async def ask(self, text: str) -> None:
        while self.client is None:  # noqa: ASYNC110  # it may be between two connections for a moment
            await trio.sleep(0.02)
        client = self.client
        before = len(client.heard_of("response.done"))
        await client.type(text)
        while len(client.heard_of("response.done")) == before:  # noqa: ASYNC110  # `hears` knows firsts only
            await trio.sleep(0.02)
        self.answers += 1

    async def _connect(self, nursery: trio.Nursery) -> FakeClient | None:
        query = f"?resume={self.resume}" if self.resume else ""
        headers = {"Authorization": f"Bearer {token(self.name)}"}
        try:
            link = await open_link(nursery, self.url + query, headers=headers, ssl_context=trusting(self.cafile))
        except VoiceTrioError:
            return None
        client = FakeClient(link)
        nursery.start_soon(client.run)
        return client

    async def _ready(self, client: FakeClient) -> dict[str, Any] | None:
        while not client.heard_of("connection.ready"):
            if client.closed_with is not None:
                return None
            await trio.sleep(0.01)
        return client.heard_of("connection.ready")[0].event


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("sessions", "restarts"), [(6, 1), pytest.param(20, 2, marks=pytest.mark.slow)], ids=["one", "one after the other"]
)
async def test_a_rolling_restart_cuts_nobody_off(tmp_path: Path, name: str, sessions: int, restarts: int) -> None:
    tls = certificate(tmp_path)
    with redis_server() as redis, trio.fail_after(100):
        async with model_on_tcp() as (model, model_url), trio.open_nursery() as nursery, AsyncExitStack() as stack:
            variables = {"REDIS_URL": redis.url, "OPENAI_REALTIME_URL": model_url, "TRUSTED_PROXY_HOPS": "1"}

            async def start(bind: int = 0) -> Deployment:
                command = (*_SERVE, f"127.0.0.1:{bind}")
                return await stack.enter_async_context(gateway_process(tmp_path, command, **variables))

            deployments = [await start(), await start()]
            it = await stack.enter_async_context(
                proxy(name, tmp_path, [deployment.port for deployment in deployments], tls)
            )
            url = f"wss://localhost:{it.port}/v1/ws/voice"
            callers = [Caller(f"user{number}", url, tls.certfile) for number in range(sessions)]
            for caller in callers:
                nursery.start_soon(caller.live, nursery)
            await everybody(callers, "what is the first thing")
            held = [await deployment.active_sessions() for deployment in deployments]
            for number, deployment in enumerate(deployments[:restarts]):
                assert deployment.process is not None
                deployment.process.signal(signal.SIGTERM)
                await deployment.process.ended.wait()
                assert deployment.process.returncode == 0
                if number + 1 < restarts:
                    await start(deployment.port)
                    await trio.sleep(3)  # HAProxy takes an instance back after two looks
                await everybody(callers, f"and then, number {number}")
            log = it.log
            nursery.cancel_scope.cancel()
    assert "eyJ" not in log
    assert sum(held) == sessions
    assert all(held)
    moved = sum(held[:restarts])
    silences = [silence for caller in callers for silence in caller.silences]
    assert len(silences) >= moved
    figures = {"sessions": sessions, "moves": len(silences), "longest_s": max(silences)}
    keep_measurements(f"rolling-restart-{name}-{restarts}", figures)
    assert max(silences) <= SILENCE_SECONDS_MAX
    assert all(len(set(caller.session_ids)) == 1 for caller in callers)
    assert all(caller.answers == restarts + 1 for caller in callers)
    told_again = [str(entry.event) for entry in model.received if entry.type == "conversation.item.create"]
    assert sum("what is the first thing" in text for text in told_again) >= sessions + moved


async def everybody(callers: list[Caller], text: str) -> None:
    async with trio.open_nursery() as nursery:
        for caller in callers:
            nursery.start_soon(caller.ask, text)
