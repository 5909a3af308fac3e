"""What the gateway says to a Realtime server. Audio is pasted in as it came; everything else is small and encoded.

Every event but audio carries an `event_id` of ours, so that a server's errors can be told from others'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from voice_trio.conversation import commands
from voice_trio.conversation.passthrough.responses import METADATA_PAIRS_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PCM_24K: Mapping[str, Any] = {"type": "audio/pcm", "rate": 24000}
PREFIX_PADDING_MS = 300

# gpt-realtime-2, -2.1, -2.1-mini …, and not gpt-realtime-2025-08-28, which is of the first generation.
_REASONING_MODEL = re.compile(r"gpt-realtime-2(\.\d+)?(-[a-z]|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeConfig:
    """What a session is to be like; the rest (who answers, who interrupts, in which format) is not for configuration.

    `speed` is 0.25–1.5. `silence_ms` of quiet end the user's turn; `threshold` is 0–1. `noise_reduction` is
    `near_field`, `far_field` or none; `reasoning_effort` goes only to models that take it. `tools` are function
    definitions as the wire has them.
    """

    model: str
    instructions: str = field(repr=False)
    voice: str = "marin"
    speed: float = 1.0
    transcription_model: str = "gpt-realtime-whisper"
    language: str | None = None
    silence_ms: int = 500
    threshold: float = 0.5
    noise_reduction: str | None = "near_field"
    reasoning_effort: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()


def takes_reasoning_effort(model: str) -> bool:
    """Whether `reasoning.effort` may be sent: to others it is an error that spoils the whole update."""
    return _REASONING_MODEL.match(model) is not None


def append_audio(audio: str) -> str:
    """One `input_audio_buffer.append`. `audio` is base64 text that has been checked: it is not escaped here."""
    return '{"type":"input_audio_buffer.append","audio":"' + audio + '"}'


def session_update(config: RealtimeConfig, event_id: str = "vt_session") -> str:
    """The one `session.update` of a session: the server transcribes and interrupts, and never answers by itself."""
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": config.instructions,
        "audio": {"input": _ears(config), "output": _voice(config)},
        "tools": list(config.tools),
        "tool_choice": "auto",
    }
    if config.reasoning_effort and takes_reasoning_effort(config.model):
        session["reasoning"] = {"effort": config.reasoning_effort}
    return _encode({"type": "session.update", "event_id": event_id, "session": session})


def _ears(config: RealtimeConfig) -> dict[str, Any]:
    transcription = {"model": config.transcription_model}
    if config.language:
        transcription["language"] = config.language
    return {
        "format": PCM_24K,
        "noise_reduction": {"type": config.noise_reduction} if config.noise_reduction else None,
        "transcription": transcription,
        "turn_detection": {
            "type": "server_vad",
            "threshold": config.threshold,
            "prefix_padding_ms": PREFIX_PADDING_MS,
            "silence_duration_ms": config.silence_ms,
            "create_response": False,
            "interrupt_response": True,
        },
    }


def _voice(config: RealtimeConfig) -> dict[str, Any]:
    return {"format": PCM_24K, "voice": config.voice, "speed": config.speed}


def write_command(command: commands.UpstreamCommand) -> str:
    """One frame that does what `command` says."""
    return _encode({"event_id": command.event_id, **_body(command)})


def _body(command: commands.UpstreamCommand) -> dict[str, Any]:
    match command:
        case commands.CreateContextItem(item_id=item_id, previous_item_id=previous, text=text):
            return _create_item(_message(item_id, "system", text), previous)
        case commands.CreateUserItem(item_id=item_id, text=text):
            return _create_item(_message(item_id, "user", text))
        case commands.CreateAssistantItem(item_id=item_id, text=text):
            return _create_item(_message(item_id, "assistant", text, "output_text"))
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
        case commands.TruncateItem(item_id=item_id, audio_end_ms=heard_ms):
            where = {"item_id": item_id, "content_index": 0, "audio_end_ms": heard_ms}
            return {"type": "conversation.item.truncate", **where}
        case commands.DeleteItem(item_id=item_id):
            return {"type": "conversation.item.delete", "item_id": item_id}
        case commands.ChangeSpeed(speed=speed):
            return {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"speed": speed}}}}
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
    """A client's response with our tag, unless its metadata is full."""
    theirs = body.get("metadata")
    both = {**theirs, **metadata} if isinstance(theirs, dict) else dict(metadata)
    return {**body, "metadata": theirs if len(both) > METADATA_PAIRS_MAX else both}


def _encode(event: dict[str, Any]) -> str:
    return msgspec.json.encode(event).decode()


COMMIT_MS_MIN = 100.0
"""A commit by hand of less sound than that is an error (`input_audio_buffer_commit_empty`)."""

# By OpenAI's guide to Realtime transcription these say nothing before the commit.
_COMMIT_FIRST = re.compile(r"(whisper-1|gpt-transcribe|gpt-4o(-mini)?-transcribe)(-|$)")


def never_streams(model: str) -> bool:
    """Whether the transcription model is known to say nothing while somebody speaks."""
    return _COMMIT_FIRST.match(model) is not None


def transcription_update(config: RealtimeConfig, event_id: str) -> str:
    """The one `session.update` of a session that only transcribes, with the same ears as `config`'s conversation."""
    transcription = {"model": config.transcription_model}
    if config.language:
        transcription["language"] = config.language
    heard: dict[str, Any] = {
        "format": PCM_24K,
        "noise_reduction": {"type": config.noise_reduction} if config.noise_reduction else None,
        "transcription": transcription,
        "turn_detection": None,
    }
    session = {"type": "transcription", "audio": {"input": heard}}
    return _encode({"type": "session.update", "event_id": event_id, "session": session})


def commit_audio(event_id: str) -> str:
    """What was appended is an utterance, and the next sound begins another."""
    return _encode({"type": "input_audio_buffer.commit", "event_id": event_id})


def clear_audio(event_id: str) -> str:
    """What was appended and not committed was nothing."""
    return _encode({"type": "input_audio_buffer.clear", "event_id": event_id})
