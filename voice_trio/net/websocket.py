"""Our own WebSocket: a `Link` over the frames of `net.frames` and a byte stream, for either end of a connection.

It answers pings and close frames, pings the peer, and limits the rate of control frames. It knows nothing of the
protocol above and logs no content.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio import limits
from voice_trio.errors import LinkClosed
from voice_trio.net.frames import CloseFrame, Ping, Pong, ProtocolFault, WebSocketProtocol
from voice_trio.net.inflow import TOO_SLOW, Inflow
from voice_trio.net.keepalive import Keepalive, LinkKeeper, keep_link_alive, running_keeper
from voice_trio.net.link import Link

if TYPE_CHECKING:
    from voice_trio.net.byte_stream import ByteStream

log = structlog.get_logger(__name__)

# The fast path. In the steady state a relayed frame costs two system calls on each side, and one pass of the scheduler:
#
#   receive      waits until the socket is readable, reads once, and returns what `next_event` parses. A read may hold
#                several frames; they are returned without waiting, at most MESSAGES_WITHOUT_CHECKPOINT_MAX at a time.
#   send_nowait  encodes and gives the frame to the kernel. No task wakes, no cancel scope is opened.
#
# Everything that is rare leaves this path: a peer that does not read (`is_behind`, `drain`), control frames, faults.
# A frame is never cut in two by a cancellation, because the byte stream keeps what the kernel did not take.


class WebSocketLink(Link):
    """One end of a WebSocket over `stream`, which it owns; `bytes_max` bounds each received message.

    A message over the bound, or one that breaks RFC 6455, raises `LinkClosed` with the code of the fault from
    `receive`. Sending works until `aclose`, which then closes with that code.
    """

    def __init__(self, stream: ByteStream, *, is_client: bool, bytes_max: int = limits.MESSAGE_BYTES_MAX) -> None:
        self._stream = stream
        self._protocol = WebSocketProtocol(is_client=is_client, message_bytes_max=bytes_max)
        self._close_seconds_max = limits.LINK_CLOSE_SECONDS_MAX if is_client else limits.CLIENT_CLOSE_SECONDS_MAX
        self._inflow = Inflow(self._protocol)
        self._fault: ProtocolFault | None = None
        self._lost: LinkClosed | None = None
        """How the peer ended the connection."""
        self._has_timed_out = False
        self._is_close_sent = False
        self._is_reading = False
        self._is_closing = False
        self._was_heard = False
        self._is_pinged = False
        self._pong_due: Ping | None = None
        self._returned = 0
        self._ended = trio.Event()
        self._keeper: LinkKeeper | None = None
        self._keeping_alive = trio.CancelScope()
        self._keepalive_over = trio.Event()
        self._keepalive_over.set()

    @property
    def bytes_max(self) -> int:
        """The bound of each received message, in bytes."""
        return self._protocol.message_bytes_max

    @bytes_max.setter
    def bytes_max(self, bytes_max: int) -> None:
        self._protocol.message_bytes_max = bytes_max

    @property
    def is_lost(self) -> bool:
        """Whether the peer has closed or lost the connection."""
        return self._lost is not None

    def feed(self, data: bytes) -> None:
        """Take bytes that were read from the stream before this link had it."""
        self._protocol.receive_data(data)

    def send_nowait(self, message: str | bytes) -> bool:
        """Send one frame without waiting; False, and nothing sent, while a part of an earlier frame waits.

        Raises `LinkClosed`.
        """
        if self._lost is not None or self._is_close_sent:
            raise self._closed()
        if self._stream.unsent:
            return False
        try:
            self._stream.send_nowait(self._protocol.message(message))
        except OSError as error:
            self._note_failure(error)
            raise self._closed() from error  # the peer's last bytes may still say why: they can be received
        return True

    @property
    def is_behind(self) -> bool:
        """Whether a part of a frame still waits for the peer to read."""
        return self._stream.unsent > 0

    async def drain(self) -> None:
        """Wait until no part of a frame waits; raises `LinkClosed`. Cancellation loses nothing."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            await self._stream.drain()
            if self._pong_due is not None:
                due, self._pong_due = self._pong_due, None
                self._stream.send_nowait(self._protocol.pong(due.payload))
        except OSError as error:
            self._note_failure(error)
            raise self._closed() from error  # the peer's last bytes may still say why: they can be received

    async def send(self, message: str | bytes) -> None:
        """Send one frame, after what waits already; raises `LinkClosed`. A cancelled send leaves the link usable."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self.send_nowait(message):
            await self.drain()
        if self._stream.unsent:
            await self.drain()

    async def receive(self) -> str | bytes:
        """The next message; raises `LinkClosed` at the end of the connection. Cancellation loses no message."""
        protocol, inflow = self._protocol, self._inflow
        if inflow.reserved:
            inflow.release(self.account)
        while True:
            if self._returned >= limits.MESSAGES_WITHOUT_CHECKPOINT_MAX:
                self._returned = 0
                await trio.lowlevel.checkpoint()
            event = self._next_event() if protocol.unparsed else None
            if isinstance(event, str | bytes):
                self._returned += 1
                inflow.is_complete = True
                return event
            if event is not None:
                await self._handle_control(event)
            elif self._lost is not None or self._fault is not None:
                raise self._closed()
            elif self._is_closing:
                await self._ended.wait()  # `aclose` reads to the end
            else:
                self._returned = 0
                self._is_reading = True
                try:
                    data = await (self._receive_bounded() if self._inflow.is_bounded else self._stream.receive())
                except OSError as error:
                    self._note_failure(error)
                    data = b""
                finally:
                    self._is_reading = False
                self._take(data)

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close with a bounded closing handshake; when cancelled, close the socket at once."""
        try:
            with trio.move_on_after(self._close_seconds_max), suppress(OSError, LinkClosed):
                await self._shake_hands(code, reason)
        finally:
            self._lose(LinkClosed())
        await self._keepalive_over.wait()

    def keep_alive_in(self, nursery: trio.Nursery, keepalive: Keepalive | None = None) -> None:
        """Ping the peer until the link is closed: from the process's `keep_links_alive`, or from a task in `nursery`.

        A peer that does not answer has lost the connection. No answer is expected while nothing is received here,
        because a pong would wait unread.
        """
        self._keeper = running_keeper()
        if self._keeper is not None:
            self._keeper.add(self, keepalive)
            return
        self._keepalive_over = trio.Event()
        nursery.start_soon(self._keep_alive, keepalive or Keepalive())

    async def _keep_alive(self, keepalive: Keepalive) -> None:
        try:
            with self._keeping_alive:
                await keep_link_alive(self, keepalive)
        finally:
            self._keepalive_over.set()

    def ping_or_lose(self, keepalive: Keepalive) -> float | None:
        """Do what `KeptAlive` says: nothing heard after a ping means that the connection is lost."""
        if self._is_pinged:
            self._is_pinged = False
            if self._is_reading and not self._was_heard:
                log.warning("pong_timed_out", timeout_s=keepalive.pong_seconds_max)
                self._lose(LinkClosed())
                return None
            return keepalive.pause_seconds
        if not self._stream.unsent:  # else the peer reads nothing now, and the sender has a limit of its own
            self._was_heard = False
            try:
                self._stream.send_nowait(self._protocol.ping(b""))
            except OSError:
                if not self._is_reading:  # else a reader may still receive the peer's last bytes, which say why
                    return None
            self._is_pinged = True
            return keepalive.pong_seconds_max
        return keepalive.interval_seconds

    def _next_event(self) -> str | bytes | Ping | Pong | CloseFrame | None:
        if self._lost is not None or self._fault is not None:
            raise self._closed()
        try:
            return self._protocol.next_event()
        except ProtocolFault as fault:
            raise self._failed(fault) from fault

    async def _receive_bounded(self) -> bytes:
        """The next bytes, when they may be read; raises `LinkClosed` for a peer that sends too much or too slowly."""
        try:
            return await self._inflow.receive(self._stream, self.account)
        except ProtocolFault as fault:
            self._has_timed_out = fault.code == TOO_SLOW
            raise self._failed(fault) from fault

    def _take(self, data: bytes) -> None:
        """Give what was read to the parser; raises `LinkClosed` at the end of the stream."""
        if not data:
            self._lose(LinkClosed())
            raise self._closed()
        self._was_heard = True
        self._protocol.receive_data(data)

    async def _handle_control(self, frame: Ping | Pong | CloseFrame) -> None:
        """Answer a control frame. A peer that sends them faster than allowed is read more slowly."""
        match frame:
            case Ping() if self._stream.unsent:
                self._pong_due = frame  # RFC 6455 §5.5.3: answering the last of several pings is enough
            case Ping():
                with suppress(OSError):
                    self._stream.send_nowait(self._protocol.pong(frame.payload))
            case Pong():
                pass  # `_was_heard` says all
            case CloseFrame(code, reason):
                if not self._is_close_sent:
                    self._is_close_sent = True
                    with suppress(OSError):
                        self._stream.send_nowait(self._protocol.close(code or 1000, ""))
                self._end(LinkClosed(code, reason))
                return
        try:
            await self._inflow.slow_down()
        except ProtocolFault as fault:
            raise self._failed(fault) from fault

    # Closing. Both sides send a close frame, then the socket may go. A socket that is closed with unread data makes
    # the kernel send a reset, which may overtake our close frame; so we read until the peer's close frame or the end
    # of its stream. After a fault nothing more can be parsed, and only the end of its stream counts.

    async def _shake_hands(self, code: int, reason: str) -> None:
        if self._fault is not None and code != self._fault.code:  # a caller that knows the fault words it better
            code, reason = self._fault.code, self._fault.reason
        if not self._is_close_sent and self._lost is None:
            self._is_close_sent = True
            self._stream.send_nowait(self._protocol.close(code, reason))
        await self._stream.drain()
        while self._lost is None:
            if self._is_reading:
                await self._ended.wait()  # another task sees how the peer ends
                continue
            self._is_closing = True
            if (event := self._event_before_close()) is None:
                self._take(await self._stream.receive())
            elif isinstance(event, CloseFrame):
                self._end(LinkClosed(event.code, event.reason))

    def _event_before_close(self) -> str | bytes | Ping | Pong | CloseFrame | None:
        try:
            return self._protocol.next_event()
        except ProtocolFault:
            return None

    def _end(self, how: LinkClosed) -> None:
        self._lost = self._lost or how
        self._ended.set()

    def _lose(self, how: LinkClosed) -> None:
        self._end(how)
        self._stream.close()
        self._keeping_alive.cancel(reason="link closed")
        if self._keeper is not None:
            self._keeper.discard(self)

    def _failed(self, fault: ProtocolFault) -> LinkClosed:
        self._fault = fault
        return self._closed()

    def _note_failure(self, error: OSError) -> None:
        self._has_timed_out = self._has_timed_out or error.errno == errno.ETIMEDOUT

    def _closed(self) -> LinkClosed:
        how = self._lost or self._fault
        if how is None:
            return LinkClosed(timed_out=self._has_timed_out)
        return LinkClosed(how.code, how.reason, timed_out=self._has_timed_out)
