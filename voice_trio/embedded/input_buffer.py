"""The input audio buffer: what the client appends becomes speech events, utterances and items of the user. Pure.

With turn detection the server commits at the end of speech. Without it the client commits. Speech is found all the
same, because only speech is worth recognising, but no event reports it before the words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, assert_never

from voice_trio.errors import InvalidEvent
from voice_trio.protocols.audio import BYTES_PER_MS
from voice_trio.protocols.realtime import input_events
from voice_trio.speech.detector import VoiceActivityStarted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.embedded.commands import OutputList
    from voice_trio.embedded.utterances import Utterances
    from voice_trio.protocols.realtime.sessions import TurnDetection
    from voice_trio.protocols.realtime_server.session import ServerSession
    from voice_trio.speech.detector import VoiceActivityDetector

STRETCH_BYTES = 2000 * BYTES_PER_MS
"""How much is processed at once: an event may bring five minutes, which take a third of a second, and others wait."""
THRESHOLD, PREFIX_PADDING_MS, SILENCE_DURATION_MS = 0.5, 300, 500
"""The API's documented defaults: for what is left open, for semantic_vad, and for sessions without detection."""
_PIECE_BYTES = 100 * BYTES_PER_MS
_KEPT_BEYOND_PADDING_MS = 400
"""A start is found some 130 ms after it happened; the rest is margin."""


class InputBuffer:
    """`missing` is the error that a client gets if it sends audio to a server without a recognizer."""

    def __init__(
        self,
        out: OutputList,
        server: ServerSession,
        utterances: Utterances,
        activity: VoiceActivityDetector | None,
        missing: str,
    ) -> None:
        self._out = out
        self._server = server
        self._utterances = utterances
        self._segmenter = SpeechSegmenter(activity)
        self._missing = missing
        self._has_sent_missing = False
        self._coming_item: str | None = None
        self._speech_began_ms = 0
        self._audio, self._processed_bytes = b"", 0
        self.tune(server.config.detection)

    @property
    def can_hear(self) -> bool:
        return self._segmenter.can_hear

    @property
    def uncommitted_ms(self) -> float:
        return self._segmenter.uncommitted_ms

    def tune(self, detection: TurnDetection | None) -> None:
        """Detect speech as the session says."""
        self._segmenter.tune(detection)

    @property
    def is_behind(self) -> bool:
        """Whether `catch_up` has something left to process."""
        return self._processed_bytes < len(self._audio)

    def append(self, pcm: bytes) -> None:
        """Process the first stretch of the audio; call `catch_up` for the rest before anything else is done."""
        if not self.can_hear and not self._has_sent_missing:
            self._has_sent_missing = True
            self._server.send_error(InvalidEvent(self._missing, code="speech_unavailable", param="audio"))
        self._audio, self._processed_bytes = pcm, 0
        self.catch_up()

    def catch_up(self) -> None:
        """Process the next stretch of what was appended."""
        stretch = self._audio[self._processed_bytes : self._processed_bytes + STRETCH_BYTES]
        self._processed_bytes += len(stretch)
        if not self.is_behind:
            self._audio, self._processed_bytes = b"", 0
        for event in self._segmenter.feed(stretch):
            match event:
                case SegmentStarted(at_ms=at_ms, pcm=pcm_before):
                    self._begin(at_ms, pcm_before)
                case SegmentAudio(pcm=more):
                    self._utterances.feed(more)
                case SegmentEnded(at_ms=at_ms):
                    self._end(at_ms)
                case _:
                    assert_never(event)

    def commit_by_client(self) -> None:
        """The client commits what was appended, which has the least length that the API allows."""
        audio_ms = self.uncommitted_ms
        self._segmenter.forget()
        if not self.can_hear:
            trouble = input_events.ErrorDetails(message=self._missing, type="server_error", code="speech_unavailable")
            self._utterances.cannot_recognize(self._item_to_come(), trouble)
        item = self._server.commit(self._take_coming_item(), audio_ms)
        self._utterances.commit(item, announced=self._server.config.transcribes)

    def clear(self) -> None:
        self._segmenter.forget()
        if self._coming_item is not None:
            self._utterances.forget(self._coming_item)
            self._coming_item = None

    def _begin(self, at_ms: int, pcm: bytes) -> None:
        item_id = self._item_to_come()
        self._speech_began_ms = at_ms
        if self._server.config.detection is not None:
            self._server.speech_started(item_id, at_ms)
        self._utterances.begin(item_id, announced=self._server.config.transcribes, pcm=pcm)

    def _end(self, at_ms: int) -> None:
        if self._server.config.detection is None:
            self._utterances.end()
            return
        self._segmenter.commit()
        item = self._server.speech_stopped(self._take_coming_item(), at_ms, at_ms - self._speech_began_ms)
        self._utterances.commit(item, announced=self._server.config.transcribes)
        self._server.respond_to_turn()

    def _item_to_come(self) -> str:
        """The id of the item that the audio being appended will become."""
        self._coming_item = self._coming_item or self._out.new_id("item")
        return self._coming_item

    def _take_coming_item(self) -> str:
        item_id, self._coming_item = self._item_to_come(), None
        return item_id


# Where speech is in what was appended


@dataclass(frozen=True, slots=True)
class SegmentStarted:
    """Speech began; `pcm` is the audio from `at_ms` on."""

    at_ms: int
    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SegmentAudio:
    """The next audio of the speech that began last."""

    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SegmentEnded:
    """Speech ended; the audio until `at_ms` belongs to it."""

    at_ms: int


SegmentEvent: TypeAlias = SegmentStarted | SegmentAudio | SegmentEnded


class SpeechSegmenter:
    """Cuts speech out of one stream of audio; its clock is the audio received, which never goes back.

    Only the last moments are kept, for the start of speech that is found a little late. Audio of speech is handed on at
    once, all other audio is forgotten.
    """

    def __init__(self, activity: VoiceActivityDetector | None) -> None:
        self._activity = activity
        self._bytes = 0
        self._committed_bytes = 0
        self._recent = bytearray()
        self._kept_bytes = (PREFIX_PADDING_MS + _KEPT_BEYOND_PADDING_MS) * BYTES_PER_MS
        self._speaking = False

    @property
    def can_hear(self) -> bool:
        """Whether there is a detector."""
        return self._activity is not None

    @property
    def now_ms(self) -> int:
        return self._bytes // BYTES_PER_MS

    @property
    def uncommitted_ms(self) -> float:
        return (self._bytes - self._committed_bytes) / BYTES_PER_MS

    def tune(self, detection: TurnDetection | None) -> None:
        """Detect speech as the session says; `semantic_vad` is `server_vad` with its defaults."""
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

    def feed(self, pcm: bytes) -> Iterator[SegmentEvent]:
        """The speech in the next audio; must be read to its end."""
        for begin in range(0, len(pcm), _PIECE_BYTES):
            yield from self._feed(pcm[begin : begin + _PIECE_BYTES])

    def _feed(self, piece: bytes) -> Iterator[SegmentEvent]:
        self._bytes += len(piece)
        if self._activity is None:
            return
        self._recent += piece
        if self._speaking:
            yield SegmentAudio(piece)
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
        """What was appended so far was cleared, or committed by the client: what follows begins anew."""
        self.commit()
        self._recent.clear()
        self._speaking = False
        if self._activity is not None:
            self._activity.forget()
