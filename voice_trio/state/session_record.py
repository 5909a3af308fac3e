"""The record of a session, stored for an hour so that any instance can resume it: text and numbers, no audio, no token.

Knows nothing of where records are stored.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from voice_trio import limits

OPEN = "open"
"""The status of a turn that was not over when the record was written."""
LOST = "lost"
"""The status of a turn that was open when its instance was killed; it holds what was said and heard until then.

Also the end reason of a session whose instance was killed.
"""
_REVISIONS = 1_000_000
"""Of one connection at most; those of the next begin above, so that a connection that was replaced changes nothing."""


class RecordedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of the conversation with its upstream id, so that a resumed session can create it again upstream."""

    item_id: str
    text: str


class RecordedTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What the user said, and the part of the assistant's response that the user heard."""

    said: tuple[RecordedItem, ...] = ()
    heard: tuple[RecordedItem, ...] = ()
    status: str = "completed"


Usage: TypeAlias = dict[str, int]
"""Totals by name: tokens, or the unit that the name states."""


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One session as of `revision`. Times are Unix seconds, costs are millionths of a US dollar."""

    session_id: str
    user_id: str
    instance: str
    """The instance that wrote this revision."""
    started: float
    duration_seconds: float
    """How long the session may be connected, all connections together."""
    connected_seconds: float = 0.0
    """How long it was connected up to this revision, all connections together."""
    language: str | None = None
    voice: str | None = None
    turns: tuple[RecordedTurn, ...] = ()
    turn_count: int = 0
    """All turns, the one that is open included, and those for which `turns` has no room or which it may not hold."""
    usage: Usage = msgspec.field(default_factory=dict)
    cost_micro_usd: int = 0
    reserved_micro_usd: int = 0
    """What was expected to be billed beyond that for responses in progress; 0 once the session is over."""
    upstream_session_id: str = ""
    """The upstream's own id of the session, if it keeps it and another can go on with it."""
    end_reason: str | None = None
    """None while the session is open."""
    resumable: bool = True
    """False after `session.end`, the duration limit or a spent budget: the session cannot be resumed."""
    revision: int = 0
    """A store ignores a revision that is not higher than the stored one: two instances may write the same session.

    Millions count the connections: whatever the last one still writes is below the present one's.
    """

    @property
    def seconds_left(self) -> float:
        """Seconds for which it may still be connected."""
        return max(0.0, self.duration_seconds - self.connected_seconds)

    def taken_up(self) -> SessionRecord:
        """The record with which the next connection begins.

        After a kill a turn may be open, which will not be reported any more, and a reserve, for which no bill will
        come: it is counted as cost.
        """
        return msgspec.structs.replace(self._closed(), revision=(self.revision // _REVISIONS + 1) * _REVISIONS)

    def lost(self) -> SessionRecord:
        """The record of a session whose instance was killed, as another instance ends it; it can be resumed."""
        return msgspec.structs.replace(self._closed(), end_reason=LOST, revision=self.revision + 1)

    def _closed(self) -> SessionRecord:
        turns = tuple(
            msgspec.structs.replace(turn, status=LOST) if turn.status == OPEN else turn for turn in self.turns
        )
        cost = self.cost_micro_usd + self.reserved_micro_usd
        return msgspec.structs.replace(self, turns=turns, cost_micro_usd=cost, reserved_micro_usd=0)

    def without_text(self) -> SessionRecord:
        """The same record without any text of the conversation; of its turns only their number remains."""
        return msgspec.structs.replace(self, turns=())


def encode_record(record: SessionRecord) -> bytes:
    """Encode as JSON of at most about `limits.RECORD_BYTES_MAX` bytes; the oldest turns are dropped first."""
    data = msgspec.json.encode(record)
    while len(data) > limits.RECORD_BYTES_MAX and record.turns:
        record = msgspec.structs.replace(record, turns=record.turns[len(record.turns) // 4 + 1 :])
        data = msgspec.json.encode(record)
    return data


def decode_record(data: bytes) -> SessionRecord | None:
    """Decode a record; None if `data` is none, for example one of a later version."""
    try:
        return msgspec.json.decode(data, type=SessionRecord)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
