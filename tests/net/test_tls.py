"""TLS under a byte stream: records, handshakes and keys, with peers whose every byte the test decides."""

from __future__ import annotations

import random
import re
import shutil
import socket
import ssl
import struct
import subprocess
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pytest
import trio

from tests.support.byte_streams import (
    client_context,
    connected_sockets,
    receive_exactly,
    server_context,
)
from voice_trio.net.tls import TlsStream, open_tls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.server.server import Tls

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
Opened: TypeAlias = "tuple[TlsStream, MemoryPeer, trio.socket.SocketType]"
Program: TypeAlias = "tuple[TlsStream, OpenSslProgram]"


class MemoryPeer:
    """The other end, in memory: the test takes its ciphertext and puts it on the wire in the segments it likes."""

    def __init__(self, context: ssl.SSLContext, *, server_side: bool) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side, None if server_side else "localhost")
        self.is_open = False

    def handshake(self, ciphertext: bytes = b"") -> bytes:
        """Take one flight, return the answer."""
        self.incoming.write(ciphertext)
        try:
            self.tls.do_handshake()
            self.is_open = True
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self.outgoing.read()

    def decrypt(self, ciphertext: bytes) -> bytes:
        data = b""
        self.incoming.write(ciphertext)
        with suppress(ssl.SSLWantReadError):
            while True:
                data += self.tls.read(65536)
        return data


async def open_with_first_data(version: ssl.TLSVersion, certificate: Tls, *, we_serve: bool, data: bytes) -> Opened:
    """A stream of ours; `data` came in one segment with the last message of the peer's handshake."""
    ours, theirs = client_context(certificate), server_context(certificate)
    if we_serve:
        ours, theirs = theirs, ours
    ours.maximum_version = version
    peer = MemoryPeer(theirs, server_side=not we_serve)
    connection, other = connected_sockets()
    wire = trio.socket.from_stdlib_socket(other)
    streams: list[TlsStream] = []

    async def open_ours() -> None:
        name = None if we_serve else "localhost"
        streams.append(await open_tls(connection, ours, server_hostname=name, server_side=we_serve))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(open_ours)
        flight = b"" if not we_serve else peer.handshake()
        while not peer.is_open:
            if flight:
                await wire.send(flight)
            flight = peer.handshake(await wire.recv(65536))
        await wire.send(flight + peer.encrypt(data))
    return streams[0], peer, wire


async def test_a_request_in_one_segment_with_the_clients_last_handshake_message_is_read(tls_certificate: Tls) -> None:
    with trio.fail_after(5):
        # In TLS 1.2 the server's message is the last one.
        opened = await open_with_first_data(ssl.TLSVersion.TLSv1_3, tls_certificate, we_serve=True, data=b"GET /")
        stream, _, wire = opened
        assert await stream.receive() == b"GET /"
        stream.close()
        wire.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_data_in_one_segment_with_the_servers_last_handshake_message_is_read(
    version: ssl.TLSVersion, tls_certificate: Tls
) -> None:
    with trio.fail_after(5):
        stream, _, wire = await open_with_first_data(version, tls_certificate, we_serve=False, data=b"hello")
        assert await stream.receive() == b"hello"
        stream.close()
        wire.close()


@pytest.fixture(params=VERSIONS)
async def opened(request: pytest.FixtureRequest, tls_certificate: Tls) -> AsyncIterator[Opened]:
    """Our end is the client."""
    with trio.fail_after(5):
        stream, peer, wire = await open_with_first_data(request.param, tls_certificate, we_serve=False, data=b".")
        assert await stream.receive() == b"."
    yield stream, peer, wire
    stream.close()
    wire.close()


async def test_many_small_records_in_one_segment_are_all_read(opened: Opened) -> None:
    stream, peer, wire = opened
    with trio.fail_after(5):
        await wire.send(b"".join(peer.encrypt(bytes([number % 256])) for number in range(500)))
        assert await stream.receive() == bytes(number % 256 for number in range(500))


async def test_large_records_with_small_ones_between_are_all_read(opened: Opened) -> None:
    stream, peer, wire = opened
    large = bytes(range(256)) * 64
    ciphertext = b"".join(peer.encrypt(large) + peer.encrypt(b"-") for _ in range(20))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.SocketStream(wire).send_all, ciphertext)
            assert await receive_exactly(stream, 20 * 16_385) == (large + b"-") * 20


async def test_a_record_cut_at_each_byte_is_read(opened: Opened) -> None:
    stream, peer, wire = opened
    with trio.fail_after(5):
        for cut in range(1, 60):
            whole, record = peer.encrypt(b"whole"), peer.encrypt(bytes(50))
            await wire.send(whole + record[:cut])
            assert await stream.receive() == b"whole"
            await wire.send(record[cut:])
            assert await stream.receive() == bytes(50)


async def test_sending_nothing_sends_nothing(opened: Opened) -> None:
    stream, peer, wire = opened
    with trio.fail_after(5):
        stream.send_nowait(b"")
        stream.send_nowait(b"x")
        peer.incoming.write(await wire.recv(65536))
        assert peer.tls.read() == b"x"
        assert peer.incoming.pending == 0


async def test_a_close_notify_ends_the_stream_and_not_our_sending(opened: Opened) -> None:
    stream, peer, wire = opened
    with trio.fail_after(5):
        last = peer.encrypt(b"last")
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.unwrap()
        await wire.send(last + peer.outgoing.read())
        assert await stream.receive() == b"last"
        assert await stream.receive() == b""
        stream.send_nowait(b"goodbye")
        peer.incoming.write(await wire.recv(65536))
        with pytest.raises(ssl.SSLError, match="application data after close notify"):
            peer.tls.unwrap()  # what arrived after the close_notify; OpenSSL does not read it


async def test_an_end_without_a_close_notify_is_an_end(opened: Opened) -> None:
    stream, peer, wire = opened
    with trio.fail_after(5):
        await wire.send(peer.encrypt(b"last") + peer.encrypt(b"cut")[:-1])
        wire.close()
        assert await stream.receive() == b"last"
        assert await stream.receive() == b""


async def test_closing_sends_a_close_notify(opened: Opened) -> None:
    stream, peer, wire = opened
    with trio.fail_after(5):
        stream.close()
        peer.incoming.write(await wire.recv(65536))
        assert peer.tls.read() == b""
        assert await wire.recv(1) == b""


async def test_closing_cuts_no_record_in_two_to_send_its_close_notify(opened: Opened) -> None:
    stream, peer, wire = opened
    with trio.fail_after(5):
        stream.send_nowait(bytes(2_000_000))
        stream.close()
        read = 0
        while data := await wire.recv(65536):
            read += len(peer.decrypt(data))
        assert 0 < read < 2_000_000


async def test_a_corrupt_record_fails_after_the_data_before_it_and_sends_an_alert(opened: Opened) -> None:
    stream, peer, wire = opened
    with trio.fail_after(5):
        good, bad = peer.encrypt(b"good"), bytearray(peer.encrypt(b"bad"))
        bad[-1] ^= 1
        await wire.send(good + bad)
        assert await stream.receive() == b"good"
        for _ in range(2):
            with pytest.raises(ssl.SSLError, match="bad record mac"):
                await stream.receive()
        peer.incoming.write(await wire.recv(65536))
        with pytest.raises(ssl.SSLError, match="alert bad record mac"):
            peer.tls.read()
        with pytest.raises(OSError):  # noqa: PT011 - what OpenSSL says depends on its release
            stream.send_nowait(b"x")


async def test_an_untrusted_certificate_fails_and_the_server_is_told_why(tls_certificate: Tls) -> None:
    with trio.fail_after(5):
        connection, other = connected_sockets()
        server = trio.SSLStream(
            trio.SocketStream(trio.socket.from_stdlib_socket(other)), server_context(tls_certificate), server_side=True
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_broken, server, "alert unknown ca")
            with pytest.raises(ssl.SSLCertVerificationError, match="self-signed certificate"):
                await open_tls(connection, ssl.create_default_context(), server_hostname="localhost")
        assert connection.fileno() == -1


async def expect_broken(server: trio.SSLStream[trio.SocketStream], why: str) -> None:
    with pytest.raises(trio.BrokenResourceError) as broken:
        await server.receive_some()
    assert why in str(broken.value.__cause__)
    await trio.aclose_forcefully(server)


async def test_a_client_that_speaks_plain_http_fails(tls_certificate: Tls) -> None:
    with trio.fail_after(5):
        connection, other = connected_sockets()
        other.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(ssl.SSLError, match="http request"):
            await open_tls(connection, server_context(tls_certificate), server_side=True)
        assert connection.fileno() == -1
        other.close()


@pytest.mark.parametrize("end", ["fin", "reset"])
@pytest.mark.parametrize("we_serve", [False, True], ids=["we are the client", "we are the server"])
async def test_a_connection_that_ends_within_the_handshake_fails_and_closes_the_socket(
    tls_certificate: Tls, end: str, we_serve: bool
) -> None:
    with trio.fail_after(5):
        for length in (0, 1, 4, 5, 100, 200):
            connection, other = connected_sockets()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(expect_no_tls, connection, tls_certificate, we_serve)
                wire = trio.socket.from_stdlib_socket(other)
                await wire.send((await first_flight(wire, tls_certificate, we_serve=we_serve))[:length])
                if end == "reset":
                    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    wire.close()
                else:
                    wire.shutdown(socket.SHUT_WR)
            wire.close()


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("we_serve", [False, True], ids=["we are the client", "we are the server"])
async def test_a_mutated_handshake_fails_with_an_os_error_and_closes_the_socket(
    tls_certificate: Tls, we_serve: bool, seed: int
) -> None:
    with trio.fail_after(5):
        chance = random.Random(seed)
        connection, other = connected_sockets()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_no_tls, connection, tls_certificate, we_serve)
            wire = trio.socket.from_stdlib_socket(other)
            flight = bytearray(await first_flight(wire, tls_certificate, we_serve=we_serve))
            for _ in range(chance.choice((1, 2, 20))):
                flight[chance.randrange(chance.choice((10, 100, len(flight))))] = chance.randrange(256)
            with suppress(OSError):
                await wire.send(flight[: chance.choice((len(flight), chance.randrange(len(flight))))])
                wire.shutdown(socket.SHUT_WR)
        wire.close()


async def first_flight(wire: trio.socket.SocketType, certificate: Tls, *, we_serve: bool) -> bytes:
    """The peer's first handshake messages, in answer to ours if we are the client."""
    if we_serve:
        return MemoryPeer(client_context(certificate), server_side=False).handshake()
    return MemoryPeer(server_context(certificate), server_side=True).handshake(await wire.recv(65536))


async def expect_no_tls(connection: socket.socket, certificate: Tls, we_serve: bool) -> None:
    context = server_context(certificate) if we_serve else client_context(certificate)
    with pytest.raises(OSError):  # noqa: PT011 - what OpenSSL says depends on its release
        await open_tls(connection, context, server_hostname=None if we_serve else "localhost", server_side=we_serve)
    assert connection.fileno() == -1


async def test_a_cancelled_handshake_closes_the_socket(tls_certificate: Tls) -> None:
    connection, other = connected_sockets()
    with trio.move_on_after(0.01) as patience:
        await open_tls(connection, client_context(tls_certificate), server_hostname="localhost")
    assert patience.cancelled_caught
    assert connection.fileno() == -1
    other.close()


async def test_an_unusable_name_closes_the_socket(tls_certificate: Tls) -> None:
    connection, other = connected_sockets()
    with pytest.raises(ValueError, match="server_hostname"):
        await open_tls(connection, client_context(tls_certificate), server_hostname="")
    assert connection.fileno() == -1
    other.close()


class OpenSslProgram:
    """`openssl s_client` or `s_server`, which can do what Python's `ssl` cannot: update keys, renegotiate.

    It prints the handshake messages of both sides, and the data that it reads.
    """

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout
        self._printed = b""

    async def enter(self, line: str) -> None:
        """One line is data to send; a single letter may be a command."""
        await self._stdin.send_all(line.encode() + b"\n")

    async def prints(self, pattern: str) -> str:
        """Wait for what it prints next that matches, and return the first group, if any."""
        while not (found := re.search(pattern.encode(), self._printed)):
            data = await self._stdout.receive_some()
            assert data, self._printed
            self._printed += data
        self._printed = self._printed[found.end() :]
        return found[found.re.groups].decode()


@asynccontextmanager
async def openssl_program(certificate: Tls, *options: str, we_serve: bool) -> AsyncIterator[Program]:
    """A stream of ours that is connected to the program."""
    if we_serve:
        listener = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener[0].socket.getsockname()[1]
        arguments = ["s_client", "-connect", f"127.0.0.1:{port}"]
    else:
        arguments = ["s_server", "-accept", "127.0.0.1:0", "-cert", certificate.certfile, "-key", certificate.keyfile]
    async with trio.open_nursery() as nursery:
        command = ["openssl", *arguments, "-msg", *options]
        run = partial(trio.run_process, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process = await nursery.start(partial(run, command, check=False))
        program = OpenSslProgram(process)
        if we_serve:
            accepted, _ = await listener[0].socket.accept()
            connection = socket.socket(fileno=accepted.detach())
            stream = await open_tls(connection, server_context(certificate), server_side=True)
            await listener[0].aclose()
        else:
            address = ("127.0.0.1", int(await program.prints(r"ACCEPT 127.0.0.1:(\d+)")))
            context = client_context(certificate)
            stream = await open_tls(socket.create_connection(address), context, server_hostname="localhost")
        yield stream, program
        stream.close()
        nursery.cancel_scope.cancel()


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="NOT TESTED: key updates need `openssl`")


@needs_openssl
@pytest.mark.parametrize("we_serve", [False, True], ids=["we are the client", "we are the server"])
async def test_key_updates_are_answered_and_no_data_is_lost(tls_certificate: Tls, we_serve: bool) -> None:
    with trio.fail_after(15):
        async with openssl_program(tls_certificate, "-tls1_3", we_serve=we_serve) as (stream, program):
            await program.prints("Finished")
            for number, command in enumerate("KkKKk"):
                await program.enter(command)
                await program.prints(">>> .*KeyUpdate")
                await program.enter(f"data {number}")
                assert await receive_exactly(stream, 7) == f"data {number}\n".encode()
                stream.send_nowait(f"answer {number}\n".encode())
                if command == "K":  # a request for an update of our keys too, before our next data
                    await program.prints("<<< .*KeyUpdate")
                await program.prints(f"answer {number}")


@needs_openssl
async def test_renegotiation_is_refused_and_data_up_to_there_is_received(tls_certificate: Tls) -> None:
    with trio.fail_after(15):
        async with openssl_program(tls_certificate, "-tls1_2", we_serve=False) as (stream, program):
            await program.enter("r")
            await program.prints(">>> .*HelloRequest")
            await program.enter("data")
            assert await receive_exactly(stream, 5) == b"data\n"
            await program.prints("<<< .*warning no_renegotiation")
            with pytest.raises(ssl.SSLError, match="handshake failure"):  # this server insists
                await stream.receive()
