"""The turns of a record: those that are over, as far as there is room, with transcripts that came late."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from cachetools import FIFOCache

from voice_trio import limits
from voice_trio.conversation.turn.history import ITEMS_MAX
from voice_trio.state.session_record import RecordedItem, RecordedTurn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.state.session_record import SessionRecord

    Items: TypeAlias = tuple[tuple[str, str], ...]
    """(item id, text) each."""


class FinishedTurns:
    """Begins with those of `record`; beyond `limits.RECORD_BYTES_MAX` the oldest are dropped."""

    def __init__(self, record: SessionRecord) -> None:
        self.count = record.turn_count
        """With those for which there is no room."""
        self._turns = deque(record.turns)
        self._bytes = sum(map(_size, self._turns))
        self._transcripts: FIFOCache[str, str] = FIFOCache(ITEMS_MAX)

    def __iter__(self) -> Iterator[RecordedTurn]:
        return iter(self._turns)

    def add(self, record: TurnRecord) -> None:
        """A turn is over; a merged one goes on as the next."""
        if record.status == "joined":
            return
        self.count += 1
        self._turns.append(self.recorded(record.said_items, record.heard_items, record.status))
        self._bytes += _size(self._turns[-1])
        while self._bytes > limits.RECORD_BYTES_MAX and len(self._turns) > 1:
            self._bytes -= _size(self._turns.popleft())

    def correct(self, item_id: str, transcript: str) -> None:
        """The final transcript of a user item; it may come before its turn is over, or long after."""
        self._transcripts[item_id] = transcript
        for index, turn in enumerate(self._turns):
            if any(item.item_id == item_id for item in turn.said):
                said = tuple((item.item_id, item.text) for item in turn.said)
                self._turns[index] = msgspec.structs.replace(turn, said=self._words(said))

    def recorded(self, said: Items, heard: Items, status: str) -> RecordedTurn:
        """A turn of these items; those without words are left out."""
        return RecordedTurn(said=self._words(said), heard=self._words(heard), status=status)

    def _words(self, items: Items) -> tuple[RecordedItem, ...]:
        texts = ((item_id, self._transcripts.get(item_id, text).strip()) for item_id, text in items)
        return tuple(
            RecordedItem(item_id=item_id, text=text[: limits.RECORD_ITEM_CHARACTERS_MAX])
            for item_id, text in texts
            if text
        )


def _size(turn: RecordedTurn) -> int:
    """About the bytes of a turn in a record of ASCII text; `encode_record` counts exactly."""
    return sum(len(item.item_id) + len(item.text) + 32 for item in (*turn.said, *turn.heard))
