"""From the sound card's thread to a task: a channel with a bound, in which the newest sound wins."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from voice_trio.client.sound_card import BLOCK_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WAITING_MS_MAX = 1000  # a connection that stands still for longer loses the oldest


class Microphone:
    """Made inside `trio.run`; `hear` may be called from any thread, and never waits."""

    def __init__(self) -> None:
        self._blocks, self._taken = trio.open_memory_channel[bytes](WAITING_MS_MAX // BLOCK_MS)
        self._trio = trio.lowlevel.current_trio_token()
        self.dropped = 0
        """Blocks that were lost because nobody took them in time."""

    def hear(self, pcm: bytes) -> None:
        """A block of sound, from the card's thread."""
        with suppress(trio.RunFinishedError):  # the card may be a block late to learn that all is over
            self._trio.run_sync_soon(self._put, pcm)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._taken

    def _put(self, pcm: bytes) -> None:
        try:
            self._blocks.send_nowait(pcm)
        except trio.WouldBlock:
            self._taken.receive_nowait()
            self._blocks.send_nowait(pcm)
            self.dropped += 1
