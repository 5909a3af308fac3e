"""The only writer to a client: one frame at a time, out of an outbox that anybody may fill without waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio.conversation import events
from voice_trio.errors import LinkClosed
from voice_trio.session.endings import Ending
from voice_trio.session.observers import FlushSent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voice_trio.net.link import Link
    from voice_trio.session.client.send_queue import Frame, SendQueue
    from voice_trio.session.ports import SessionPort

STALL_SECONDS_MAX = 5.0  # a client that takes nothing for so long is gone (I9)


class ClientWriter:
    """Writes what is `put`, until it is told to `finish`."""

    def __init__(self, link: Link, host: SessionPort, outbox: SendQueue) -> None:
        self._link = link
        self._host = host
        self.outbox = outbox
        self._speaking = trio.CancelScope()
        self._spoken: trio.Event | None = None

    def start(self, nursery: trio.Nursery) -> None:
        """Begin to write; the nursery must outlive the session's tasks, because nothing may cut a frame in two."""
        self._spoken = trio.Event()
        nursery.start_soon(self._speak_until_told)

    def put(self, frame: Frame) -> None:
        """Queue a frame; a client for which too much piles up is let go."""
        self.outbox.put(frame)
        if self.outbox.is_overfull:
            self._host.end(Ending.TOO_SLOW)

    async def finish(self, last_words: Callable[[], Iterable[str]], code: int, reason: str) -> None:
        """Stop writing, say the last words and close; the caller bounds it."""
        if self._spoken is not None:
            self._speaking.cancel(reason=reason)
            await self._spoken.wait()  # one writer at a time
        try:
            for text in last_words():
                await self._link.send(text)
            await self._link.aclose(code, reason)
        except LinkClosed:
            pass

    async def _speak_until_told(self) -> None:
        try:
            with self._speaking:
                await self._speak()
        except Exception:  # a bug; in this nursery nobody else would catch it
            self._host.crash()
        finally:
            if self._spoken is not None:
                self._spoken.set()

    async def _speak(self) -> None:
        """Everything the client is told; ends the session if the client takes nothing."""
        while True:
            frame = await self.outbox.next()
            # Hypercorn shields this send: there only TCP_USER_TIMEOUT ends it, and `cancel_called` tells all the same.
            with trio.move_on_after(STALL_SECONDS_MAX) as patience:
                try:
                    await self._link.send(frame.text)
                except trio.Cancelled:
                    self.outbox.put_back(frame)  # it may be among the last words
                    raise
                except LinkClosed:
                    self._host.end(Ending.TOO_SLOW if patience.cancel_called else Ending.CLIENT_LEFT)
                    return
            if patience.cancel_called:
                self._host.end(Ending.TOO_SLOW)
                return
            self.outbox.written(frame)
            if frame.audio_ms:
                self._host.summary.audio_out_s += frame.audio_ms / 1000
                self._host.feed(events.AudioSent(frame.item_id, frame.audio_ms))
            elif frame.flush_at is not None:
                self._host.observe(FlushSent(frame.flush_at))
