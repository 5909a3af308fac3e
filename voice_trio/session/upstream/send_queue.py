"""What waits to be written to the model: commands before audio, audio bounded in seconds.

Until the model is ready the newest seconds of audio are kept, so that a user who speaks at once is heard. Afterwards a
full queue means that the upstream takes nothing: there is no use in waiting for it.
"""

from __future__ import annotations

from collections import deque

import trio

from voice_trio.errors import ModelUnavailable

EARLY_SECONDS_MAX = 5.0  # kept before the model is ready
QUEUED_SECONDS_MAX = 15.0  # afterwards: what was kept, sent on at network speed, and room for a slow moment
COMMANDS_MAX = 512
BYTES_MAX = 64 * 1024 * 1024  # of everything together; a message has 16 MiB at most


class UpstreamQueue:
    """One writer takes; anybody puts, without waiting."""

    def __init__(self) -> None:
        self._commands: deque[str] = deque()
        self._audio: deque[tuple[str, float]] = deque()
        self._audio_ms = 0.0
        self._bytes = 0
        self._is_open = False
        self._filled = trio.Event()

    def open(self) -> None:
        """The model is ready: from now on nothing is dropped."""
        self._is_open = True

    def close(self) -> None:
        """The model is lost: what it was to be told is of no use to the next one; the newest audio is kept for it."""
        self._is_open = False
        self._bytes -= sum(map(len, self._commands))
        self._commands.clear()

    def put_command(self, text: str) -> None:
        """Raises `ModelUnavailable` if the upstream has not taken commands for so long that they pile up."""
        if len(self._commands) >= COMMANDS_MAX:
            raise ModelUnavailable("the upstream takes no commands")
        self._weigh(text)
        self._commands.append(text)
        self._filled.set()

    def put_in_order(self, text: str) -> None:
        """A command that must not overtake the sound put before it; raises as `put_audio` does."""
        self.put_audio(text, 0.0)

    def put_audio(self, text: str, duration_ms: float) -> None:
        """Raises `ModelUnavailable` if the upstream has not taken audio for so long that it piles up."""
        if self._is_open and self.audio_seconds > QUEUED_SECONDS_MAX:
            raise ModelUnavailable("the upstream takes no audio")
        self._weigh(text)
        self._audio.append((text, duration_ms))
        self._audio_ms += duration_ms
        while not self._is_open and self.audio_seconds > EARLY_SECONDS_MAX and len(self._audio) > 1:
            self._pop_audio()
        self._filled.set()

    async def next(self) -> str:
        """The next frame to write; waits for one. Cancelling loses nothing."""
        while not self._commands and not self._audio:
            self._filled = trio.Event()
            await self._filled.wait()
        if not self._commands:
            return self._pop_audio()
        text = self._commands.popleft()
        self._bytes -= len(text)
        return text

    @property
    def audio_seconds(self) -> float:
        return self._audio_ms / 1000

    @property
    def bytes(self) -> int:
        """What all of it weighs, near enough: frames are ASCII but for some words."""
        return self._bytes

    def _weigh(self, text: str) -> None:
        if self._bytes + len(text) > BYTES_MAX:
            raise ModelUnavailable("the upstream takes nothing")
        self._bytes += len(text)

    def _pop_audio(self) -> str:
        text, duration_ms = self._audio.popleft()
        self._audio_ms -= duration_ms
        self._bytes -= len(text)
        return text
