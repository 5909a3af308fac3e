"""What the Python clients under test share: a log of raw server events that can be waited on, and how one speaks.

Runs in a process of its own, under asyncio; it may know nothing of the gateway.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PIECE_MS = 40
PACE = 3.0  # times as fast as it was spoken: a test has not all day
BYTES_PER_MS = 48


class Listener:
    """Every raw server event in order."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._news = asyncio.Event()

    def note(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self._news.set()

    async def hears(self, event_type: str, *, after: int = 0) -> dict[str, Any]:
        """The first event of a type from number `after` on."""
        while True:
            for event in self.events[after:]:
                if event["type"] == event_type:
                    return event
            self._news.clear()
            await self._news.wait()

    def report(self, **more: Any) -> None:
        """Report to the test; the last step of a client."""
        sys.stdout.write(json.dumps({"events": self.events, "errors": self.errors, **more}) + "\n")


def read_job() -> dict[str, Any]:
    """The test's job for this client: the URL, the token and the audio."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    job["pcm"] = Path(job["sound"]).read_bytes()
    return job


def pieces_of(pcm: bytes) -> list[bytes]:
    size = PIECE_MS * BYTES_PER_MS
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


async def speak(pcm: bytes, append: Callable[[bytes], Awaitable[None]]) -> None:
    """`append` piece by piece, at a steady pace."""
    for piece in pieces_of(pcm):
        await append(piece)
        await asyncio.sleep(PIECE_MS / 1000 / PACE)
