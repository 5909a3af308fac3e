"""A WebSocket as a session sees it: three verbs, so that either side can be carried by anything.

Text frames are `str`, binary frames are `bytes`, in both directions. `voice_trio.net.dial` carries one over
trio-websocket, `voice_trio.web` over ASGI, `voice_trio.testing` in memory.
"""

from __future__ import annotations

from typing import Protocol


class Link(Protocol):
    """One end of a WebSocket. One task may send while another receives."""

    async def send(self, message: str | bytes) -> None:
        """Send one frame; raises `LinkClosed`. A cancelled send leaves the link unusable: close it."""
        ...

    async def receive(self) -> str | bytes:
        """The next frame; raises `LinkClosed` when the peer is gone. Safe to cancel: no frame is lost."""
        ...

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye and let go; harmless when already closed. `reason` is at most 123 bytes of UTF-8."""
        ...
