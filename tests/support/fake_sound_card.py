"""A sound card with verbs, on the test's own clock: it says, plays, and comes unplugged."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from voice_trio.client.sound_card import BLOCK_MS, SoundCardUnavailable
from voice_trio.client.sounds import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = BLOCK_MS * BYTES_PER_MS


class FakeSoundCard:
    """Its loudspeaker takes a block each 20 ms, `delay` seconds before it is heard, and keeps what it was given."""

    def __init__(self, nursery: trio.Nursery, *, delay: float = 0.0) -> None:
        self.played: list[tuple[float, bytes]] = []
        """When each block was taken, and its sound."""
        self.is_open = False
        self.is_microphone_open = False
        self._nursery = nursery
        self._delay = delay
        self._missing = ""
        self._hear: Callable[[bytes], None] | None = None
        self._lost: Callable[[str], None] | None = None

    def is_missing(self, why: str) -> None:
        """It cannot be opened."""
        self._missing = why

    @contextmanager
    def open(
        self,
        hear: Callable[[bytes], None] | None,
        play: Callable[[int, float], bytes],
        lost: Callable[[str], None],
    ) -> Iterator[None]:
        if self._missing:
            raise SoundCardUnavailable(self._missing)
        self._hear, self._lost = hear, lost
        self.is_open, self.is_microphone_open = True, hear is not None
        running = trio.CancelScope()
        self._nursery.start_soon(self._run, play, running)
        try:
            yield
        finally:
            running.cancel()
            self.is_open = self.is_microphone_open = False

    async def catches(self, pcm: bytes) -> None:
        """The microphone hears this, in real time: a block is there when its last sample was."""
        assert self._hear is not None
        for start in range(0, len(pcm), BLOCK):
            await trio.sleep(BLOCK_MS / 1000)
            self._hear(pcm[start : start + BLOCK].ljust(BLOCK, b"\0"))

    def catches_at_once(self, *blocks: bytes) -> None:
        assert self._hear is not None
        for block in blocks:
            self._hear(block)

    def comes_unplugged(self) -> None:
        assert self._lost is not None
        self._lost("the microphone was disconnected")

    def sound(self, since: float = 0.0) -> bytes:
        """Everything that was taken from then on, silence apart."""
        return b"".join(block.rstrip(b"\0") for at, block in self.played if at >= since)

    async def _run(self, play: Callable[[int, float], bytes], running: trio.CancelScope) -> None:
        with running:
            while True:
                self.played.append((trio.current_time(), play(BLOCK, self._delay)))
                await trio.sleep(BLOCK_MS / 1000)
