"""Server events as the gateway reads them; the frame itself stays with each event.

Whatever else a server says (new fields, new events) passes as `OtherUpstreamEvent`. Knows nothing of servers' rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import msgspec

from voice_trio.conversation import events
from voice_trio.errors import BadMessage
from voice_trio.protocols.realtime.to_event import KnownEvent

if TYPE_CHECKING:
    from voice_trio.protocols.realtime.session_state import SessionState


def read_event(frame: str | bytes) -> events.UpstreamEvent | SessionState:
    """One frame of a Realtime server; `BadMessage` if it is not an event at all or lacks what its type promises."""
    try:
        wire = frame if isinstance(frame, str) else frame.decode()
        return _known.decode(wire).meaning(wire)
    except msgspec.ValidationError as error:
        return _event_of_no_interest(wire, error)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadMessage("the model's frame is not JSON") from error


def _event_of_no_interest(wire: str, why: msgspec.ValidationError) -> events.OtherUpstreamEvent | events.ResponseDone:
    try:
        kind = _any.decode(wire).type
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadMessage("the model's frame is no event") from error
    if kind == "response.done" and (done := _barely_done(wire)) is not None:
        return done
    if kind in _KNOWN_TYPES:
        raise BadMessage(f"the model's {kind} is malformed: {why}") from why
    return events.OtherUpstreamEvent(kind, wire=wire)


def _barely_done(wire: str) -> events.ResponseDone | None:
    """The end of a response must not be missed for a detail in it: all else waits for it."""
    try:
        response = _bare_done.decode(wire).response
    except msgspec.DecodeError:
        return None
    return events.ResponseDone(response.id, "failed", "malformed", wire=wire)


class _Envelope(msgspec.Struct):
    type: str


class _BareResponse(msgspec.Struct):
    id: str


class _BareDone(msgspec.Struct):
    response: _BareResponse


_known: msgspec.json.Decoder[KnownEvent] = msgspec.json.Decoder(KnownEvent)
_bare_done = msgspec.json.Decoder(_BareDone)
_any = msgspec.json.Decoder(_Envelope)
_KNOWN_TYPES = frozenset(str(shape.__struct_config__.tag) for shape in get_args(KnownEvent))
