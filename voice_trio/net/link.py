"""A WebSocket as a session sees it.

Text frames are `str`, binary frames are `bytes`, in both directions. `net.websocket` carries a link over our own
frames, `net.trio_websocket_link` over trio-websocket, `voice_trio.web` over ASGI, `voice_trio.testing` in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from voice_trio.net.byte_budget import ByteAccount


class Link(Protocol):
    """One end of a WebSocket. One task may send while another receives.

    `send_nowait` and `drain` are for a sender that must not wait. A subclass inherits those of a
    link that always waits.
    """

    account: ByteAccount | None = None
    """What the messages from this peer hold of the process's memory; None if that is not counted."""

    def send_nowait(self, message: str | bytes) -> bool:
        """Send one frame without waiting, in full or in part; False, and nothing sent, if the link cannot.

        It cannot while a part of an earlier frame waits; some links never can. After True, `drain` if `is_behind`.
        Raises `LinkClosed`.
        """
        return False

    @property
    def is_behind(self) -> bool:
        """Whether a part of a frame that `send_nowait` took still waits for the peer to read."""
        return False

    async def drain(self) -> None:
        """Wait until no part of a frame waits; raises `LinkClosed`. Cancellation loses nothing."""
        await trio.lowlevel.checkpoint()

    async def send(self, message: str | bytes) -> None:
        """Send one frame; raises `LinkClosed`. A cancelled send leaves the link unusable: close it."""
        ...

    async def receive(self) -> str | bytes:
        """The next frame; raises `LinkClosed` at the end of the connection. Cancellation loses no frame."""
        ...

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; no effect if it is closed already. `reason` is at most 123 bytes of UTF-8."""
        ...
