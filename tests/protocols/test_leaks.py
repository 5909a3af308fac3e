"""Whatever a Realtime server may say, by the API's own types: only the contract's events and fields reach a client."""

from __future__ import annotations

import json
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel

from voice_trio.conversation.session_events import SessionDescribed
from voice_trio.protocols import realtime
from voice_trio.protocols.audio import silence
from voice_trio.protocols.voice import writer

MARK = "§"
SERVER_EVENTS: tuple[type[BaseModel], ...] = get_args(get_args(RealtimeServerEvent)[0])

MAY_LEAVE = {
    "session.created",
    "session.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "response.created",
    "response.audio.delta",
    "response.audio.done",
    "response.audio_transcript.delta",
    "response.audio_transcript.done",
    "response.done",
}
FIELDS_THAT_MAY_LEAVE = {
    "item_id",
    "previous_item_id",
    "response_id",
    "delta",
    "transcript",
    "text",
    "response.id",
    "session.model",
    "session.audio.input.transcription.model",
    "session.audio.input.transcription.language",
    "session.audio.output.voice",
}


def filled(annotation: Any, path: str) -> Any:
    """A value of the type in which every free text says where it stands."""
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return {name: filled(field.annotation, f"{path}.{name}".lstrip(".")) for name, field in fields}
    if origin is Literal:
        return args[0]
    if origin is list:
        return [filled(args[0], path)]
    if origin is dict:
        return {f"{MARK}{path}": f"{MARK}{path}"}
    if args:
        return filled(next(arg for arg in args if arg is not NoneType), path)
    plain = {str: f"{MARK}{path}", int: 3, float: 0.5, bool: True, object: {"any": f"{MARK}{path}"}}
    return plain[annotation]


def marks(value: object) -> set[str]:
    if isinstance(value, dict):
        return {mark for pair in value.items() for each in pair for mark in marks(each)}
    if isinstance(value, list):
        return {mark for each in value for mark in marks(each)}
    return {value[1:]} if isinstance(value, str) and value.startswith(MARK) else set()


@pytest.mark.parametrize("shape", SERVER_EVENTS, ids=lambda shape: shape.__name__)
def test_only_the_contract_leaves(shape: type[BaseModel]) -> None:
    event = filled(shape, "")
    if event["type"] == "response.output_audio.delta":
        event["delta"] = silence(20)
    assert marks(event), "the event has nothing to leak"
    frame = through_the_gateway(json.dumps(event))
    if frame is None:
        return
    leaving = json.loads(frame)
    assert leaving["type"] in MAY_LEAVE
    assert marks(leaving) <= FIELDS_THAT_MAY_LEAVE


def through_the_gateway(frame: str) -> str | None:
    event = realtime.read_event(frame)
    if isinstance(event, realtime.SessionState):
        return writer.write(SessionDescribed(event.type, event.session_json))
    return writer.write(event)


def test_what_the_contract_names_does_leave() -> None:
    left = set()
    for shape in SERVER_EVENTS:
        event = filled(shape, "")
        if event["type"] == "response.output_audio.delta":
            event["delta"] = silence(20)
        frame = through_the_gateway(json.dumps(event))
        left |= {json.loads(frame)["type"]} if frame else set()
    assert left == MAY_LEAVE
