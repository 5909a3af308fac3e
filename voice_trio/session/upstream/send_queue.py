"""What waits to be written to the upstream: commands before audio, audio bounded in seconds.

Until the upstream is ready the newest seconds of audio are kept, so that a user who speaks at once is heard. After that
a full queue means that the upstream is stalled, and the connection is given up.
"""

from __future__ import annotations

from collections import deque

import trio

from voice_trio import limits
from voice_trio.errors import ModelUnavailable

# Two queues, one order. On the voice protocol commands overtake audio: seconds of sound can wait after a connection
# was slow, and a cancel or a truncation behind them would come too late. Audio never overtakes a command, so the order
# of the commands among themselves is that of the conversation. A client of OpenAI's protocol orders its events itself,
# a commit after its appends, so its commands are put behind its audio (`put_in_order`), except those about a response
# that should be over already.


class UpstreamQueue:
    """One writer takes frames; putting one never waits."""

    def __init__(self) -> None:
        self._commands: deque[str] = deque()
        self._audio: deque[tuple[str, float]] = deque()
        self._audio_ms = 0.0
        self._bytes = 0
        self._is_open = False
        self._filled = trio.Event()

    def open(self) -> None:
        """The upstream is ready: from now on nothing is dropped."""
        self._is_open = True

    def close(self) -> None:
        """The upstream is lost: its commands are dropped, the newest audio is kept for the next one."""
        self._is_open = False
        self._bytes -= sum(map(len, self._commands))
        self._commands.clear()

    def put_command(self, text: str) -> None:
        """Queue before all audio; raises `ModelUnavailable` if `UPSTREAM_COMMANDS_QUEUED_MAX` wait already."""
        if len(self._commands) >= limits.UPSTREAM_COMMANDS_QUEUED_MAX:
            raise ModelUnavailable(f"{limits.UPSTREAM_COMMANDS_QUEUED_MAX} commands wait to be sent")
        if self._bytes + len(text) > limits.UPSTREAM_BYTES_QUEUED_MAX:
            raise ModelUnavailable(f"more than {limits.UPSTREAM_BYTES_QUEUED_MAX} bytes wait to be sent")
        self._bytes += len(text)
        self._commands.append(text)
        self._filled.set()

    def put_in_order(self, text: str) -> None:
        """Queue a command behind the audio put before it; raises as `put_audio` does."""
        self.put_audio(text, 0.0)

    def put_audio(self, text: str, duration_ms: float) -> None:
        """Queue sound; raises `ModelUnavailable` if more than `UPSTREAM_QUEUED_SECONDS_MAX` wait already."""
        if self._is_open and self.audio_seconds > limits.UPSTREAM_QUEUED_SECONDS_MAX:
            raise ModelUnavailable(f"more than {limits.UPSTREAM_QUEUED_SECONDS_MAX:g} s of audio wait to be sent")
        if self._bytes + len(text) > limits.UPSTREAM_BYTES_QUEUED_MAX:
            raise ModelUnavailable(f"more than {limits.UPSTREAM_BYTES_QUEUED_MAX} bytes wait to be sent")
        self._bytes += len(text)
        self._audio.append((text, duration_ms))
        self._audio_ms += duration_ms
        while not self._is_open and self.audio_seconds > limits.UPSTREAM_EARLY_SECONDS_MAX and len(self._audio) > 1:
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
        """The size of all that is queued, nearly: some frames are not all ASCII."""
        return self._bytes

    def _pop_audio(self) -> str:
        text, duration_ms = self._audio.popleft()
        self._audio_ms -= duration_ms
        self._bytes -= len(text)
        return text
