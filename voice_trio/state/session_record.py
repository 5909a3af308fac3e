"""What is kept of a session for an hour, so that it can be resumed anywhere: words and figures, no sound, no token.

Knows nothing of where records are kept.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

RECORD_SECONDS = 3600.0
"""How long a record is kept after it was last written."""
RECORD_BYTES_MAX = 1024 * 1024
"""A longer record loses its oldest turns."""


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """One item of the conversation under the id it has upstream, so that it can be told to another model."""

    item_id: str
    text: str


class RecordedTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What the user said, and what the assistant said as far as it was heard."""

    said: tuple[Words, ...] = ()
    heard: tuple[Words, ...] = ()
    status: str = "completed"


Usage: TypeAlias = dict[str, int]
"""Tokens (or whatever a name says) in all, by name."""


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One session as it stood after `revision` writings. Times are Unix seconds, costs millionths of a US dollar."""

    session_id: str
    user_id: str
    instance: str
    """Who wrote it last."""
    started: float
    duration_seconds: float
    """How long it may be connected in all."""
    connected_seconds: float = 0.0
    """How long it was connected up to this writing, all connections together."""
    language: str | None = None
    voice: str | None = None
    turns: tuple[RecordedTurn, ...] = ()
    usage: Usage = msgspec.field(default_factory=dict)
    cost_micro_usd: int = 0
    end_reason: str | None = None
    """None while it goes on."""
    resumable: bool = True
    """False after `session.end`, the cap, a budget: nobody may take it up again."""
    revision: int = 0
    """A writing with a lower or equal revision than what is stored is ignored: two instances may know the session."""

    @property
    def seconds_left(self) -> float:
        """For how long it may still be connected."""
        return max(0.0, self.duration_seconds - self.connected_seconds)

    def without_words(self) -> SessionRecord:
        """The same session with nothing of what was said."""
        return msgspec.structs.replace(self, turns=())


def encode_record(record: SessionRecord) -> bytes:
    """JSON of at most about `RECORD_BYTES_MAX` bytes; the oldest turns go first."""
    data = msgspec.json.encode(record)
    while len(data) > RECORD_BYTES_MAX and record.turns:
        record = msgspec.structs.replace(record, turns=record.turns[len(record.turns) // 4 + 1 :])
        data = msgspec.json.encode(record)
    return data


def decode_record(data: bytes) -> SessionRecord | None:
    """The record, or None for what is not one (a later version's, say)."""
    try:
        return msgspec.json.decode(data, type=SessionRecord)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
