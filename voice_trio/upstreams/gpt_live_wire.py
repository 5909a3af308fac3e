"""Frames of GPT-Live: what it says as events of a full-duplex upstream, and the few things that it can be sent.

Sources: `types/live` of openai-python 3.57; traffic that others recorded for the order and the silence of its output.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio.conversation import events
from voice_trio.conversation.full_duplex.commands import AppendThinking
from voice_trio.conversation.full_duplex.events import (
    AnyUpstreamEvent,
    AssistantWords,
    DelegationCreated,
    OutputAudio,
    SessionUsageUpdated,
    UserWords,
)
from voice_trio.conversation.policy import SESSION_EXPIRED
from voice_trio.conversation.retrieval.text import token_estimate
from voice_trio.errors import BadMessage
from voice_trio.protocols import json_text
from voice_trio.protocols.audio import BYTES_PER_MS, decode_audio
from voice_trio.protocols.realtime import SessionState
from voice_trio.protocols.realtime.sessions import PCM_24K

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voice_trio.conversation import commands
    from voice_trio.conversation.turn.history import Said
    from voice_trio.protocols.realtime import RealtimeConfig

DITHER_MAX = 24
"""The output's silence is not zero: samples of up to 20 were recorded."""
INPUT_ITEMS_MAX = 128
INPUT_TOKENS_MAX = 6_000
"""Of the history that a session begins with. The API refuses more than 8,192 tokens of its own count."""
TOKENS_PER_ITEM = 8


class GptLiveTranslator:
    """Translates every frame by itself."""

    def session_update(self, config: RealtimeConfig, event_id: str) -> str:
        """`session.start`, which must be the first frame; the API refuses fields that it does not know."""
        if config.fork_of:  # it has the settings of the session that it goes on with
            return json_text.encode({"type": "session.start", "event_id": event_id, "session": {}})
        session: dict[str, Any] = {
            "model": config.model,
            "instructions": config.instructions,
            "audio": {"format": PCM_24K, "output": {"voice": config.voice}},
            "delegation": {"type": "client"},
            "store": config.store,
        }
        if config.safety_identifier:
            session["safety_identifier"] = config.safety_identifier
        if config.history:
            session["input"] = _input(config.history)
        return json_text.encode({"type": "session.start", "event_id": event_id, "session": session})

    def read(self, frame: str) -> Iterable[AnyUpstreamEvent | SessionState]:
        try:
            event = _decoder.decode(frame)
        except json_text.UNREADABLE:
            event = _read_leniently(frame)
        return _events(event, frame)

    def write(self, command: commands.UpstreamCommand) -> Iterable[str]:
        if not isinstance(command, AppendThinking):
            return ()
        append = {"type": "session.thinking.append", "event_id": command.event_id, "content": command.content}
        return (json_text.encode({**append, "delegation_id": command.delegation_id}),)

    def append_audio(self, audio: str) -> str:
        return '{"type":"session.input_audio.append","audio":"' + audio + '"}'


def _input(history: Sequence[Said]) -> list[dict[str, Any]]:
    """The newest of what was said, as much as a session may begin with."""
    room = INPUT_TOKENS_MAX
    items: list[dict[str, Any]] = []
    for said in reversed(history):
        room -= token_estimate(said.text) + TOKENS_PER_ITEM
        if room < 0 or len(items) == INPUT_ITEMS_MAX:
            break
        kind = "output_text" if said.role == "assistant" else "input_text"
        items.append({"role": said.role, "content": [{"type": kind, "text": said.text}]})
    return items[::-1]


class _Frame(msgspec.Struct):
    """The fields that matter of any server event; all but the type may be anything."""

    type: str
    delta: Any = None
    start_ms: Any = None
    end_ms: Any = None
    session: Any = None
    delegation: Any = None
    usage: Any = None
    reason: Any = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Frame)


def _read_leniently(frame: str) -> _Frame:
    try:
        return _decoder.decode(json_text.well_formed(frame))
    except json_text.UNREADABLE as error:
        raise BadMessage("the upstream's frame is no event") from error


def _events(event: _Frame, wire: str) -> Iterable[AnyUpstreamEvent | SessionState]:
    match event.type:
        case "session.output_audio.delta":
            return (_output(event, wire),)
        case "session.input_transcript.delta":
            return (UserWords(_text(event.delta), _ms(event.start_ms), _ms(event.end_ms), wire=wire),)
        case "session.output_transcript.delta":
            return (AssistantWords(_text(event.delta), _ms(event.start_ms), _ms(event.end_ms), wire=wire),)
        case "session.started":
            return (_started(_object(event.session), wire),)
        case "session.delegation.created":
            return _delegation(_object(event.delegation), wire)
        case "session.usage.updated":
            return _usage(event, wire)
        case "session.closed":
            return _closed(event, wire)
        case "error":
            return (_error(_object(event.error), wire),)
        case _:
            return (events.OtherUpstreamEvent(event.type, wire=wire),)


def _output(event: _Frame, wire: str) -> OutputAudio:
    pcm = decode_audio(_text(event.delta))
    samples = memoryview(pcm[: len(pcm) & ~1]).cast("h")
    is_loud = len(samples) > 0 and (max(samples) > DITHER_MAX or min(samples) < -DITHER_MAX)
    return OutputAudio(event.delta, len(pcm) / BYTES_PER_MS, is_loud, wire=wire)


def _started(session: dict[str, Any], wire: str) -> SessionState:
    """The session as clients of other upstreams know it, without the instructions."""
    model, expires_at = _text(session.get("model")), session.get("expires_at")
    voice = _text(_object(_object(session.get("audio")).get("output")).get("voice"))
    shown = {
        "type": "realtime",
        "model": model,
        "output_modalities": ["audio"],
        "audio": {"input": {"format": PCM_24K, "turn_detection": None}, "output": {"format": PCM_24K, "voice": voice}},
    }
    return SessionState(
        type="session.created",
        session_json=json_text.encode(shown),
        session_id=_text(session.get("id")),
        model=model,
        voice=voice,
        expires_at=float(expires_at) if isinstance(expires_at, int | float) else None,
        wire=wire,
    )


def _delegation(delegation: dict[str, Any], wire: str) -> Iterable[DelegationCreated]:
    delegation_id = _text(delegation.get("id"))
    is_ours = delegation.get("target", "client") == "client"
    return (DelegationCreated(delegation_id, wire=wire),) if is_ours and delegation_id else ()


def _usage(event: _Frame, wire: str) -> Iterable[AnyUpstreamEvent]:
    usage = _object(event.usage)
    if (seconds := _seconds(usage.get("seconds"))) is not None:
        yield SessionUsageUpdated(seconds, _seconds(usage.get("paused_seconds")) or 0.0, wire=wire)


def _closed(event: _Frame, wire: str) -> Iterable[AnyUpstreamEvent]:
    yield from _usage(event, wire)
    match event.reason:
        case "expired":
            yield events.UpstreamError(SESSION_EXPIRED, "the session has reached its longest duration", wire=wire)
        case "content":
            yield events.UpstreamError("content_policy", "the upstream ended the session for its content", wire=wire)
        case _:
            pass  # the connection closes now, whatever the reason


def _error(error: dict[str, Any], wire: str) -> events.UpstreamError:
    code = _text(error.get("code")) or _text(error.get("type")) or "unknown"  # the code may be null
    event_id = _text(error.get("client_event_id")) or None
    return events.UpstreamError(code, _text(error.get("message")), event_id, _text(error.get("param")), wire=wire)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < math.inf else None  # type: ignore[arg-type,operator]  # a number


def _ms(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
