"""How many seconds of the user's sound each item has. Pure.

Where the upstream detects turns, its events say where speech began and ended. Else the client commits what it has
appended since the last commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation import events


class HeardSpeech:
    """Seconds of sound by item, for the estimate of its transcription and of the input of responses."""

    def __init__(self) -> None:
        self.is_transcribed = True
        """Whether the upstream transcribes what it hears."""
        self._began_ms: dict[str, int] = {}
        self._appended: Callable[[], float] = lambda: 0.0
        self._counted = 0.0

    def follow(self, appended: Callable[[], float]) -> None:
        """`appended` gives the seconds of sound that the client has sent so far."""
        self._appended = appended
        self._counted = 0.0

    def started(self, event: events.SpeechStarted) -> None:
        """Speech began."""
        self._began_ms[event.item_id] = event.audio_start_ms

    def stopped(self, event: events.SpeechStopped) -> float:
        """Speech ended; returns its seconds, 0 if its beginning is unknown."""
        began_ms = self._began_ms.pop(event.item_id, None)
        return 0.0 if began_ms is None else max(0.0, (event.audio_end_ms - began_ms) / 1000)

    def take_buffer(self) -> float:
        """The upstream's buffer is empty from now on; returns the seconds that were appended since it last was."""
        appended = self._appended()
        seconds, self._counted = appended - self._counted, appended
        return seconds

    def start_anew(self) -> None:
        """A new upstream has heard nothing yet."""
        self._began_ms.clear()
        self.take_buffer()
