"""The gateway as deployed, for tests: a real socket, the scripted model over TCP, and clients."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import sysconfig
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from voice_trio.auth.tokens import User, issue_token
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter
from voice_trio.net.listeners import open_listener
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.server.server import Tls, run_server
from voice_trio.settings import Settings, load_settings
from voice_trio.testing import FakeClient, ScriptedModel, serve_scripted_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

SECRET = "a secret of exactly that length: 40 bytes"
SCRIPTS = Path(sysconfig.get_path("scripts"))


def environment(model_url: str, knowledge: Path, **variables: str) -> dict[str, str]:
    """The environment of a gateway; `variables` take precedence."""
    usual = {
        "ENABLE_VOICE_REALTIME": "true",
        "JWT_SECRET": SECRET,
        "OPENAI_REALTIME_URL": model_url,
        "KNOWLEDGE_PATH": str(knowledge),
        "MAX_SESSIONS_PER_USER_PER_HOUR": "1000",
        "MAX_LOOP_LAG_MS": "0",  # the machine of the tests may be busy with others
    }
    return usual | variables


def inherited(*names: str) -> dict[str, str]:
    """These variables of this process, as far as they are set."""
    return {name: os.environ[name] for name in names if name in os.environ}


def token(user: str = "ada", **claims: Any) -> str:
    """A user's token; its plan includes voice unless `claims` has another one."""
    settings = load_settings({"JWT_SECRET": SECRET})
    return issue_token(settings.tokens, User(**({"id": user, "plan": "elite"} | claims)))


def fill_knowledge(path: Path) -> None:
    with KnowledgeWriter(path) as writer:
        for title, text in (
            ("Brooding", "The brooder must be at 34 degrees in the first week."),
            ("Light", "Layers need 16 hours of light."),
            ("Water", "Ducks need water deep enough for their bills."),
        ):
            writer.import_chunks(title, "1", [Chunk(title, text, f"{title}.md")])


@dataclass(slots=True)
class Deployment:
    """A running gateway: its port, the model behind it and, if it has its own process, that process."""

    port: int
    model: ScriptedModel
    process: GatewayProcess | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/ws/voice"

    async def join(self, nursery: trio.Nursery, url: str = "", *, shown: str | None = "", **how: Any) -> FakeClient:
        """A client that connects now; `shown` is its token: a new one by default, None for no token."""
        headers = {} if shown is None else {"Authorization": f"Bearer {shown or token()}"}
        client = FakeClient(await open_link(nursery, url or self.url, headers=headers), **how)
        nursery.start_soon(client.run)
        return client

    async def get(self, path: str, bearer: str = "") -> HttpResponse:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return await http(self.port, path, headers)

    async def active_sessions(self) -> int:
        stats = await self.get("/v1/voice/stats", token("root", is_admin=True))
        return int(stats.json["sessions"]["active"])


@asynccontextmanager
async def model_on_tcp(dialect: str = "openai") -> AsyncIterator[tuple[ScriptedModel, str]]:
    async with trio.open_nursery() as nursery:
        model = ScriptedModel(dialect=dialect)
        url = await nursery.start(serve_scripted_model, model)
        yield model, url
        nursery.cancel_scope.cancel()


async def serve_gateway(
    settings: Settings, tls: Tls | None = None, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """A gateway in this process, served as in production until cancelled; starts with its port."""
    listener = open_listener("127.0.0.1:0")
    port = listener.getsockname()[1]
    await run_server(settings, listener, tls=tls, when_started=lambda: task_status.started(port))


@asynccontextmanager
async def gateway(tmp_path: Path, tls: Tls | None = None, /, **variables: str) -> AsyncIterator[Deployment]:
    """A gateway in this process, served as in production; the model speaks the dialect of `VOICE_UPSTREAM`."""
    knowledge = tmp_path / "knowledge.sqlite3"
    fill_knowledge(knowledge)
    async with (
        model_on_tcp(variables.get("VOICE_UPSTREAM", "openai")) as (model, model_url),
        trio.open_nursery() as nursery,
    ):
        settings = load_settings(environment(model_url, knowledge, **variables))
        yield Deployment(await nursery.start(serve_gateway, settings, tls), model)
        nursery.cancel_scope.cancel()


SERVE_COMMAND = (str(SCRIPTS / "voice-trio"), "serve", "--bind", "127.0.0.1:0")
HYPERCORN_COMMAND = (str(SCRIPTS / "hypercorn"), "-k", "trio", "--access-logfile", "-", "voice_trio.asgi:app")


@asynccontextmanager
async def gateway_process(
    tmp_path: Path, command: Sequence[str] = SERVE_COMMAND, **variables: str
) -> AsyncIterator[Deployment]:
    """A gateway in its own process, started by one of the documented commands."""
    knowledge = tmp_path / "knowledge.sqlite3"
    fill_knowledge(knowledge)
    async with model_on_tcp() as (model, model_url), trio.open_nursery() as nursery:
        environ = environment(model_url, knowledge, LOG_FORMAT="json", **variables)
        process = GatewayProcess(command, environ)
        await nursery.start(process.run)
        yield Deployment(process.port, model, process)
        process.kill()


_SERVING = re.compile(r'"port": (\d+).*"event": "serving"|Running on http://127.0.0.1:(\d+)')


class GatewayProcess:
    """`log` has every line the process wrote. It is killed when the test ends."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self.port = 0
        self.log: list[str] = []
        self.returncode: int | None = None
        self.ended = trio.Event()
        self._command = list(command)
        self._environ = {**inherited("PATH", "HOME", "PYTHONPATH"), **environ}
        self._process: trio.Process | None = None
        if "hypercorn" in command[0]:
            self._command += ["-b", f"127.0.0.1:{free_port()}"]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        process = self._process = await trio.lowlevel.open_process(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environ,
            start_new_session=True,  # Ctrl-C in the test's terminal must not reach it
        )
        assert process.stdout is not None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, process.stdout, task_status)
                self.returncode = await process.wait()
                self.ended.set()
                with trio.move_on_after(1):
                    await trio.sleep(0.05)
                nursery.cancel_scope.cancel()
        finally:
            self.kill()
            with trio.move_on_after(5, shield=True):
                await process.wait()
                await process.stdout.aclose()

    async def _read(self, stdout: Any, task_status: trio.TaskStatus[None]) -> None:
        rest = b""
        async for chunk in stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self.log.append(line.decode())
                serving = _SERVING.search(self.log[-1])
                if serving and not self.port:
                    self.port = int(serving[1] or serving[2])
                    task_status.started()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the process and its children; it leads its own process group."""
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, 9)

    def children(self) -> list[int]:
        """Ids of the processes it started."""
        assert self._process is not None
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Log lines with `event: name`."""
        parsed = [json.loads(line) for line in self.log if line.startswith("{")]
        return [line for line in parsed if line.get("event") == name]


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def wait_until_empty(deployment: Deployment) -> None:
    """Return when no session is left."""
    while await deployment.active_sessions():  # noqa: ASYNC110  # perhaps in another process: no event to wait for
        await trio.sleep(0.02)


async def http(port: int, path: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A GET; with upgrade headers, the response in place of the upgrade (or the head of the upgrade)."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await stream.send_all(("\r\n".join(lines) + "\r\n\r\n").encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some() or _connection_ended()
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        named = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        while len(body) < int(named.get("content-length", 0)):
            body += await stream.receive_some() or _connection_ended()
        return HttpResponse(int(first.split()[1]), named, body)


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def _connection_ended() -> bytes:
    raise AssertionError("the server closed the connection")


def free_port() -> int:
    """A free port, for commands that need a number."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reset_on_close(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
