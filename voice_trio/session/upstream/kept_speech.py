"""Keeps the sound of the sentence that is being said, so that the next upstream hears it whole if this one is lost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.conversation import events
from voice_trio.net.byte_budget import Place

if TYPE_CHECKING:
    from voice_trio.conversation.full_duplex.events import AnyUpstreamEvent
    from voice_trio.net.byte_budget import ByteAccount

SPEECH = frozenset({events.SpeechStarted, events.SpeechCommitted})
"""The exact types of events that say where a sentence begins and ends."""

# Speech is announced some time after it began: the newest second is always kept, and heard again too. Once speech is
# committed its words are known or on their way, so nothing of it may be heard again. While there is no upstream, the
# sentence grows in the queue for the next one; that one may be lost as well before it has announced speech.


class KeptSpeech:
    """Frames of sound with their durations in ms: all since speech began, or the newest second. The oldest go first."""

    def __init__(self) -> None:
        self.account: ByteAccount | None = None
        """Where their size is counted, if anywhere; while its memory is tight, they must fit into its base amount."""
        self._frames: list[tuple[str, float]] = []
        self._ms = 0.0
        self._bytes = self._counted = 0
        self._open_until = -math.inf

    def add(self, frame: str, duration_ms: float, now: float) -> None:
        """Keep a frame that the upstream is sent."""
        self._frames.append((frame, duration_ms))
        self._ms += duration_ms
        self._bytes += len(frame)
        seconds_max = limits.SPEECH_KEPT_SECONDS_MAX if self.is_open(now) else limits.SPEECH_PREROLL_SECONDS
        while self._ms > seconds_max * 1000:
            self._drop_oldest()
        self._count()
        while self._frames and self.account is not None and self.account.is_over_base and self.account.is_tight:
            self._drop_oldest()
            self._count()

    def is_open(self, now: float) -> bool:
        """Whether a sentence is being said, as far as is known."""
        return now < self._open_until

    def note(self, event: AnyUpstreamEvent) -> None:
        """The upstream has announced, or committed, speech (an event of `SPEECH`); others change nothing."""
        if isinstance(event, events.SpeechStarted):
            self._open_until = math.inf
        elif isinstance(event, events.SpeechCommitted):
            self._open_until = -math.inf
            self._clear()

    def take(self) -> list[tuple[str, float]]:
        """The sentence so far, for the next upstream; it is no longer kept here."""
        frames = list(self._frames)
        self._clear()
        return frames

    def put_back(self, frames: list[tuple[str, float]]) -> None:
        """Keep what the next upstream is sent first; a sentence in it counts as one until it should be announced."""
        self._frames = frames
        self._ms = sum(duration_ms for _, duration_ms in frames)
        self._bytes = sum(len(frame) for frame, _ in frames)
        self._open_until = min(self._open_until, trio.current_time() + limits.SPEECH_ANNOUNCED_SECONDS_MAX)
        self._count()

    def _drop_oldest(self) -> None:
        frame, duration_ms = self._frames.pop(0)
        self._ms -= duration_ms
        self._bytes -= len(frame)

    def _clear(self) -> None:
        self._frames.clear()
        self._ms, self._bytes = 0.0, 0
        self._count()

    def _count(self) -> None:
        if self.account is not None and self._bytes != self._counted:
            self._counted = self._bytes
            self.account.hold(Place.KEPT, self._bytes)
