"""Real Redis servers for tests, on free ports: single, replica, Sentinel, Cluster; to be killed, frozen and filled.

Debian's `redis-server` is enough for all of them. Without it the tests that ask for it are skipped, loudly, once.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REDIS_SERVER = shutil.which("redis-server")
NOT_TESTED = "REDIS IS NOT TESTED: no redis-server here (as root scripts/test installs it)"
START_SECONDS_MAX = 10.0


def require_redis_server() -> None:
    """Skip a test whose servers are missing; call it outside of Trio, which would lose the reason."""
    if REDIS_SERVER is None:
        pytest.skip(NOT_TESTED)


def free_port() -> int:
    """A free port below those that the kernel assigns to clients; its cluster bus port is free as well."""
    for port in range(21_000 + os.getpid() % 4_000, 32_000):
        try:
            for number in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        if port not in _taken:
            _taken.add(port)
            return port
    raise OSError("no free port")


_taken: set[int] = set()


@dataclass
class RedisServer:
    """One server process. `folder` outlives it, so that a restart may find what was saved."""

    folder: Path
    options: tuple[str, ...] = ()
    password: str = ""
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{':' + self.password + '@' if self.password else ''}{self.address}/0"

    def start(self) -> None:
        """Returns when it answers."""
        assert REDIS_SERVER is not None
        command = [REDIS_SERVER, *self._config()]
        with open(self.folder / f"{self.port}.log", "ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True)
        wait_until(self.answers, self.log)

    def _config(self) -> list[str]:
        config = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        config += ["--requirepass", self.password] if self.password else []
        return [*config, *self.options]

    def log(self) -> str:
        return (self.folder / f"{self.port}.log").read_text("utf-8", "replace")[-2000:]

    def answers(self) -> bool:
        try:
            return bool(self.do("PING"))
        except redis.exceptions.RedisError:
            return False

    def do(self, *command: str) -> Any:
        """One command, by a client of its own."""
        with redis.Redis(port=self.port, password=self.password or None, protocol=2, socket_timeout=5) as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        """kill -9: nothing is saved, connections are reset."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def freeze(self) -> None:
        """It hangs: connections stay, new ones are accepted by the kernel, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def fill(self) -> None:
        """`maxmemory` is reached, and nothing may be evicted."""
        self.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.do("CONFIG", "SET", "maxmemory", "1mb")

    def make_room(self) -> None:
        self.do("CONFIG", "SET", "maxmemory", "0")

    def keys(self) -> list[str]:
        return sorted(key.decode() for key in self.do("KEYS", "*"))

    def commands_processed(self) -> int:
        return int(self.do("INFO", "stats")["total_commands_processed"])


@contextmanager
def redis_server(*options: str, password: str = "") -> Iterator[RedisServer]:
    """A running server, alone."""
    require_redis_server()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = RedisServer(Path(folder), options, password)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@dataclass
class SentinelServer(RedisServer):
    """Watches a master called `main`."""

    master_port: int = 0

    def _config(self) -> list[str]:
        path = self.folder / f"sentinel-{self.port}.conf"
        if not path.exists():
            path.write_text(
                f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
                f"sentinel monitor main 127.0.0.1 {self.master_port} 2\n"
                "sentinel down-after-milliseconds main 800\nsentinel failover-timeout main 3000\n"
            )
        return [str(path), "--sentinel"]


@dataclass
class Replicated:
    """A master, a replica, three Sentinels."""

    master: RedisServer
    replica: RedisServer
    sentinels: list[SentinelServer]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(sentinel.address for sentinel in self.sentinels)}/main/0"


@contextmanager
def redis_with_sentinels() -> Iterator[Replicated]:
    """Ready when the Sentinels know the replica and each other."""
    require_redis_server()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        master = _started(stack, RedisServer(folder))
        replica = _started(stack, RedisServer(folder, ("--replicaof", "127.0.0.1", str(master.port))))
        wait_until(lambda: replica.do("INFO", "replication")["master_link_status"] == "up", replica.log)
        sentinels = [_started(stack, SentinelServer(folder, master_port=master.port)) for _ in range(3)]

        def know_everybody() -> bool:
            known = [sentinel.do("INFO", "sentinel")["master0"] for sentinel in sentinels]
            return all(one["slaves"] == 1 and one["sentinels"] == 3 for one in known)

        wait_until(know_everybody, sentinels[0].log)
        yield Replicated(master, replica, sentinels)


@contextmanager
def redis_cluster() -> Iterator[list[RedisServer]]:
    """Three masters, all slots served."""
    require_redis_server()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        nodes = []
        for number in range(3):
            options = ("--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{number}.conf")
            nodes.append(_started(stack, RedisServer(folder, options)))
        bounds = [0, 5461, 10923, 16384]
        for number, node in enumerate(nodes):
            node.do("CLUSTER", "ADDSLOTSRANGE", str(bounds[number]), str(bounds[number + 1] - 1))
            node.do("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for node in nodes[1:]:
            node.do("CLUSTER", "MEET", "127.0.0.1", str(nodes[0].port))
        wait_until(
            lambda: all(
                b"cluster_state:ok" in (info := node.do("CLUSTER", "INFO")) and b"nodes:3" in info for node in nodes
            ),
            nodes[0].log,
        )
        yield nodes


def _started(stack: ExitStack, server: Any) -> Any:
    stack.callback(server.kill)
    server.start()
    return server


def wait_until(is_so: Callable[[], object], explain: Callable[[], str]) -> None:
    """Blocks for at most 10 s."""
    gives_up_at = time.monotonic() + START_SECONDS_MAX
    while not is_so():
        if time.monotonic() > gives_up_at:
            raise TimeoutError(explain())
        time.sleep(0.02)


async def becomes(is_so: Callable[[], object], seconds_max: float = 10.0) -> float:
    """Wait until something is so; returns how many seconds that took."""
    began_at = trio.current_time()
    with trio.fail_after(seconds_max):
        while not is_so():  # noqa: ASYNC110  # other processes set no events
            await trio.sleep(0.02)
    return trio.current_time() - began_at


class SlowProxy:
    """TCP to a server, each chunk `seconds` late in each direction; can be changed while it runs."""

    def __init__(self, port: int, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.port = 0
        self._target = port

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = int(listeners[0].socket.getsockname()[1])
        task_status.started()
        await trio.serve_listeners(self._carry, listeners)

    async def _carry(self, client: trio.SocketStream) -> None:
        try:
            server = await trio.open_tcp_stream("127.0.0.1", self._target)
        except OSError:
            return
        async with server, client, trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on, client, server, nursery.cancel_scope)
            nursery.start_soon(self._pass_on, server, client, nursery.cancel_scope)

    async def _pass_on(self, source: trio.SocketStream, sink: trio.SocketStream, both: trio.CancelScope) -> None:
        try:
            async for chunk in source:
                await trio.sleep(self.seconds / 2)
                await sink.send_all(chunk)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        both.cancel()
