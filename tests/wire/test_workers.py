"""`voice-trio serve --workers N` with a real Redis: one instance to clients, whichever process responds."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.certificates import certificate
from tests.support.deployment import (
    SECRET,
    SERVE_COMMAND,
    Deployment,
    environment,
    gateway_process,
    model_on_tcp,
    token,
    wait_until_empty,
)
from tests.support.redis_servers import RedisServer, becomes, redis_server
from voice_trio.net.listeners import open_listener
from voice_trio.server.shared import SharedFolder, open_shared_folder
from voice_trio.server.workers import DRAIN, _WorkerPool, run_workers
from voice_trio.testing import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.deployment import GatewayProcess
    from voice_trio.testing import FakeClient

TWO = (*SERVE_COMMAND, "--workers", "2")
CALLERS = 8


@pytest.fixture(scope="module")
def redis_of_module() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def redis(redis_of_module: RedisServer) -> RedisServer:
    """Empty: a test that is run again must not find the instances of its first run."""
    redis_of_module.do("FLUSHALL")
    return redis_of_module


@asynccontextmanager
async def two_workers(
    tmp_path: Path, redis: RedisServer, **more: str
) -> AsyncIterator[tuple[Deployment, GatewayProcess]]:
    limits = {"MAX_CONCURRENT_SESSIONS_PER_USER": "1000"}
    async with gateway_process(tmp_path, TWO, REDIS_URL=redis.url, **limits, **more) as deployment:
        assert deployment.process is not None
        try:
            yield deployment, deployment.process
        except BaseException:
            print(*deployment.process.log, sep="\n")  # noqa: T201  # what happened, where a test cannot know
            raise
        deployment.process.signal(signal.SIGTERM)
        with trio.move_on_after(5):
            await deployment.process.ended.wait()  # in order, so that nothing is left in /dev/shm


async def workers(deployment: Deployment) -> list[dict[str, Any]]:
    """The facts of each worker."""
    stats = (await deployment.get("/v1/voice/stats", token("root", is_admin=True))).json
    found: list[dict[str, Any]] = stats["workers"]["answered"]
    return found


async def metric(deployment: Deployment, name: str) -> float:
    text = (await deployment.get("/metrics")).body.decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def complaints_of_promtool(body: bytes) -> bytes:
    """Empty without promtool, whose absence tests/deploy reports."""
    promtool = shutil.which("promtool")
    if promtool is None:
        return b""
    done = await trio.run_process([promtool, "check", "metrics"], stdin=body, capture_stderr=True, check=False)
    return bytes(done.stderr)


async def callers_on_both(
    deployment: Deployment, nursery: trio.Nursery, user: str = "ada"
) -> list[tuple[FakeClient, str]]:
    """Callers with their resume tokens, spread over the workers."""
    callers: list[tuple[FakeClient, str]] = []
    for _ in range(CALLERS):
        client = await deployment.join(nursery, shown=token(user))
        ready = (await client.hears("connection.ready")).event
        callers.append((client, ready["resume_token"]))
    assert sorted(worker["active"] for worker in await workers(deployment)) in ([4, 4], [3, 5])
    return callers


async def test_two_workers_are_one_instance(tmp_path: Path, redis: RedisServer) -> None:
    with trio.fail_after(40):
        async with two_workers(tmp_path, redis) as (deployment, _), trio.open_nursery() as nursery:
            deployment.model.answers_with("Thirty-four degrees.", audio_ms=100, first_audio_after=0)
            callers = await callers_on_both(deployment, nursery)
            for client, _ in callers:
                await client.type("how warm must the brooder be")
                await client.hears("response.done")
            await trio.sleep(0.5)  # played to their ends
            assert await deployment.active_sessions() == len(callers)
            while await metric(deployment, "voice_trio_active_sessions") != len(callers):  # noqa: ASYNC110  # one can only ask
                await trio.sleep(0.1)  # the other's gauges may be a second old
            for client, _ in callers:
                await client.end_session()
                await client.is_closed()
            await wait_until_empty(deployment)
            for _ in range(4):  # whichever worker responds
                assert await metric(deployment, "voice_trio_admitted_total") == len(callers)
                assert await metric(deployment, 'voice_trio_turns_total{status="completed"}') == len(callers)
                assert await metric(deployment, 'voice_trio_sessions_total{ending="client_ended"}') == len(callers)
                assert await metric(deployment, 'voice_trio_stage_seconds_count{stage="commit_to_ask"}') == len(callers)
                assert await metric(deployment, "voice_trio_workers") == 2
                assert await metric(deployment, "voice_trio_places") == 240
            body = (await deployment.get("/metrics")).body
            assert await complaints_of_promtool(body) == b""
            stats = (await deployment.get("/v1/voice/stats", token("root", is_admin=True))).json
            assert stats["sessions"]["by_ending"] == {"client_ended": len(callers)}
            assert stats["latency_ms"]["1h"]["commit_to_ask"]["count"] == len(callers)
            assert sum(minute["turns"] for minute in stats["minutes"]) == len(callers)
            assert stats["adoption"]["users_who_talked_today"] == 1
            assert sorted(one["worker"] for one in stats["instances"]) == [0, 1]
            assert await metric(deployment, "voice_trio_instances") == 2
            nursery.cancel_scope.cancel()


async def test_sigterm_drains_them_all(tmp_path: Path, redis: RedisServer) -> None:
    with trio.fail_after(40):
        async with two_workers(tmp_path, redis) as (deployment, process), trio.open_nursery() as nursery:
            callers = await callers_on_both(deployment, nursery)
            pids = [worker["pid"] for worker in await workers(deployment)]
            os.killpg(os.getpgid(pids[0]), signal.SIGTERM)  # as systemd does: parent and workers
            for client, _ in callers:
                closed = await client.is_closed()
                assert (closed.code, closed.reason) == (1012, "Server restarting, resume")
            with trio.fail_after(5):
                await process.ended.wait()
            assert process.returncode == 0
            assert len(process.events("stopping")) == 2
            assert process.events("stopping_at_once") == []
            nursery.cancel_scope.cancel()


async def test_a_worker_that_is_killed_is_replaced_and_what_it_counted_stays(
    tmp_path: Path, redis: RedisServer
) -> None:
    with trio.fail_after(50):
        async with two_workers(tmp_path, redis) as (deployment, process), trio.open_nursery() as nursery:
            deployment.model.answers_with("Thirty-four degrees.", audio_ms=100, first_audio_after=0)
            callers = await callers_on_both(deployment, nursery)
            for client, _ in callers:
                await client.type("how warm must the brooder be")
                await client.hears("response.done")
            await trio.sleep(0.5)  # played to their ends, and written
            victim, other = await workers(deployment)
            os.kill(victim["pid"], signal.SIGKILL)
            await becomes(lambda: process.events("worker_died"))
            assert await metric(deployment, "voice_trio_active_sessions") == other["active"]
            assert await metric(deployment, 'voice_trio_turns_total{status="completed"}') == len(callers)
            cut = [resume for client, resume in callers if client.closed_with is not None]
            assert len(cut) == victim["active"]
            back = await deployment.join(nursery, f"{deployment.url}?resume={cut[0]}", shown=token("ada"))
            await back.hears("connection.ready")
            await becomes(lambda: len(process.events("worker_serving")) == 3)
            assert victim["pid"] not in [worker["pid"] for worker in await workers(deployment)]
            assert await metric(deployment, 'voice_trio_turns_total{status="completed"}') == len(callers)
            assert await metric(deployment, "voice_trio_admitted_total") == len(callers) + 1
            nursery.cancel_scope.cancel()


def test_a_folder_that_nobody_holds_any_more_is_removed() -> None:
    with open_shared_folder(2) as held:
        orphan = held.path.with_name(f"{held.path.name}-orphan")
        orphan.mkdir()
        (orphan / "lock").touch()
        with open_shared_folder(2) as another:
            assert held.path.exists()
            assert not orphan.exists()
    assert not held.path.exists()
    assert not another.path.exists()


async def test_a_worker_that_hangs_is_killed_and_replaced(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_trio.limits.HEARTBEAT_SILENCE_SECONDS_MAX", 3.0)  # heartbeats come every 5 s …
    monkeypatch.setenv("REDIS_URL", redis.url)
    ended: list[int] = []
    with trio.fail_after(50):
        async with trio.open_nursery() as nursery, model_on_tcp() as (_, url):
            deployment = Deployment(0, ScriptedModel())
            for name, value in environment(url, tmp_path / "k.sqlite3").items():
                monkeypatch.setenv(name, value)
            listener = open_listener("127.0.0.1:0")
            deployment.port = listener.getsockname()[1]

            async def parent() -> None:
                ended.append(await run_workers(2, listener, []))

            nursery.start_soon(parent)
            with trio.fail_after(25):
                while len(found := await workers(deployment)) < 2:  # noqa: ASYNC110  # one can only ask
                    await trio.sleep(0.1)
            os.kill(found[1]["pid"], signal.SIGSTOP)
            assert (await deployment.get("/readyz")).status == 200
            await becomes(lambda: not _is_alive(found[1]["pid"]), 20.0)
            while len(again := await workers(deployment)) < 2:  # noqa: ASYNC110  # one can only ask
                await trio.sleep(0.1)
            os.kill(os.getpid(), signal.SIGTERM)
            with trio.fail_after(5):
                while not ended:  # noqa: ASYNC110  # set by no event
                    await trio.sleep(0.05)
    assert again[0]["pid"] == found[0]["pid"]
    assert ended == [0]


async def test_workers_end_when_their_parent_was_killed(tmp_path: Path, redis: RedisServer) -> None:
    with trio.fail_after(40):
        async with two_workers(tmp_path, redis) as (deployment, process):
            pids = [worker["pid"] for worker in await workers(deployment)]
            assert len(pids) == 2
            process.signal(signal.SIGKILL)
            await becomes(lambda: not any(_is_alive(pid) for pid in pids))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_what_no_worker_can_start_with_is_said_once(tmp_path: Path, redis: RedisServer) -> None:
    command = [*TWO, "--certfile", __file__, "--keyfile", __file__]
    environ = {"PATH": os.environ["PATH"], "REDIS_URL": redis.url}
    with trio.fail_after(30):
        done = await trio.run_process(command, env=environ, capture_stderr=True, capture_stdout=True, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().count("Error: --certfile, --keyfile: cannot be used") == 1


async def test_a_worker_that_was_being_started_at_the_signal_is_told_to_drain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SharedFolder(tmp_path)
    folder.make_connection_counts(1)
    pool = _WorkerPool(1, open_listener("127.0.0.1:0"), folder, [])
    heard: list[bytes] = []

    class Newcomer:
        """A process that ends at its first command."""

        def __init__(self, line: socket.socket) -> None:
            self._line = trio.socket.from_stdlib_socket(line)
            self._over = trio.Event()

        async def listen(self) -> None:
            with self._line:
                heard.append(await self._line.recv(8))
            self._over.set()

        async def wait(self) -> int:
            await self._over.wait()
            return 0

    async with trio.open_nursery() as nursery:

        async def open_process(command: list[str], *, pass_fds: tuple[int, int], **how: Any) -> Newcomer:
            await trio.lowlevel.checkpoint()
            pool._end()  # the signal
            newcomer = Newcomer(socket.socket(fileno=os.dup(pass_fds[1])))
            nursery.start_soon(newcomer.listen)
            assert not os.get_inheritable(pass_fds[0])  # is open, although the pool's own socket is closed
            return newcomer

        monkeypatch.setattr("trio.lowlevel.open_process", open_process)
        with trio.fail_after(5):
            await pool.serve()
    assert heard == [DRAIN]
    assert pool.exit_code == 0


def test_ctrl_c_while_workers_start_ends_them_without_a_word_of_python(redis: RedisServer) -> None:
    environ = {"PATH": os.environ["PATH"], "REDIS_URL": redis.url, "JWT_SECRET": SECRET}
    process = subprocess.Popen(TWO, env=environ, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        while not any(map(_has_begun, _children_of(process.pid))):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)  # in the middle of its imports
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert "Traceback" not in said
    assert process.returncode == 0, said


def _children_of(pid: int) -> list[str]:
    """Of all its threads: the one that forked them has them."""
    with suppress(OSError):  # a thread ends
        found = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return " ".join(found).split()
    return []


def _has_begun(pid: str) -> bool:
    """Whether that is a worker already; between its fork and its exec it is another parent."""
    with suppress(OSError):
        return "voice_trio.cli.worker" in Path(f"/proc/{pid}/cmdline").read_text()
    return False


def test_without_redis_they_are_refused_by_name() -> None:
    for environ in ({}, {"REDIS_URL": "redis://127.0.0.1:1", "REDIS_ENABLED": "false"}):
        done = subprocess.run(TWO, env={"PATH": os.environ["PATH"], **environ}, capture_output=True, timeout=20)
        assert done.returncode == 1
        (line,) = done.stderr.decode().splitlines()
        assert line.startswith("Error: --workers 2: needs REDIS_URL")


async def test_workers_serve_tls(tmp_path: Path, redis: RedisServer) -> None:
    tls = certificate(tmp_path)
    command = (*TWO, "--certfile", tls.certfile, "--keyfile", tls.keyfile)
    with trio.fail_after(30):
        async with gateway_process(tmp_path, command, REDIS_URL=redis.url) as deployment:
            import ssl

            context = ssl.create_default_context(cafile=tls.certfile)
            stream = await trio.open_ssl_over_tcp_stream(
                "localhost", deployment.port, ssl_context=context, https_compatible=True
            )
            async with stream:
                await stream.send_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 200")
