"""The adapter of redis-py: blocking calls on one client, and a named fault for every way in which they fail.

For worker threads only. A connection is used only if `admits` accepts its server: after a restart or a failover another
process answers at the same address, and it may know less than the one before.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MaxConnectionsError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from voice_trio import limits
from voice_trio.errors import StateUnavailable
from voice_trio.settings.redis_url import Layout, RedisUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voice_trio.state.redis.scripts import RedisScript

Argument: TypeAlias = str | bytes | int


class RedisFault(Enum):
    """What is wrong with Redis; the values appear in health and logs."""

    UNKNOWN = "not looked at yet"
    UNREACHABLE = "unreachable"
    HANGING = "hanging: it accepts connections and does not answer"
    SLOW = "slow: it answers later than an admission may wait"
    FULL = "full: maxmemory is reached"
    READ_ONLY = "read-only: this is a replica"
    WRONG_PASSWORD = "wrong password"
    CERTIFICATE = "its certificate is not trusted"
    NOT_PERMITTED = "not permitted: the user's ACL forbids a command or the prefix voice:"
    LOADING = "loading its data"
    NO_MASTER = "the Sentinels know no master"
    CLUSTER_DOWN = "the cluster does not serve all slots"
    RESTARTED = "another server answers than before, or it lost its data"
    BUSY = "asked more than it answers within 250 ms"
    BROKEN = "error"


class RedisFailed(StateUnavailable):
    """A call failed. It may have taken effect all the same, unless the fault excludes that."""

    def __init__(self, fault: RedisFault, detail: str = "") -> None:
        super().__init__(f"Redis: {fault.value}" + (f" ({detail})" if detail else ""))
        self.fault = fault


class _UnknownServer(RedisError):
    """A new connection reached a server that is not admitted yet."""


class RedisDriver:
    """One client, created at the first call. Calls raise `RedisFailed` and nothing else.

    Each wait for a byte takes at most `seconds_max`. A call over a lost connection is tried up to `attempts` times in
    all, with a first pause of 10 ms that grows by `backoff_factor`.
    """

    def __init__(
        self,
        url: RedisUrl,
        *,
        seconds_max: float,
        admits: Callable[[str], bool],
        attempts: int = 1,
        backoff_factor: float = 2.0,
    ) -> None:
        self._url = url
        self._seconds_max = seconds_max
        self._admits = admits
        self._attempts = attempts
        self._backoff_factor = backoff_factor
        self._client: Any = None
        self._lock = threading.Lock()

    @property
    def is_cluster(self) -> bool:
        """Whether the keys of one script must lie in one hash slot."""
        return self._url.layout is Layout.CLUSTER

    def run(self, script: RedisScript, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script in one round trip, or two if the server has not cached it yet."""
        return self._with_retries(lambda client: _evaluate(client, script, keys, arguments))

    def call(self, *command: Argument) -> Any:
        """Run one command."""
        return self._with_retries(lambda client: client.execute_command(*command))

    def info(self) -> dict[str, Any]:
        """The reply to INFO; in a cluster that of its default node."""
        return dict(self._with_retries(lambda client: client.info()))

    def connect_all(self) -> None:
        """Connect to every server that a call may reach, so that each is admitted or refused now."""
        self._with_retries(_connect_all)

    def reset(self) -> None:
        """Close the client and its connections; the next call makes new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            with suppress(RedisError, RedisClusterException, OSError):
                client.close()

    def _with_retries(self, do: Callable[[Any], Any]) -> Any:
        pause = limits.REDIS_RETRY_PAUSE_SECONDS
        for attempt in range(1, self._attempts + 1):
            try:
                return do(self._connected())
            except (RedisError, RedisClusterException, OSError) as error:
                failed = _classified(error)
                if failed.fault is not RedisFault.UNREACHABLE or attempt == self._attempts:
                    raise failed from error
            time.sleep(pause)
            pause *= self._backoff_factor
        raise AssertionError("there is at least one attempt")

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._make()
            return self._client

    def _make(self) -> Any:
        url, hosts = self._url, self._url.hosts
        options = self._options() | {"redis_connect_func": self._on_connect}
        if url.layout is Layout.CLUSTER:
            # The client connects to its servers here already. Connections of a node must not be retried within a call.
            cluster_node: Any = ClusterNode
            nodes = [cluster_node(host, port) for host, port in hosts]
            options["redis_connect_func"] = self._check
            return RedisCluster(startup_nodes=nodes, retry=Retry(NoBackoff(), 1), **options)
        options |= {"db": url.db, "retry": Retry(NoBackoff(), 0)}
        if url.layout is Layout.SENTINEL:
            bare = self._options() | {"username": url.sentinel_user, "password": url.sentinel_password}
            bare["retry"] = Retry(NoBackoff(), 0)
            sentinel: Any = Sentinel
            return sentinel(hosts, sentinel_kwargs=bare).master_for(url.service, **options)
        return redis.Redis(host=hosts[0][0], port=hosts[0][1], **options)

    def _options(self) -> dict[str, Any]:
        url = self._url
        options: dict[str, Any] = {
            "username": url.user,
            "password": url.password,
            "socket_timeout": self._seconds_max,
            "socket_connect_timeout": self._seconds_max,
            "socket_keepalive": True,
            # Each extra command at connect would cost a round trip on every new connection.
            "protocol": 2,
            "driver_info": None,
        }
        if url.tls:
            options |= {"ssl": True, "ssl_check_hostname": True}
            options |= {"ssl_ca_certs": url.ca} if url.ca else {}
        return options

    def _on_connect(self, connection: Any) -> None:
        connection.on_connect()
        self._check(connection)

    def _check(self, connection: Any) -> None:
        """Refuse a connection to a server that is not admitted; if the ACL forbids INFO, accept every server."""
        try:
            connection.send_command("INFO", "server")
            reply = connection.read_response()
        except NoPermissionError:
            return
        if not self._admits(_run_id(reply)):
            raise _UnknownServer


def _evaluate(client: Any, script: RedisScript, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
    try:
        return client.evalsha(script.sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return client.eval(script.text, len(keys), *keys, *arguments)


def _connect_all(client: Any) -> None:
    if not isinstance(client, RedisCluster):
        client.ping()
        return
    nodes: Any = client.get_nodes  # untyped in redis-py
    for node in nodes():
        if node.server_type == "primary":
            client.ping(target_nodes=node)
        else:
            # A replica only tells the cluster's layout, which any other node tells too.
            with suppress(RedisError, RedisClusterException, OSError):
                client.ping(target_nodes=node)


def _run_id(reply: Any) -> str:
    text = reply.decode("ascii", "replace") if isinstance(reply, bytes) else str(reply)
    return next((connection[7:].strip() for connection in text.splitlines() if connection.startswith("run_id:")), "")


_BY_TYPE: tuple[tuple[type[Exception], RedisFault], ...] = (
    (_UnknownServer, RedisFault.RESTARTED),
    (AuthenticationError, RedisFault.WRONG_PASSWORD),
    (NoPermissionError, RedisFault.NOT_PERMITTED),
    (OutOfMemoryError, RedisFault.FULL),
    (ReadOnlyError, RedisFault.READ_ONLY),
    (BusyLoadingError, RedisFault.LOADING),
    (MasterNotFoundError, RedisFault.NO_MASTER),
    (ClusterDownError, RedisFault.CLUSTER_DOWN),
    (MaxConnectionsError, RedisFault.BROKEN),
    (redis.exceptions.TimeoutError, RedisFault.HANGING),
    (TimeoutError, RedisFault.HANGING),
    (redis.exceptions.ConnectionError, RedisFault.UNREACHABLE),
    (OSError, RedisFault.UNREACHABLE),
)
# Errors out of a script, or wrapped in another error, can be told apart by their text alone.
_BY_TEXT: tuple[tuple[str, RedisFault], ...] = (
    ("READONLY", RedisFault.READ_ONLY),
    ("previous master is now", RedisFault.READ_ONLY),
    ("OOM ", RedisFault.FULL),
    ("WRONGPASS", RedisFault.WRONG_PASSWORD),
    ("NOAUTH", RedisFault.WRONG_PASSWORD),
    ("invalid username-password", RedisFault.WRONG_PASSWORD),
    ("NOPERM", RedisFault.NOT_PERMITTED),
    ("CERTIFICATE_VERIFY_FAILED", RedisFault.CERTIFICATE),
    ("CLUSTERDOWN", RedisFault.CLUSTER_DOWN),
    ("_UnknownServer", RedisFault.RESTARTED),
    ("connecting to", RedisFault.UNREACHABLE),
)


def _classified(error: Exception) -> RedisFailed:
    text = f"{type(error).__name__} {error}"
    by_text = next((fault for piece, fault in _BY_TEXT if piece in text), None)
    by_type = next((fault for kind, fault in _BY_TYPE if isinstance(error, kind)), RedisFault.BROKEN)
    fault = by_text or by_type
    # Messages of a server hold no secrets. Those of the library may hold addresses, which health shows anyway.
    return RedisFailed(fault, str(error)[:120] if fault is RedisFault.BROKEN else "")
