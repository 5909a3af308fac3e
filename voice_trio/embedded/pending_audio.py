"""Audio on its way to the ears: put as it comes, taken in pieces small enough to tell words early."""

from __future__ import annotations

import trio

from voice_trio.protocols.audio import BYTES_PER_MS

PIECE_BYTES_MAX = 200 * BYTES_PER_MS
BYTES_QUEUED_MAX = 32 * 1024 * 1024
"""Eleven minutes: a client may send a recording at once, and not two of the largest events the API allows."""


class PendingAudio:
    """`scope` is the hearing's, to be cancelled when nobody wants to know any more."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self._bytes = bytearray()
        self._is_finished = False
        self._moved = trio.lowlevel.ParkingLot()

    def put(self, pcm: bytes) -> bool:
        """Whether there was room for more audio."""
        if len(self._bytes) + len(pcm) > BYTES_QUEUED_MAX:
            return False
        self._bytes += pcm
        self._moved.unpark_all()
        return True

    def finish(self) -> None:
        """There is no more to come."""
        self._is_finished = True
        self._moved.unpark_all()

    async def take(self) -> bytes:
        """The next piece; empty at the end."""
        while not self._bytes and not self._is_finished:
            await self._moved.park()
        piece = bytes(self._bytes[:PIECE_BYTES_MAX])
        del self._bytes[:PIECE_BYTES_MAX]
        return piece
