"""What the scripted GPT-Live server refuses, and how: the API's rules about the commands of clients. Pure.

Sources: `types/live` of openai-python (which fields there are), OpenAI's guide to live sessions (the bounds), recorded
traffic (that unknown fields and 501 tokens are refused).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT_TOKENS_MAX = 500
INSTRUCTIONS_TOKENS_MAX = 16_384
INPUT_ITEMS_MAX = 128
INPUT_TOKENS_MAX = 8_192
TOKENS_PER_ITEM = 4

MODELS = ("gpt-live-1", "gpt-live-1.1")
VOICES = frozenset(
    {
        *("alloy", "ash", "ballad", "beacon", "bossa", "cedar", "cinder", "coral", "delta", "echo", "gleam", "marin"),
        *("meridian", "quartz", "ripple", "sage", "shida", "shimmer", "stone", "tempo", "verse", "vesper", "willow"),
    }
)
APPENDS = ("session.instructions.append", "session.thinking.append", "session.commentary.append")
SUPPORTED = (
    *("session.start", "session.update", "session.close", *APPENDS),
    *("session.input_audio.append", "session.input_audio.mute", "session.input_audio.unmute"),
    *("response.create", "response.item.create", "decision.create", "decision.item.create", "decision.item.delete"),
)
BYTES_PER_MS = {"audio/pcm": 48.0, "audio/pcmu": 8.0, "audio/pcma": 8.0}

# The fields of each object; those of an object that is not listed here may be anything.
_FIELDS: Mapping[str, frozenset[str]] = {
    "session": frozenset(
        {"model", "instructions", "input", "audio", "delegation", "triggers", "store", "safety_identifier", "client"}
    ),
    "session.audio": frozenset({"format", "output"}),
    "session.audio.format": frozenset({"type", "rate"}),
    "session.audio.output": frozenset({"voice"}),
}
_FORK_FIELDS: Mapping[str, frozenset[str]] = {
    "session": frozenset({"audio", "delegation", "store"}),
    "session.audio": frozenset({"format"}),
    "session.audio.format": frozenset({"type", "rate"}),
}
_DELEGATION_FIELDS: Mapping[str, frozenset[str]] = {
    "client": frozenset({"type"}),
    "responses": frozenset({"type", "responses", "acknowledgement_delay_ms"}),
    "decisions": frozenset({"type", "decisions", "acknowledgement_delay_ms"}),
}
_ITEM_FIELDS = frozenset({"role", "content", "id", "status", "type"})
_PARTS = {"developer": ("input_text",), "user": ("input_text",), "assistant": ("output_text", "text")}
_TOKEN = re.compile(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]")
_LETTERS_PER_TOKEN, _DIGITS_PER_TOKEN = 6, 3


@dataclass(frozen=True, slots=True)
class CommandRefusal:
    """Why a command is refused."""

    code: str
    message: str
    param: str | None = None


def count_tokens(text: str) -> int:
    """About as many tokens as the API counts, rather too many: a long word is several, and so is each odd character."""
    return sum(_tokens_of(piece) for piece in _TOKEN.findall(text))


def _tokens_of(piece: str) -> int:
    if piece[0].isascii() and piece[0].isalnum():
        return -(-len(piece) // (_LETTERS_PER_TOKEN if piece[0].isalpha() else _DIGITS_PER_TOKEN))
    return 1


def refusal_of_start(session: object) -> CommandRefusal | None:
    """What is wrong with the settings of a new session."""
    if not isinstance(session, dict):
        return CommandRefusal("missing_required_parameter", "Missing required parameter: 'session'.", "session")
    return _unknown(session, "session", _FIELDS) or _bad_settings(session) or _bad_input(session.get("input", []))


def refusal_of_fork(session: object) -> CommandRefusal | None:
    """What is wrong with the settings of a fork, which has those of the session that it goes on with."""
    if not isinstance(session, dict):
        return CommandRefusal("missing_required_parameter", "Missing required parameter: 'session'.", "session")
    return _unknown(session, "session", _FORK_FIELDS)


def refusal_of_append(event: Mapping[str, Any], delegations: frozenset[str]) -> CommandRefusal | None:
    """What is wrong with an append; `delegations` are those that clients were asked to do."""
    unknown = event.keys() - {"type", "event_id", "content", "delegation_id"}
    content, delegation_id = event.get("content"), event.get("delegation_id")
    if unknown:
        return _unknown_parameter(min(unknown))
    if "delegation_id" not in event:
        return CommandRefusal(
            "missing_required_parameter", "Missing required parameter: 'delegation_id'.", "delegation_id"
        )
    if delegation_id is not None and delegation_id not in delegations:
        return CommandRefusal("invalid_value", f"No client delegation {delegation_id!r}.", "delegation_id")
    if not isinstance(content, str) or not content:
        return CommandRefusal(
            "invalid_type", "Invalid type for 'content': expected a string that is not empty.", "content"
        )
    if (tokens := count_tokens(content)) > CONTENT_TOKENS_MAX:
        return CommandRefusal(
            "string_above_max_length", f"'content' has {tokens} tokens; 500 are the limit.", "content"
        )
    return None


def _unknown(value: Mapping[str, Any], path: str, fields: Mapping[str, frozenset[str]]) -> CommandRefusal | None:
    for name, inner in value.items():
        if name not in fields[path]:
            return _unknown_parameter(f"{path}.{name}")
        if f"{path}.{name}" in fields and isinstance(inner, dict):
            refusal = _unknown(inner, f"{path}.{name}", fields)
            if refusal is not None:
                return refusal
    return None


def _unknown_parameter(name: str) -> CommandRefusal:
    return CommandRefusal("unknown_parameter", f"Unknown parameter: '{name}'.", name)


def _bad_settings(session: Mapping[str, Any]) -> CommandRefusal | None:
    audio, delegation = session.get("audio") or {}, session.get("delegation") or {"type": "client"}
    kind = str(delegation.get("type"))
    voice = (audio.get("output") or {}).get("voice", "marin")
    if session.get("model") not in MODELS:
        return CommandRefusal("invalid_model", f"Model {session.get('model')!r} is not supported.", "session.model")
    if count_tokens(session.get("instructions") or "") > INSTRUCTIONS_TOKENS_MAX:
        return CommandRefusal("string_above_max_length", "'session.instructions' is too long.", "session.instructions")
    if (audio.get("format") or {}).get("type", "audio/pcm") not in BYTES_PER_MS:
        return CommandRefusal(
            "invalid_value", "Invalid value: 'session.audio.format.type'.", "session.audio.format.type"
        )
    if isinstance(voice, str) and voice not in VOICES:
        return CommandRefusal("invalid_value", f"Invalid voice: {voice!r}.", "session.audio.output.voice")
    if kind not in _DELEGATION_FIELDS:
        return CommandRefusal("invalid_value", f"Invalid delegation: {kind!r}.", "session.delegation.type")
    if unknown := delegation.keys() - _DELEGATION_FIELDS[kind]:
        return _unknown_parameter(f"session.delegation.{min(unknown)}")
    return None


def _bad_input(items: object) -> CommandRefusal | None:
    if not isinstance(items, list) or not all(_is_item(item) for item in items):
        return CommandRefusal("invalid_value", "Each item needs a role and one text part.", "session.input")
    tokens = sum(count_tokens(item["content"][0]["text"]) + TOKENS_PER_ITEM for item in items)
    if len(items) > INPUT_ITEMS_MAX or tokens > INPUT_TOKENS_MAX:
        return CommandRefusal("array_above_max_length", "'session.input' is too long.", "session.input")
    return None


def _is_item(item: Any) -> bool:
    if not isinstance(item, dict) or not item.keys() <= _ITEM_FIELDS or item.get("role") not in _PARTS:
        return False
    parts = item.get("content")
    if not isinstance(parts, list) or len(parts) != 1 or not isinstance(parts[0], dict):
        return False
    (part,) = parts
    return part.keys() <= {"type", "text"} and part.get("type") in _PARTS[item["role"]] and bool(part.get("text"))
