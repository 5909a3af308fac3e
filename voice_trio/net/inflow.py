"""What limits the reading of one WebSocket, so that nothing its peer sends costs others time or memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.net.byte_budget import Place
from voice_trio.net.frame_format import POLICY_VIOLATION, ProtocolFault
from voice_trio.net.token_bucket import TokenBucket

if TYPE_CHECKING:
    from voice_trio.net.byte_budget import ByteAccount
    from voice_trio.net.byte_stream import ByteStream
    from voice_trio.net.frames import WebSocketProtocol


TOO_SLOW = 1013
"""The close code for a large message that comes too slowly."""


class Inflow:
    """The rate of control frames and fragments, and the memory for large messages.

    A peer that exceeds the rate is read more slowly. With an account, a message over its base amount is reserved
    before it is read, and must then come within `LARGE_MESSAGE_SECONDS_MAX`.
    """

    def __init__(self, protocol: WebSocketProtocol) -> None:
        self.deadline = float("inf")
        """When the message that is being received must be complete."""
        self.reserved = 0
        """Bytes that are reserved for the message in reception, or for the last one."""
        self.is_complete = False
        """Whether the last message is complete. Its reservation stays, because its receiver has it now."""
        self._protocol = protocol
        self._rate: TokenBucket | None = None
        self._fragments = 0
        self._slowed_since = float("-inf")
        self._slowed_until = float("-inf")

    async def slow_down(self, frames: float = 1.0) -> None:
        """Count control frames; waits while they come faster than allowed. Raises `ProtocolFault` if they go on."""
        now = trio.current_time()
        if self._rate is None:
            self._rate = TokenBucket(limits.CONTROL_BURST, limits.CONTROL_PER_SECOND, now)
        wait = self._rate.take_and_wait(now, frames)
        # A peer that is read slowly may be gone, which only what it sent last would say.
        if wait:
            if now > self._slowed_until + limits.CONTROL_BREAK_SECONDS:
                self._slowed_since = now
            self._slowed_until = now + wait
            if self._slowed_until - self._slowed_since > limits.CONTROL_SLOWED_SECONDS_MAX:
                raise ProtocolFault(POLICY_VIOLATION, "too many control frames or fragments")
        await trio.sleep(wait)

    @property
    def is_bounded(self) -> bool:
        """Whether the next read may have to wait: for the rate of fragments, or for the memory of a large message."""
        return self._protocol.fragments > self._fragments or self._protocol.is_within_message or self.reserved > 0

    async def receive(self, stream: ByteStream, account: ByteAccount | None) -> bytes:
        """Wait until the next bytes may be read, and for them; raises `ProtocolFault`, and `OSError`.

        A large message, for which memory is reserved, must not come too slowly (`TOO_SLOW`).
        """
        await self.prepare_read(account)
        with trio.move_on_at(self.deadline):
            return await stream.receive()
        raise ProtocolFault(TOO_SLOW, "Too slow")

    async def prepare_read(self, account: ByteAccount | None) -> None:
        """Wait until the next bytes may be read."""
        if (fragments := self._protocol.fragments - self._fragments) > 0:
            self._fragments += fragments
            await self.slow_down(fragments / limits.FRAGMENTS_PER_CONTROL_FRAME)
        if account is None:
            return
        due = self._protocol.message_bytes_due
        if due > account.base_bytes and due > self.reserved:
            size = due if self._protocol.is_last_frame else self._protocol.message_bytes_max
            await account.reserve(size)
            self.reserved = size
            self.is_complete = False
            self.deadline = trio.current_time() + limits.LARGE_MESSAGE_SECONDS_MAX

    def release(self, account: ByteAccount | None) -> None:
        """Another message is wanted: the receiver has handled the last one, or holds it in its own account."""
        if self.is_complete:
            self.reserved = 0
            self.deadline = float("inf")
            if account is not None:
                account.hold(Place.INCOMING, 0)
