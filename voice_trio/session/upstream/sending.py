"""One frame to a model, with patience; a cancelled send tears the socket: whoever cancels here gives the link up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio.errors import LinkClosed

if TYPE_CHECKING:
    from voice_trio.net.link import Link

STALL_SECONDS_MAX = 10.0


async def send_with_timeout(link: Link, frame: str) -> str | None:
    """Send it; returns why the link is of no use any more, if it is not."""
    with trio.move_on_after(STALL_SECONDS_MAX):
        try:
            await link.send(frame)
        except LinkClosed as closed:
            return str(closed)
        return None
    return "it takes nothing"
