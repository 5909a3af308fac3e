"""A Realtime session as a server keeps it: client events in, server events out. Pure: no clock, no task, no audio.

Every refusal is an `error` event; nothing a client sends ends the session. Audio is not kept: an item holds its length
and its transcript. The codes are those seen of the API; where none is known, `invalid_value` is sent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol, assert_never

from voice_trio.errors import BadMessage, InvalidEvent
from voice_trio.protocols.audio import BYTES_PER_MS, decode_audio
from voice_trio.protocols.realtime import client_events, input_events
from voice_trio.protocols.realtime.items import Item, ItemList, Part, as_kept
from voice_trio.protocols.realtime_server.responses import ServerResponses

if TYPE_CHECKING:
    from voice_trio.protocols.realtime.sessions import Session
    from voice_trio.protocols.realtime_server.response import EventSink, ServerResponse
    from voice_trio.protocols.realtime_server.session_object import SessionObject

COMMIT_MS_MIN = 100
ITEMS_MAX = 4000
"""More than an hour of talk needs; it bounds what a client can make the server remember."""


class SessionHost(Protocol):
    """What a server does itself: it recognises the audio it is given, and decides what a response says."""

    @property
    def uncommitted_ms(self) -> float:
        """How much audio was appended since the last commit or clear."""
        ...

    def audio_appended(self, audio: str) -> None:
        """Audio came, as valid base64."""
        ...

    def audio_committed(self) -> None:
        """The client commits what was appended, at least `COMMIT_MS_MIN`; the host calls `ServerSession.commit`."""
        ...

    def audio_cleared(self) -> None:
        """What was appended is to be forgotten."""
        ...

    def session_changing(self, changed: Session) -> None:
        """The session is about to become `changed`, which may be altered here; raise `InvalidEvent` to refuse it."""
        ...

    def item_created(self, item: Item, pcm: bytes) -> None:
        """The client created an item; `pcm` is its audio, which the item does not keep."""
        ...

    def item_deleted(self, item_id: str) -> None: ...

    def generate(self, response: ServerResponse) -> None:
        """A response was created: call its `begin`, fill it, and end it with `ServerResponses.end`."""
        ...

    def cut(self, response: ServerResponse, reason: str) -> None:
        """End a response as `cancelled`, at once or soon; `reason` is `turn_detected` or `client_cancelled`."""
        ...


class ServerSession:
    """The conversation, the session object and the responses of one client."""

    def __init__(self, out: EventSink, host: SessionHost, config: SessionObject, conversation_id: str) -> None:
        self.items = ItemList()
        self.config = config
        self._out = out
        self._host = host
        self.responses = ServerResponses(out, self.items, config, conversation_id)

    def begin(self) -> None:
        self._out.emit(input_events.SessionCreated(session=self.config.shown))

    def receive(self, frame: str | bytes) -> None:
        """Handle one frame of the client."""
        event: client_events.ClientEvent | None = None
        try:
            event = client_events.read_client_event(frame)
            self._handle(event)
        except InvalidEvent as refused:
            self.send_error(refused, event.event_id if event else None)

    def send_error(self, refused: InvalidEvent, event_id: str | None = None) -> None:
        """An `error` event that names the client's event, where it has an id."""
        trouble = input_events.ErrorDetails(
            message=str(refused), code=refused.code, param=refused.param, event_id=refused.event_id or event_id
        )
        self._out.emit(input_events.error_event(trouble))

    def _handle(self, event: client_events.ClientEvent) -> None:
        match event:
            case client_events.AppendAudio(audio=audio):
                self._host.audio_appended(audio)
            case client_events.CommitAudio():
                self._commit_by_client()
            case client_events.ClearAudio():
                self._host.audio_cleared()
                self._out.emit(input_events.BufferCleared())
            case client_events.UpdateSession(session=change):
                self._update_session(change)
            case client_events.CreateItem(item=item, previous_item_id=previous):
                self._create_item(item, previous)
            case client_events.RetrieveItem(item_id=item_id):
                self._out.emit(input_events.ItemRetrieved(item=self.items.find(item_id)))
            case client_events.DeleteItem(item_id=item_id):
                self.items.delete(item_id)
                self._host.item_deleted(item_id)
                self._out.emit(input_events.ItemDeleted(item_id=item_id))
            case client_events.TruncateItem(item_id=item_id, content_index=index, audio_end_ms=end_ms):
                self.items.truncate(item_id, index, end_ms)
                self._out.emit(input_events.ItemTruncated(item_id=item_id, content_index=index, audio_end_ms=end_ms))
            case client_events.CreateResponse(response=params):
                self.create_response(params)
            case client_events.CancelResponse(response_id=response_id):
                self._host.cut(self.responses.to_cancel(response_id), "client_cancelled")
            case client_events.ClearOutput():
                raise InvalidEvent("output_audio_buffer.clear is for WebRTC and SIP only.", param="type")
            case _:
                assert_never(event)

    def _update_session(self, change: dict[str, Any]) -> None:
        changed = self.config.changed_by(change)
        self._host.session_changing(changed)
        self.config.shown = changed
        self._out.emit(input_events.SessionUpdated(session=changed))

    # The input audio buffer

    def speech_started(self, item_id: str, at_ms: int) -> None:
        """The server's turn detection found speech: a response is interrupted if the session says so."""
        self._out.emit(input_events.SpeechStarted(item_id=item_id, audio_start_ms=at_ms))
        detection, active = self.config.detection, self.responses.active
        if detection is not None and detection.interrupt_response and active is not None and active.can_be_cut:
            self._host.cut(active, "turn_detected")

    def speech_stopped(self, item_id: str, at_ms: int, audio_ms: float) -> Item:
        """The server's turn detection found the end of speech: `audio_ms` of audio become an item of the user."""
        self._out.emit(input_events.SpeechStopped(item_id=item_id, audio_end_ms=at_ms))
        return self.commit(item_id, audio_ms)

    def respond_to_turn(self) -> None:
        """Create the response that turn detection asks for after a commit of its own."""
        detection = self.config.detection
        if detection is None or not detection.create_response or self.config.is_transcription:
            return
        try:
            self.create_response()
        except InvalidEvent as refused:
            # The API documents it: without interrupt_response this fails while another response is in progress.
            self.send_error(refused)

    def commit(self, item_id: str, audio_ms: float) -> Item:
        """Add what was appended to the conversation, as an item of the user."""
        previous = self.items.last_id
        self._out.emit(input_events.BufferCommitted(item_id=item_id, previous_item_id=previous))
        item = as_kept(Item(type="message", role="user", content=[Part(type="input_audio")]), item_id)
        self.items.add(item)
        self.items.audio_ms[item_id] = audio_ms
        self._announce(item, previous)
        return item

    # Transcripts

    def transcript_delta(self, item_id: str, delta: str) -> None:
        """Words became known; deltas only ever append."""
        self._out.emit(input_events.TranscriptionDelta(item_id=item_id, content_index=0, delta=delta))

    def transcript_completed(self, item_id: str, transcript: str, usage: dict[str, Any] | None = None) -> None:
        """The whole transcript, which the item shows from now on; `usage` is the seconds of audio unless given."""
        for part in next((item.content or () for item in self.items.order if item.id == item_id), ()):
            part.transcript = transcript if part.type == "input_audio" else part.transcript
        seconds = math.ceil(self.items.audio_ms.get(item_id, 0.0) / 1000)
        self._out.emit(
            input_events.TranscriptionCompleted(
                item_id=item_id,
                content_index=0,
                transcript=transcript,
                usage=usage or {"type": "duration", "seconds": seconds},
            )
        )

    def transcript_failed(self, item_id: str, trouble: input_events.ErrorDetails) -> None:
        self._out.emit(input_events.TranscriptionFailed(item_id=item_id, content_index=0, error=trouble))

    def _commit_by_client(self) -> None:
        uncommitted_ms = self._host.uncommitted_ms
        if uncommitted_ms < COMMIT_MS_MIN:
            message = (
                f"Error committing input audio buffer: buffer too small. Expected at least {COMMIT_MS_MIN}ms of audio, "
                f"but buffer only has {uncommitted_ms:.2f}ms of audio."
            )
            raise InvalidEvent(message, code="input_audio_buffer_commit_empty")
        self._host.audio_committed()

    # Items

    def _create_item(self, asked: Item, after: str | None) -> None:
        if len(self.items.order) >= ITEMS_MAX:
            raise InvalidEvent(f"A conversation holds at most {ITEMS_MAX} items.", code="conversation_full")
        item = as_kept(asked, asked.id or self._out.new_id("item"))
        pcm = _taken_audio(item)
        previous = self.items.add(item, after)
        if pcm:
            self.items.audio_ms[item.id or ""] = len(pcm) / BYTES_PER_MS
        self._announce(item, previous)
        self._host.item_created(item, pcm)

    def _announce(self, item: Item, previous: str | None) -> None:
        self._out.emit(input_events.ItemAdded(item=item, previous_item_id=previous))
        self._out.emit(input_events.ItemDone(item=item, previous_item_id=previous))

    # Responses

    def create_response(self, params: client_events.ResponseParams | None = None) -> None:
        """Create a response and let the host fill it; raises `InvalidEvent`, and then there is none."""
        self._host.generate(self.responses.open(params))


def _taken_audio(item: Item) -> bytes:
    """The audio in an item that a client creates, taken out of it; raises `InvalidEvent` if it is not base64."""
    audio = b""
    for index, part in enumerate(item.content or ()):
        try:
            audio += decode_audio(part.audio or "")
        except BadMessage as error:
            message = "Expected base64-encoded audio bytes."
            raise InvalidEvent(message, param=f"item.content[{index}].audio") from error
        part.audio = None
    return audio
