"""Sockets whose connections cannot hang: listening ones, opened here or found in the process, and their options.

Accepted connections inherit the options of the listening socket. TCP_USER_TIMEOUT matters most: the HTTP server shields
its sends from cancellation and has no timeout for them. A client that stops reading would block a task, a session and a
shutdown. With the option the kernel ends a connection that acknowledges no data for that time (Linux).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_TIMEOUTS = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", limits.KEEPALIVE_IDLE_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", limits.KEEPALIVE_INTERVAL_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", limits.KEEPALIVE_PROBES_MAX),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", limits.UNACKNOWLEDGED_MS_MAX),
)
_LISTENING = (
    (socket.SOL_SOCKET, "SO_SNDBUF", limits.SEND_BUFFER_BYTES),
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    *_TIMEOUTS,
)
BIND_RULE = "must be HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000"


def parse_bind(bind: str) -> tuple[str, int]:
    """`HOST:PORT` → (host, port); IPv6 in brackets, port 0 for any. Raises `ConfigurationError`."""
    host, separator, port = bind.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_port = port.isdecimal() and len(port) <= 5 and int(port) <= 65535
    if not separator or not bare or not is_port or (":" in host and bare == host):
        raise ConfigurationError(f"--bind: {BIND_RULE}, not {bind[:80]!r}")
    return bare, int(port)


def open_listener(bind: str) -> socket.socket:
    """A listening socket on `HOST:PORT` with all options set; raises `ConfigurationError` in one clear line."""
    host, port = parse_bind(bind)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.create_server(
            (host, port), family=family, backlog=limits.LISTEN_BACKLOG
        )  # sets SO_REUSEADDR itself
    except OSError as error:
        in_use = "the port is in use; choose another one with --bind"
        reason = in_use if error.errno == errno.EADDRINUSE else error.strerror or error
        raise ConfigurationError(f"cannot listen on {bind}: {reason}") from error
    set_socket_options(listener)
    listener.setblocking(False)
    return listener


def set_socket_options(listener: socket.socket) -> None:
    """Set the options that accepted connections inherit; options that the system lacks are skipped."""
    _set(listener, _LISTENING)


def set_timeouts(connection: socket.socket) -> None:
    """Let the kernel end a connection whose peer acknowledges nothing, also while nothing is sent."""
    _set(connection, _TIMEOUTS)


def _set(target: socket.socket, options: Iterable[tuple[int, str, int]]) -> None:
    if target.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for level, name, value in options:
        option = getattr(socket, name, None)
        if option is not None:
            with suppress(OSError):
                target.setsockopt(level, option, value)


def set_options_on_own_listeners() -> int:
    """Call `set_socket_options` on every TCP listener of this process; returns their number."""
    count = 0
    for found in _own_tcp_sockets():
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            set_socket_options(found)
            count += 1
    return count


def drop_connections(ports: Iterable[int]) -> int:
    """Shut down every connection that was accepted on one of `ports`; returns their number.

    The last step of a shutdown: it ends every shielded send that still waits.
    """
    port_set = set(ports)
    count = 0
    for found in _own_tcp_sockets():
        with suppress(OSError):
            if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and found.getsockname()[1] in port_set:
                found.shutdown(socket.SHUT_RDWR)
                count += 1
    return count


def _own_tcp_sockets() -> Iterator[socket.socket]:
    """A duplicate of each TCP socket of this process, closed before the next one."""
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
