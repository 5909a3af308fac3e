"""Where speech is in what the client appends. Pure.

Only the last moments are kept, for the start of an utterance that is found a little late; audio in which somebody
speaks is handed on at once, all other audio is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from voice_trio.embedded.engines import VoiceActivityStarted
from voice_trio.protocols.audio import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.embedded.engines import VoiceActivityDetector
    from voice_trio.protocols.realtime.sessions import TurnDetection

THRESHOLD, PREFIX_PADDING_MS, SILENCE_DURATION_MS = 0.5, 300, 500
"""The API's documented defaults: for what is left open, for semantic_vad, and for sessions without detection."""
_PIECE_BYTES = 100 * BYTES_PER_MS
_KEPT_BEYOND_PADDING_MS = 400
"""A start is found some 130 ms after it happened; the rest is margin."""


@dataclass(frozen=True, slots=True)
class SegmentStarted:
    """Somebody began to speak; `pcm` is the audio from `at_ms` on."""

    at_ms: int
    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Voice:
    """The next audio of somebody speaking."""

    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SegmentEnded:
    """They stopped; the audio until `at_ms` belongs to them."""

    at_ms: int


SegmentEvent: TypeAlias = SegmentStarted | Voice | SegmentEnded


class SpeechSegmenter:
    """What was appended so far; `now_ms` is the clock of the audio received, which never goes back."""

    def __init__(self, activity: VoiceActivityDetector | None) -> None:
        self._activity = activity
        self._bytes = 0
        self._committed_bytes = 0
        self._recent = bytearray()
        self._kept_bytes = (PREFIX_PADDING_MS + _KEPT_BEYOND_PADDING_MS) * BYTES_PER_MS
        self._speaking = False

    @property
    def is_deaf(self) -> bool:
        """There is nobody to find speech in what is appended."""
        return self._activity is None

    @property
    def now_ms(self) -> int:
        return self._bytes // BYTES_PER_MS

    @property
    def uncommitted_ms(self) -> float:
        return (self._bytes - self._committed_bytes) / BYTES_PER_MS

    def tune(self, detection: TurnDetection | None) -> None:
        """Find speech as the session says; `semantic_vad` is `server_vad` with its defaults."""
        threshold = detection.threshold if detection else None
        padding_ms = detection.prefix_padding_ms if detection else None
        silence_ms = detection.silence_duration_ms if detection else None
        padding_ms = PREFIX_PADDING_MS if padding_ms is None else padding_ms
        self._kept_bytes = (padding_ms + _KEPT_BEYOND_PADDING_MS) * BYTES_PER_MS
        if self._activity is not None:
            self._activity.retune(
                threshold=THRESHOLD if threshold is None else threshold,
                prefix_padding_ms=padding_ms,
                silence_duration_ms=SILENCE_DURATION_MS if silence_ms is None else silence_ms,
            )

    def hear(self, pcm: bytes) -> Iterator[SegmentEvent]:
        """What the next audio holds; to be read to its end."""
        for begin in range(0, len(pcm), _PIECE_BYTES):
            yield from self._hear(pcm[begin : begin + _PIECE_BYTES])

    def _hear(self, piece: bytes) -> Iterator[SegmentEvent]:
        self._bytes += len(piece)
        if self._activity is None:
            return
        self._recent += piece
        if self._speaking:
            yield Voice(piece)
        for event in self._activity.feed(piece):
            self._speaking = isinstance(event, VoiceActivityStarted)
            yield SegmentStarted(event.at_ms, self._since(event.at_ms)) if self._speaking else SegmentEnded(event.at_ms)
        del self._recent[: -self._kept_bytes]

    def _since(self, at_ms: int) -> bytes:
        wanted = self._bytes - at_ms * BYTES_PER_MS
        return bytes(self._recent[-wanted:]) if wanted > 0 else b""

    def commit(self) -> None:
        """What was appended so far belongs to an item now."""
        self._committed_bytes = self._bytes

    def forget(self) -> None:
        """What was appended so far was cleared, or committed by hand: what follows begins anew."""
        self.commit()
        self._recent.clear()
        self._speaking = False
        if self._activity is not None:
            self._activity.forget()
