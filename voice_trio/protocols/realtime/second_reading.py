"""Reads an upstream's frame that the decoder refused: what ends a response or a transcription must not be lost.

Half an emoji in a text, a detail of a wrong type or a frame that was cut must not make a turn wait for an end that has
come. Three steps, each only if the one before failed: the frame with well-formed texts; its fields without those of a
wrong type; and of what is no JSON at all, what can be found by name.
"""

from __future__ import annotations

import re
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from voice_trio.errors import BadMessage
from voice_trio.protocols import json_text

T = TypeVar("T")
Fields: TypeAlias = dict[str, Any]

# What ends something, with the texts and objects that may be missing.
_ENDINGS: dict[str, Fields] = {
    "response.done": {"response": {"id": ""}},
    "response.output_audio.done": {},
    "response.output_audio_transcript.done": {"transcript": ""},
    "response.output_text.done": {"text": ""},
    "conversation.item.input_audio_transcription.completed": {},
    "conversation.item.input_audio_transcription.failed": {},
    "error": {"error": {}},
}
_COMPLETED = "conversation.item.input_audio_transcription.completed"
_FAILED = "conversation.item.input_audio_transcription.failed"
MALFORMED = "malformed"

REPAIRS_MAX = 20  # fields of a wrong type in one frame
_WRONG_AT = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_TEXT = r'"((?:[^"\\]|\\.)*)"'


class SecondReader(Generic[T]):
    """Reads what a decoder of the structs `shape` refused; `shape` is a union of structs tagged by `type`."""

    def __init__(self, decoder: msgspec.json.Decoder[T], shape: Any, kinds: frozenset[str]) -> None:
        self._decoder = decoder
        self._shape = shape
        self._kinds = kinds

    def read(self, frame: str | bytes) -> tuple[T | Fields, str]:
        """The struct, or the fields of an event of another kind; and the frame to pass on, "" if none can.

        Raises `BadMessage` for what is no event, or lacks what its kind needs.
        """
        wire = json_text.well_formed(frame)
        try:
            return self._decoder.decode(wire), wire
        except json_text.UNREADABLE:
            fields, wire = _readable(wire)
        kind = fields.get("type")
        if not isinstance(kind, str):
            raise BadMessage("the upstream's frame is no event")
        if kind not in self._kinds:
            return fields, wire
        return self._repaired(kind, fields), "" if kind == "response.done" and not _response_id(fields) else wire

    def _repaired(self, kind: str, fields: Fields) -> T:
        """The struct of the fields, without those of a wrong type."""
        if kind == "response.done":
            _keep_status_readable(fields)
        elif kind == _COMPLETED and not isinstance(fields.get("transcript"), str):
            fields["type"] = _FAILED  # no words of it will come
            fields["error"] = {"code": MALFORMED}
        why = ""
        for _ in range(REPAIRS_MAX):
            try:
                return msgspec.convert(fields, self._shape)  # type: ignore[no-any-return]  # one of the union
            except msgspec.ValidationError as error:
                why = str(error)
                if not _drop_wrong(fields, why) and not _fill_in(fields, _ENDINGS.get(kind, {})):
                    break
        raise BadMessage(f"the upstream's {kind} is malformed: {why}")


def _readable(wire: str) -> tuple[Fields, str]:
    """The fields of a frame, and the frame to pass on: encoded anew if it was not quite JSON."""
    try:
        value = msgspec.json.decode(wire)
    except json_text.UNREADABLE:
        value = json_text.decode_leniently(wire)
        if not isinstance(value, dict):
            value = _found(wire)
        wire = json_text.encode(value)
    return (value, wire) if isinstance(value, dict) else ({}, wire)


def _keep_status_readable(fields: Fields) -> None:
    """A response whose status cannot be read has failed: nothing says that it is complete."""
    response = fields.get("response")
    if not isinstance(response, dict):
        response = fields["response"] = {}
    if not isinstance(response.get("status"), str):
        response |= {"status": "failed", "status_details": {"reason": MALFORMED}}
    if not isinstance(response.get("id"), str):
        outer = fields.get("response_id")
        response["id"] = outer if isinstance(outer, str) else ""


def _response_id(fields: Fields) -> str:
    return str(fields["response"].get("id") or "")


def _drop_wrong(fields: Fields, why: str) -> bool:
    """Drop the field that the decoder complains of; false if it is the frame itself, or a field is missing."""
    place = _WRONG_AT.search(why)
    if place is None or why.startswith("Object missing"):
        return False
    owner: Any = fields
    *names, last = place["path"].partition("[")[0].strip(".").split(".")
    for name in names:
        owner = owner.get(name) if isinstance(owner, dict) else None
    if not isinstance(owner, dict) or last not in owner:
        return False
    del owner[last]
    return True


def _fill_in(fields: Fields, defaults: Fields) -> bool:
    """Add the defaults that are missing; false if none is."""
    missing = {name: value for name, value in defaults.items() if name not in fields}
    fields |= missing
    return bool(missing)


def _found(text: str) -> Fields:
    """What a text that is no JSON says of an end, found by name; empty if it is none."""
    kind = next((kind for kind in _ENDINGS if re.search(rf'"type"\s*:\s*"{re.escape(kind)}"', text)), None)
    if kind is None:
        return {}
    fields: Fields = {"type": kind}
    for name in ("response_id", "item_id", "transcript", "text"):
        _find(name, text, fields)
    for owner, names in (("response", ("id", "status")), ("error", ("type", "code", "message", "event_id"))):
        if inner := re.search(rf'"{owner}"\s*:\s*\{{', text):
            fields[owner] = {}
            for name in names:
                _find(name, text[inner.end() :], fields[owner])
    return fields


def _find(name: str, text: str, fields: Fields) -> None:
    found = re.search(rf'"{name}"\s*:\s*{_TEXT}', text)
    if found is not None:
        value = json_text.decode_leniently(f'"{found[1]}"')
        if isinstance(value, str):
            fields[name] = value
