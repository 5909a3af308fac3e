"""The input audio buffer: what is appended becomes speech events, utterances and items of the user. Pure.

With turn detection the server commits at the end of speech. Without it the client does; speech is found all the same,
because only speech is worth listening to, but nothing is said of it before the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.embedded.speech_segments import SegmentEnded, SegmentStarted, SpeechSegmenter, Voice
from voice_trio.errors import InvalidEvent
from voice_trio.protocols.audio import BYTES_PER_MS
from voice_trio.protocols.realtime import input_events
from voice_trio.protocols.realtime.client_events import ResponseParams
from voice_trio.protocols.realtime.items import Item, Part, as_kept

if TYPE_CHECKING:
    from voice_trio.embedded.commands import OutputList
    from voice_trio.embedded.engines import VoiceActivityDetector
    from voice_trio.embedded.replies import Replies
    from voice_trio.embedded.session_object import SessionObject
    from voice_trio.embedded.utterances import Utterances
    from voice_trio.protocols.realtime.items import ItemList

COMMIT_MS_MIN = 100
STRETCH_BYTES = 2000 * BYTES_PER_MS
"""How much is listened to at once: an event may bring five minutes, which take a third of a second, and others wait."""


class InputBuffer:
    """`missing` is what a client is told that speaks to a server which cannot hear."""

    def __init__(
        self,
        out: OutputList,
        items: ItemList,
        utterances: Utterances,
        replies: Replies,
        session: SessionObject,
        activity: VoiceActivityDetector | None,
        missing: str,
    ) -> None:
        self._out = out
        self._items = items
        self._utterances = utterances
        self._replies = replies
        self._session = session
        self._microphone = SpeechSegmenter(activity)
        self._missing = missing
        self._said_what_is_missing = False
        self._coming_item: str | None = None
        self._speech_began_ms = 0
        self._audio, self._heard_bytes = b"", 0
        self.tune()

    @property
    def is_deaf(self) -> bool:
        return self._microphone.is_deaf

    def tune(self) -> None:
        """The session has changed."""
        self._microphone.tune(self._session.detection)

    @property
    def is_behind(self) -> bool:
        """Whether `catch_up` has something left to listen to."""
        return self._heard_bytes < len(self._audio)

    def append(self, pcm: bytes, now: float) -> None:
        """Listen to the first stretch of what comes; `catch_up` with the rest before anything else is done."""
        if self.is_deaf and not self._said_what_is_missing:
            self._said_what_is_missing = True
            self._out.send_error(InvalidEvent(self._missing, code="speech_unavailable", param="audio"))
        self._audio, self._heard_bytes = pcm, 0
        self.catch_up(now)

    def catch_up(self, now: float) -> None:
        """Listen to the next stretch of what was appended."""
        stretch = self._audio[self._heard_bytes : self._heard_bytes + STRETCH_BYTES]
        self._heard_bytes += len(stretch)
        if not self.is_behind:
            self._audio, self._heard_bytes = b"", 0
        for sound in self._microphone.hear(stretch):
            match sound:
                case SegmentStarted(at_ms=at_ms, pcm=pcm_before):
                    self._begin(at_ms, pcm_before)
                case Voice(pcm=more):
                    self._utterances.hear(more)
                case SegmentEnded(at_ms=at_ms):
                    self._end(at_ms, now)

    def commit_by_hand(self) -> None:
        """Raises `InvalidEvent` if there is too little to commit."""
        uncommitted_ms = self._microphone.uncommitted_ms
        if uncommitted_ms < COMMIT_MS_MIN:
            message = (
                f"Error committing input audio buffer: buffer too small. Expected at least {COMMIT_MS_MIN}ms of audio, "
                f"but buffer only has {uncommitted_ms:.2f}ms of audio."
            )
            raise InvalidEvent(message, code="input_audio_buffer_commit_empty")
        self._microphone.forget()
        if self.is_deaf:
            trouble = input_events.ErrorDetails(message=self._missing, type="server_error", code="speech_unavailable")
            self._utterances.cannot_hear(self._item_to_come(), trouble)
        self._commit(uncommitted_ms)

    def clear(self) -> None:
        self._microphone.forget()
        if self._coming_item is not None:
            self._utterances.forget(self._coming_item)
            self._coming_item = None
        self._out.emit(input_events.BufferCleared())

    def _begin(self, at_ms: int, pcm: bytes) -> None:
        detection, item_id = self._session.detection, self._item_to_come()
        self._speech_began_ms = at_ms
        if detection is not None:
            self._out.emit(input_events.SpeechStarted(item_id=item_id, audio_start_ms=at_ms))
            if detection.interrupt_response:
                self._replies.interrupt()
        self._utterances.begin(item_id, announced=self._session.transcribes, pcm=pcm)

    def _end(self, at_ms: int, now: float) -> None:
        detection = self._session.detection
        if detection is None:
            self._utterances.end()
            return
        self._out.emit(input_events.SpeechStopped(item_id=self._item_to_come(), audio_end_ms=at_ms))
        self._microphone.commit()
        self._commit(at_ms - self._speech_began_ms)
        if detection.create_response and not self._session.is_transcription:
            self._answer_at_once(now)

    def _answer_at_once(self, now: float) -> None:
        try:
            self._replies.create(ResponseParams(), now)
        except InvalidEvent as refused:
            # The API documents it: without interrupt_response this fails while another response is in progress.
            self._out.send_error(refused)

    def _item_to_come(self) -> str:
        """The id of the item that the audio being appended will become."""
        self._coming_item = self._coming_item or self._out.new_id("item")
        return self._coming_item

    def _commit(self, audio_ms: float) -> None:
        item_id, previous = self._item_to_come(), self._items.last_id
        self._coming_item = None
        self._out.emit(input_events.BufferCommitted(item_id=item_id, previous_item_id=previous))
        item = as_kept(Item(type="message", role="user", content=[Part(type="input_audio")]), item_id)
        self._items.add(item)
        self._items.audio_ms[item_id] = audio_ms
        self._out.emit(input_events.ItemAdded(item=item, previous_item_id=previous))
        self._out.emit(input_events.ItemDone(item=item, previous_item_id=previous))
        self._utterances.commit(item, audio_ms, announced=self._session.transcribes)
