"""The server's side of one connection, without a network, a clock or speech engines: frames with their times in, frames
and orders out.

    frames ──► EmbeddedSession ──► InputBuffer ──► Microphone (where speech is)
                   │             └────────► Utterances (what was said)
                   ├──────► ItemList (the conversation)
                   ▼
                Replies (one at a time), which ask the mind ──► frames, orders

Every refusal is an `error` event; nothing a client sends ends the session. Audio is not kept: an item holds its length
and its transcript.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.embedded.commands import CloseConnection, OutputList
from voice_trio.embedded.input_buffer import InputBuffer
from voice_trio.embedded.replies import Replies
from voice_trio.embedded.session_object import DEFAULT_VOICE, SessionObject
from voice_trio.embedded.utterances import Utterances
from voice_trio.errors import BadMessage, InvalidEvent
from voice_trio.protocols.audio import BYTES_PER_MS, decode_audio
from voice_trio.protocols.realtime import client_events, input_events, sessions
from voice_trio.protocols.realtime.items import ItemList, as_kept

if TYPE_CHECKING:
    from collections.abc import Collection

    from voice_trio.embedded.commands import Output
    from voice_trio.embedded.engines import VoiceActivityDetector
    from voice_trio.protocols.realtime.items import Item

SESSION_SECONDS_MAX = 3600
ITEMS_MAX = 4000
"""More than an hour of talk needs; it bounds what a client can make the server remember."""


@dataclass(frozen=True, slots=True)
class EmbeddedConfig:
    """What a dialogue starts with. `unix_time` in seconds; `missing` is told to who speaks to a server without ears."""

    tag: str
    unix_time: int
    model: str = "voice-trio-embedded"
    transcription: bool = False
    missing: str = ""


class EmbeddedSession:
    """All methods return what is to be said and done, in order. Times are seconds on one monotonic clock."""

    def __init__(
        self, config: EmbeddedConfig, activity: VoiceActivityDetector | None, voices: Collection[str], now: float
    ) -> None:
        self._out = OutputList(config.tag)
        self._items = ItemList()
        self._session = SessionObject(_new_session(config, self._out.new_id("sess")), voices)
        self._utterances = Utterances(self._out)
        self._replies = Replies(self._out, self._items, self._utterances, self._session)
        self._buffer = InputBuffer(
            self._out, self._items, self._utterances, self._replies, self._session, activity, config.missing
        )
        self._ends_at = now + SESSION_SECONDS_MAX
        self._now = now

    @property
    def deadline(self) -> float:
        """When `on_time` must be called, at the latest."""
        due = self._replies.deadline
        return self._ends_at if due is None else min(due, self._ends_at)

    def begin(self) -> list[Output]:
        self._out.emit(input_events.SessionCreated(session=self._session.shown))
        return self._out.take()

    @property
    def is_behind(self) -> bool:
        """Whether the last frame brought more audio than was listened to: `catch_up` before the next one."""
        return self._buffer.is_behind

    def catch_up(self, now: float) -> list[Output]:
        """Listen to some more of what the last frame brought."""
        self._now = now
        self._buffer.catch_up(now)
        return self._out.take()

    def receive(self, frame: str | bytes, now: float) -> list[Output]:
        """One frame from the client."""
        self._now = now
        event: client_events.ClientEvent | None = None
        while self._buffer.is_behind:
            self._buffer.catch_up(now)
        try:
            event = client_events.read_client_event(frame)
            self._handle(event)
        except InvalidEvent as refused:
            self._out.send_error(refused, event.event_id if event else None)
        return self._out.take()

    def on_time(self, now: float) -> list[Output]:
        """The deadline has come."""
        self._now = now
        self._replies.on_time(now)
        if now >= self._ends_at:
            minutes = SESSION_SECONDS_MAX // 60
            why = f"Your session hit the maximum duration of {minutes} minutes."
            self._out.send_error(InvalidEvent(why, code="session_expired"))
            self._out.add(CloseConnection(1001, why))
            self._ends_at = math.inf
        return self._out.take()

    # What ears and mouth tell

    def words(self, recognition_id: int, delta: str) -> list[Output]:
        self._utterances.words(recognition_id, delta)
        return self._out.take()

    def heard(self, recognition_id: int, text: str) -> list[Output]:
        return self._after_hearing(self._utterances.heard(recognition_id, text))

    def unheard(self, recognition_id: int, message: str) -> list[Output]:
        """Nobody was free to listen, or hearing failed."""
        trouble = input_events.ErrorDetails(message=message, type="server_error", code="ears_unavailable")
        return self._after_hearing(self._utterances.unheard(recognition_id, trouble))

    def _after_hearing(self, item_id: str | None) -> list[Output]:
        if item_id is not None:
            self._replies.heard(item_id)
        return self._out.take()

    def said(self, response_id: str, text: str, pcm: bytes) -> list[Output]:
        self._replies.said(response_id, text, pcm)
        return self._out.take()

    def finished_speaking(self, response_id: str) -> list[Output]:
        self._replies.finished(response_id)
        return self._out.take()

    def failed_to_speak(self, response_id: str, message: str) -> list[Output]:
        self._replies.failed(response_id, message)
        return self._out.take()

    # What the client wants

    def _handle(self, event: client_events.ClientEvent) -> None:
        match event:
            case client_events.AppendAudio(audio=audio):
                self._buffer.append(decode_audio(audio), self._now)
            case client_events.CommitAudio():
                self._buffer.commit_by_hand()
            case client_events.ClearAudio():
                self._buffer.clear()
            case client_events.UpdateSession(session=change):
                self._session.update(change)
                self._buffer.tune()
                self._out.emit(input_events.SessionUpdated(session=self._session.shown))
            case client_events.CreateItem():
                self._create_item(event)
            case client_events.RetrieveItem(item_id=item_id):
                self._out.emit(input_events.ItemRetrieved(item=self._items.find(item_id)))
            case client_events.DeleteItem(item_id=item_id):
                self._items.delete(item_id)
                self._utterances.forget(item_id)
                self._out.emit(input_events.ItemDeleted(item_id=item_id))
            case client_events.TruncateItem(item_id=item_id, content_index=index, audio_end_ms=end_ms):
                self._items.truncate(item_id, index, end_ms)
                self._out.emit(input_events.ItemTruncated(item_id=item_id, content_index=index, audio_end_ms=end_ms))
            case client_events.CreateResponse(response=params):
                self._check_can_answer()
                self._replies.create(params or client_events.ResponseParams(), self._now)
            case client_events.CancelResponse(response_id=response_id):
                self._replies.cancel(response_id)
            case client_events.ClearOutput():
                raise InvalidEvent("output_audio_buffer.clear is for WebRTC and SIP only.", param="type")

    def _check_can_answer(self) -> None:
        if self._session.is_transcription:
            raise InvalidEvent("A transcription session creates no responses.", param="type")

    def _create_item(self, event: client_events.CreateItem) -> None:
        if len(self._items.order) >= ITEMS_MAX:
            raise InvalidEvent(f"A conversation holds at most {ITEMS_MAX} items.", code="conversation_full")
        item = as_kept(event.item, event.item.id or self._out.new_id("item"))
        pcm = _taken_audio(item)
        previous = self._items.add(item, event.previous_item_id)
        if pcm:
            self._items.audio_ms[item.id or ""] = len(pcm) / BYTES_PER_MS
        self._out.emit(input_events.ItemAdded(item=item, previous_item_id=previous))
        self._out.emit(input_events.ItemDone(item=item, previous_item_id=previous))
        if pcm and item.role == "user" and not item.text and not self._buffer.is_deaf:
            # Heard for the answer only: the API transcribes what comes through the buffer, not what is created.
            self._utterances.listen_to(item, pcm)


def _new_session(config: EmbeddedConfig, session_id: str) -> sessions.Session:
    expires_at = config.unix_time + SESSION_SECONDS_MAX
    if config.transcription:
        return sessions.new_transcription_session(session_id, expires_at)
    return sessions.new_session(session_id, config.model, expires_at, voice=DEFAULT_VOICE)


def _taken_audio(item: Item) -> bytes:
    """The sound in an item a client creates, taken out of it; raises `InvalidEvent` if it is not base64."""
    sound = b""
    for index, part in enumerate(item.content or ()):
        try:
            sound += decode_audio(part.audio or "")
        except BadMessage as error:
            message = "Expected base64-encoded audio bytes."
            raise InvalidEvent(message, param=f"item.content[{index}].audio") from error
        part.audio = None
    return sound
