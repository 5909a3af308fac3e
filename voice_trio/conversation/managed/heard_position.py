"""After an interruption: what the model must be told of each item, once it is known how much was heard (I6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio.conversation.turn.playback import Heard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voice_trio.conversation.turn.turn import Turn


@dataclass(slots=True)
class _Item:
    heard_ms: float
    received_ms: float
    sent_ms: float


@dataclass(frozen=True, slots=True)
class HeardPosition:
    """`heard_ms` > 0: truncate there; 0: the item was not heard at all, delete it."""

    item_id: str
    heard_ms: int


@dataclass(slots=True)
class PendingTruncation:
    """The interrupted answer's items, until the response is done and the heard position is known."""

    id: int
    turn: Turn
    position_known: bool
    response_open: bool
    calls: dict[str, str | None] = field(default_factory=dict)
    """Function calls of the answer with their outputs: the model is owed one for each."""
    _items: dict[str, _Item] = field(default_factory=dict)

    def add(self, heard: Iterable[Heard]) -> None:
        for item in heard:
            self._items[item.item_id] = _Item(item.heard_ms, item.received_ms, item.sent_ms)

    def receive(self, item_id: str, duration_ms: float = 0.0) -> None:
        """The model goes on for a while: nobody hears it, but it is part of the item."""
        self._items.setdefault(item_id, _Item(0.0, 0.0, 0.0)).received_ms += duration_ms

    def report(self, item_id: str, played_ms: float, *, final: bool) -> bool:
        """The client's own word on where it stopped, never beyond what was sent; false if the item is none of these."""
        if item_id not in self._items:
            return False
        before = True
        for known_id, item in self._items.items():
            if known_id == item_id:
                item.heard_ms = min(max(played_ms, 0.0), item.sent_ms)
                before = False
            else:
                item.heard_ms = item.sent_ms if before else 0.0
        self.position_known = self.position_known or final
        return True

    @property
    def is_due(self) -> bool:
        return self.position_known and not self.response_open

    def heard(self) -> list[Heard]:
        """What was heard of each item, by the best knowledge there is."""
        return [Heard(item_id, item.heard_ms, item.sent_ms, item.received_ms) for item_id, item in self._items.items()]

    def verdicts(self) -> Iterator[HeardPosition]:
        """At most one an item; an item heard to its end gets none."""
        for item_id, item in self._items.items():
            heard_ms = int(item.heard_ms)
            if heard_ms == 0 or heard_ms < int(item.received_ms):
                yield HeardPosition(item_id, heard_ms)
