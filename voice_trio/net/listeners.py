"""Listening sockets whose connections cannot hang: made by us, or found among the process's own when another made them.

Options set on a listening socket are inherited by what it accepts. TCP_USER_TIMEOUT is the one that matters: the HTTP
server shields its sends from cancellation and gives them no timeout, so a client that stops reading could hold a task,
a session and a shutdown for ever. With it the kernel ends the connection when nothing was taken for so long (Linux).
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from voice_trio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BACKLOG = 256
UNTAKEN_MS_MAX = 5_000
# Small, so that a client which reads nothing is noticed after a second or two of sound instead of a minute. The kernel
# doubles it. 64 KiB in flight are 640 kB/s at a round trip of 100 ms; an answer leaves at a quarter of that.
SEND_BUFFER_BYTES = 64 * 1024
# A client that vanishes while nothing is sent: found after 15 + 5 seconds, whatever the server's own pings do.
KEEPALIVE_IDLE_SECONDS = 15
KEEPALIVE_INTERVAL_SECONDS = 5
KEEPALIVE_PROBES_MAX = 3

_OPTIONS = (
    (socket.SOL_SOCKET, "SO_SNDBUF", SEND_BUFFER_BYTES),
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", KEEPALIVE_IDLE_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", KEEPALIVE_INTERVAL_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", KEEPALIVE_PROBES_MAX),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", UNTAKEN_MS_MAX),
)


def parse_bind(bind: str) -> tuple[str, int]:
    """`HOST:PORT` → (host, port); IPv6 in brackets, port 0 for any. Raises `ConfigurationError`."""
    host, separator, port = bind.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not separator or not bare or not port.isdecimal() or int(port) > 65535 or (":" in host and bare == host):
        raise ConfigurationError(f"--bind: must be HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000, not {bind!r}")
    return bare, int(port)


def open_listener(bind: str) -> socket.socket:
    """A listening socket on `HOST:PORT` with all options set; raises `ConfigurationError` in one clear line."""
    host, port = parse_bind(bind)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)  # sets SO_REUSEADDR itself
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {bind}: {error.strerror or error}") from error
    harden(listener)
    listener.setblocking(False)
    return listener


def harden(listener: socket.socket) -> None:
    """Set on a TCP listener what its connections should inherit; what a system does not have is left out."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for level, name, value in _OPTIONS:
        option = getattr(socket, name, None)
        if option is not None:
            with suppress(OSError):
                listener.setsockopt(level, option, value)


def harden_own_listeners() -> int:
    """`harden` every TCP listener of this process, whoever opened it; returns how many there are."""
    count = 0
    for found in _own_tcp_sockets():
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            harden(found)
            count += 1
    return count


def drop_connections(ports: Iterable[int]) -> int:
    """Shut down every connection of this process that was accepted on one of `ports`; returns how many.

    The last resort at the end of a shutdown: whatever waits in a shielded send is set free.
    """
    wanted = set(ports)
    count = 0
    for found in _own_tcp_sockets():
        with suppress(OSError):
            if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and found.getsockname()[1] in wanted:
                found.shutdown(socket.SHUT_RDWR)
                count += 1
    return count


def _own_tcp_sockets() -> Iterator[socket.socket]:
    """A duplicate of each TCP socket of this process, closed when the next is asked for."""
    for name in _descriptors():
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            found = socket.socket(fileno=os.dup(int(name)))
        except (OSError, ValueError):
            continue
        with found:
            if found.type == socket.SOCK_STREAM and found.family in (socket.AF_INET, socket.AF_INET6):
                yield found


def _descriptors() -> list[str]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return os.listdir(folder)
        except OSError:
            continue
    return []
