"""What a Realtime server does with each client event, and what it refuses: the rules a gateway must not break.

The codes are the ones seen of the real service; where none is known, `invalid_value` says enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voice_trio.errors import InvalidEvent
from voice_trio.protocols.audio import audio_ms
from voice_trio.protocols.realtime import client_events, input_events, sessions
from voice_trio.protocols.realtime.items import as_kept

if TYPE_CHECKING:
    from voice_trio.protocols.realtime.items import Item
    from voice_trio.testing.model_session import ModelSession

MANUAL_COMMIT_MS_MIN = 100


def handle(session: ModelSession, event: client_events.ClientEvent) -> None:
    """Do what is asked; raises `InvalidEvent`, with the event's id, where a server would refuse."""
    try:
        _do(session, event)
    except InvalidEvent as refused:
        refused.event_id = event.event_id
        raise


def _do(session: ModelSession, event: client_events.ClientEvent) -> None:
    match event:
        case client_events.AppendAudio(audio=audio):
            session.heard_ms += audio_ms(audio)
            session.uncommitted_ms += audio_ms(audio)
            session.model.heard_audio(session, audio)
        case client_events.UpdateSession(session=update):
            _update(session, update)
        case client_events.CreateItem(item=item, previous_item_id=previous):
            _create_item(session, item, previous)
        case client_events.RetrieveItem(item_id=item_id):
            session.emit(input_events.ItemRetrieved(item=session.items.find(item_id)))
        case client_events.DeleteItem(item_id=item_id):
            session.items.delete(item_id)
            session.emit(input_events.ItemDeleted(item_id=item_id))
        case client_events.TruncateItem(item_id=item_id, content_index=index, audio_end_ms=end):
            session.items.truncate(item_id, index, end)
            session.emit(input_events.ItemTruncated(item_id=item_id, content_index=index, audio_end_ms=end))
        case client_events.CreateResponse(response=params):
            _create_response(session, params or client_events.ResponseParams())
        case client_events.CancelResponse(response_id=response_id):
            _cancel_response(session, response_id)
        case client_events.CommitAudio():
            _commit_by_hand(session)
        case client_events.ClearAudio():
            session.uncommitted_ms = 0.0
            session.emit(input_events.BufferCleared())
        case client_events.ClearOutput():
            raise InvalidEvent("output_audio_buffer.clear is for WebRTC and SIP only.", param="type")


def _update(session: ModelSession, update: dict[str, Any]) -> None:
    behaviour = session.model.behaviour
    if update["type"] != session.state["type"]:
        raise InvalidEvent("A conversation cannot become a transcription session.", param="session.type")
    after = sessions.merged(session.state, update)
    model = sessions.transcription_model_of(after)
    if model in behaviour.refused_transcription_models:
        message = f"The model '{model}' is not available for transcription."
        raise InvalidEvent(message, param="session.audio.input.transcription.model")
    if session.voice_is_fixed and after["audio"]["output"]["voice"] != session.state["audio"]["output"]["voice"]:
        raise InvalidEvent("Cannot update a conversation's voice after audio.", code="cannot_update_voice")
    detection = after["audio"]["input"]["turn_detection"]
    if detection and not behaviour.honours_create_response:
        detection["create_response"] = True
    session.state = after
    if behaviour.acknowledges_updates:
        session.emit(input_events.SessionUpdated(session=after))


def _create_item(session: ModelSession, item: Item, previous: str | None) -> None:
    kept = as_kept(item, item.id or session.new_id("item"))
    before = session.items.add(kept, previous)
    session.emit(input_events.ItemAdded(item=kept, previous_item_id=before))
    session.emit(input_events.ItemDone(item=kept, previous_item_id=before))


def _create_response(session: ModelSession, params: client_events.ResponseParams) -> None:
    if params.conversation != "none" and session.active is not None:
        message = "Conversation already has an active response in progress."
        raise InvalidEvent(message, code="conversation_already_has_active_response")
    session.respond(params, session.model.next_answer(session.items))


def _cancel_response(session: ModelSession, response_id: str | None) -> None:
    active = session.active
    if active is None or not active.created or active.over or response_id not in (None, active.id):
        raise InvalidEvent("Cancellation failed: no active response found", code="response_cancel_not_active")
    session.interrupt("client_cancelled")


def _commit_by_hand(session: ModelSession) -> None:
    if session.uncommitted_ms < MANUAL_COMMIT_MS_MIN:
        message = f"Expected at least {MANUAL_COMMIT_MS_MIN}ms of audio, got {session.uncommitted_ms:.2f}ms."
        raise InvalidEvent(message, code="input_audio_buffer_commit_empty")
    session.commit(session.new_id("item"), session.uncommitted_ms)
