"""Options on listening sockets: set where the system has them, inherited by connections, found wherever they are."""

from __future__ import annotations

import socket

import pytest

from voice_trio import limits
from voice_trio.errors import ConfigurationError
from voice_trio.net.listeners import (
    drop_connections,
    open_listener,
    parse_bind,
    set_options_on_own_listeners,
    set_socket_options,
)


def test_an_accepted_connection_inherits_what_keeps_it_from_hanging() -> None:
    with open_listener("127.0.0.1:0") as listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == limits.UNACKNOWLEDGED_MS_MAX
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * 64 * 1024


def test_listeners_that_others_opened_are_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        assert foreign.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
        assert set_options_on_own_listeners() >= 1
        assert foreign.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == limits.UNACKNOWLEDGED_MS_MAX


def test_only_connections_of_the_port_are_dropped() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as ours,
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.create_connection(ours.getsockname()) as client,
        socket.create_connection(other.getsockname()) as kept,
        ours.accept()[0],
        other.accept()[0] as untouched,
    ):
        assert drop_connections([ours.getsockname()[1]]) == 1
        assert client.recv(1) == b""
        untouched.sendall(b"x")
        assert kept.recv(1) == b"x"


def test_a_unix_socket_is_left_alone() -> None:
    with socket.socket(socket.AF_UNIX) as local:
        before = local.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        set_socket_options(local)
        assert local.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == before


def test_a_port_in_use_is_the_operators_to_change() -> None:
    with open_listener("127.0.0.1:0") as taken, pytest.raises(ConfigurationError, match="the port is in use"):
        open_listener(f"127.0.0.1:{taken.getsockname()[1]}")


@pytest.mark.parametrize(
    ("bind", "parsed"),
    [("127.0.0.1:8000", ("127.0.0.1", 8000)), ("[::1]:0", ("::1", 0)), ("localhost:80", ("localhost", 80))],
)
def test_addresses_are_host_and_port(bind: str, parsed: tuple[str, int]) -> None:
    assert parse_bind(bind) == parsed


@pytest.mark.parametrize("bind", ["", "8000", ":8000", "host:", "host:x", "::1:80", "host:65536", "host:-1"])
def test_anything_else_is_no_address(bind: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        parse_bind(bind)
