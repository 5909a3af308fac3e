"""Writes the client events that the gateway sends to an upstream: a conversation's commands, audio, session updates.

Every event but audio carries an `event_id` of ours: an upstream's error names the event that caused it. Source of names
and fields: OpenAI's reference of Realtime client events (GA interface).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

from voice_trio.conversation import commands
from voice_trio.conversation.full_duplex.commands import AppendThinking
from voice_trio.conversation.passthrough.responses import METADATA_PAIRS_MAX
from voice_trio.protocols import json_text
from voice_trio.protocols.realtime.sessions import PCM_24K

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voice_trio.conversation.turn.history import Said

PREFIX_PADDING_MS = 300
COMMIT_MS_MIN = 100.0
"""A commit by hand of less audio is refused (`input_audio_buffer_commit_empty`)."""

# gpt-realtime-2, -2.1, -2.1-mini …, and not gpt-realtime-2025-08-28, which is of the first generation.
_REASONING_MODEL = re.compile(r"gpt-realtime-2(\.\d+)?(-[a-z]|$)")

# By OpenAI's guide to Realtime transcription these models transcribe only after the commit.
_COMMIT_FIRST = re.compile(r"(whisper-1|gpt-transcribe|gpt-4o(-mini)?-transcribe)(-|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeConfig:
    """Settings of an upstream's session; what else it needs (formats, who responds, who interrupts) is fixed here.

    `speed` is 0.25–1.5. `silence_ms` of silence end the user's turn; `threshold` is 0–1. `noise_reduction` is
    `near_field`, `far_field` or none; `reasoning_effort` goes only to models that take it. `tools` are function
    definitions as the wire has them.
    """

    model: str
    instructions: str = field(repr=False)
    voice: str = "marin"
    speed: float = 1.0
    transcription_model: str = "gpt-realtime-whisper"
    sidecar_model: str | None = None
    """The transcription model of a session that only transcribes; None: the same."""
    language: str | None = None
    silence_ms: int = 500
    threshold: float = 0.5
    noise_reduction: str | None = "near_field"
    reasoning_effort: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    history: Sequence[Said] = ()
    """What was said before, for an upstream that takes it only when its session begins."""
    store: bool = False
    """Whether the upstream keeps the session, so that another can go on with it; only some can."""
    safety_identifier: str = ""
    """The user's, hashed, for an upstream that takes it as a setting and not as a header."""
    fork_of: str = ""
    """The id of a kept session that this one goes on with; it knows what was said."""
    max_output_tokens: int = 4096
    """Of one response, 1–4096."""


def takes_reasoning_effort(model: str) -> bool:
    """Whether `reasoning.effort` may be sent; a model that does not take it refuses the whole update."""
    return _REASONING_MODEL.match(model) is not None


def append_audio(audio: str) -> str:
    """One `input_audio_buffer.append`. `audio` is base64 that has been checked: it is spliced in, not escaped."""
    return '{"type":"input_audio_buffer.append","audio":"' + audio + '"}'


def session_update(config: RealtimeConfig, event_id: str = "vt_session") -> str:
    """The first `session.update`: the upstream transcribes and interrupts, and creates no response by itself."""
    turn_detection = {
        "type": "server_vad",
        "threshold": config.threshold,
        "prefix_padding_ms": PREFIX_PADDING_MS,
        "silence_duration_ms": config.silence_ms,
        "create_response": False,
        "interrupt_response": True,
    }
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": config.instructions,
        "audio": {
            "input": _audio_input(config, turn_detection),
            "output": {"format": PCM_24K, "voice": config.voice, "speed": config.speed},
        },
        "tools": list(config.tools),
        "tool_choice": "auto",
        "max_output_tokens": config.max_output_tokens,
    }
    if config.reasoning_effort and takes_reasoning_effort(config.model):
        session["reasoning"] = {"effort": config.reasoning_effort}
    return _encode({"type": "session.update", "event_id": event_id, "session": session})


def transcription_update(config: RealtimeConfig, event_id: str) -> str:
    """The one `session.update` of a session that only transcribes, with the audio input of `config`'s conversation.

    Such a session has no model and no voice. Turns are ended by hand: models that stream refuse any turn detection.
    """
    config = replace(config, transcription_model=config.sidecar_model or config.transcription_model)
    session = {"type": "transcription", "audio": {"input": _audio_input(config, None)}}
    return _encode({"type": "session.update", "event_id": event_id, "session": session})


def _audio_input(config: RealtimeConfig, turn_detection: Mapping[str, Any] | None) -> dict[str, Any]:
    transcription = {"model": config.transcription_model}
    if config.language:
        transcription["language"] = config.language
    return {
        "format": PCM_24K,
        "noise_reduction": {"type": config.noise_reduction} if config.noise_reduction else None,
        "transcription": transcription,
        "turn_detection": turn_detection,
    }


def commit_audio(event_id: str) -> str:
    """Makes an utterance of the audio appended so far, at least `COMMIT_MS_MIN` of it."""
    return _encode({"type": "input_audio_buffer.commit", "event_id": event_id})


def clear_audio(event_id: str) -> str:
    """Drops the audio appended since the last commit."""
    return _encode({"type": "input_audio_buffer.clear", "event_id": event_id})


def never_streams(model: str) -> bool:
    """Whether the transcription model is known to send no deltas during speech."""
    return _COMMIT_FIRST.match(model) is not None


_TextItem: TypeAlias = (
    commands.CreateContextItem | commands.CreateUserItem | commands.CreateAssistantItem | commands.CreateInstructionItem
)


def write_command(command: commands.UpstreamCommand) -> str:
    """The frame of `command`."""
    return _encode({"event_id": command.event_id, **_body(command)})


def _body(command: commands.UpstreamCommand) -> dict[str, Any]:
    match command:
        case (
            commands.CreateContextItem()
            | commands.CreateUserItem()
            | commands.CreateAssistantItem()
            | commands.CreateInstructionItem()
        ):
            return _text_item(command)
        case commands.CreateFunctionOutput(call_id=call_id, output=output):
            return _create_item({"type": "function_call_output", "call_id": call_id, "output": output})
        case commands.CreateResponse(metadata=metadata, tools_allowed=tools_allowed):
            return {"type": "response.create", "response": _response(metadata, tools_allowed)}
        case commands.CreateClientResponse(metadata=metadata, body=body):
            return {"type": "response.create", "response": _tagged(body, metadata)}
        case commands.ForwardClientEvent(body=body):
            return dict(body)
        case commands.CancelResponse(response_id=response_id):
            return {"type": "response.cancel", "response_id": response_id}
        case commands.TruncateItem(item_id=item_id, audio_end_ms=end_ms):
            cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": end_ms}
            return {"type": "conversation.item.truncate", **cut}
        case commands.DeleteItem(item_id=item_id):
            return {"type": "conversation.item.delete", "item_id": item_id}
        case AppendThinking(event_id=event_id, content=content):  # the nearest that this wire has
            return _create_item(_message(event_id, "system", content))
        case commands.ChangeTranscription(model=model):
            heard = {"input": {"transcription": {"model": model}}}
            return {"type": "session.update", "session": {"type": "realtime", "audio": heard}}
        case commands.ChangeSpeed(speed=speed):
            return {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"speed": speed}}}}
        case _:
            assert_never(command)


def _text_item(command: _TextItem) -> dict[str, Any]:
    match command:
        case commands.CreateContextItem(item_id=item_id, previous_item_id=previous, text=text):
            return _create_item(_message(item_id, "system", text), previous)
        case commands.CreateUserItem(item_id=item_id, text=text):
            return _create_item(_message(item_id, "user", text))
        case commands.CreateAssistantItem(item_id=item_id, text=text):
            return _create_item(_message(item_id, "assistant", text, "output_text"))
        case commands.CreateInstructionItem(item_id=item_id, text=text):
            return _create_item(_message(item_id, "system", text))
        case _:
            assert_never(command)


def _create_item(item: dict[str, Any], previous_item_id: str | None = None) -> dict[str, Any]:
    place = {} if previous_item_id is None else {"previous_item_id": previous_item_id}
    return {"type": "conversation.item.create", **place, "item": item}


def _message(item_id: str, role: str, text: str, kind: str = "input_text") -> dict[str, Any]:
    content = [{"type": kind, "text": text}]
    return {"id": item_id, "type": "message", "role": role, "content": content}


def _response(metadata: Mapping[str, str], tools_allowed: bool) -> dict[str, Any]:
    response: dict[str, Any] = {}
    if metadata:
        response["metadata"] = dict(metadata)
    if not tools_allowed:
        response["tool_choice"] = "none"
    return response


def _tagged(body: Mapping[str, object], metadata: Mapping[str, str]) -> dict[str, Any]:
    """A client's response with our tag, unless its metadata already has as many pairs as the API allows."""
    theirs = body.get("metadata")
    both = {**theirs, **metadata} if isinstance(theirs, dict) else dict(metadata)
    return {**body, "metadata": theirs if len(both) > METADATA_PAIRS_MAX else both}


def _encode(event: dict[str, Any]) -> str:
    return json_text.encode(event)
