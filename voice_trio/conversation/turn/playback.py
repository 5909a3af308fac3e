"""How much of a response the user has heard, item by item. Knows nothing of turns, and has no clock of its own.

An item's audio passes three marks: *received* from the upstream, *forwarded* towards the client, *sent* on its socket.
What was heard is reckoned from what was sent: the client plays without a pause as long as it has something to play, so
one number, the moment at which all that was sent will have been played (`dry_at`), says how much is still unplayed.
A report of the client's corrects that moment; between two reports the same clock goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOCK_SLACK_SECONDS = 0.0005  # sums of floating-point durations are equal only to within this


@dataclass(slots=True)
class PlaybackItem:
    """One item of a response. All lengths in ms of audio, from the start of the item."""

    item_id: str
    received_ms: float = 0.0
    forwarded_ms: float = 0.0
    sent_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of an item: `heard_ms` of `sent_ms` on the client's socket, of `received_ms` from the upstream."""

    item_id: str
    heard_ms: float
    sent_ms: float
    received_ms: float


class Playback:
    """The items of the response that is being played, in order. Times in seconds, lengths in ms."""

    def __init__(self) -> None:
        self._items: dict[str, PlaybackItem] = {}
        self._dry_at = float("-inf")
        self.client_reports = False

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def open(self, item_id: str) -> None:
        """An item of the response begins, perhaps without sound."""
        if item_id not in self._items:
            self._items[item_id] = PlaybackItem(item_id)

    def forward(self, item_id: str, duration_ms: float) -> None:
        """Audio came from the upstream and was passed on towards the client."""
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = PlaybackItem(item_id)
        item.received_ms += duration_ms
        item.forwarded_ms += duration_ms

    def sent(self, item_id: str, duration_ms: float, now: float) -> None:
        """Audio left on the client's socket; from here on it can be heard."""
        item = self._items.get(item_id)
        if item is None:
            return
        item.sent_ms += duration_ms
        self._dry_at = max(self._dry_at, now) + duration_ms / 1000

    def report(self, item_id: str, played_ms: float, now: float) -> None:
        """The client says how far it is: whatever came before is played, whatever comes after is not."""
        self.client_reports = True
        if item_id not in self._items:
            return
        unplayed_ms, reached = 0.0, False
        for item in self._items.values():
            if reached:
                unplayed_ms += item.sent_ms
            elif item.item_id == item_id:
                reached = True
                unplayed_ms += item.sent_ms - min(max(played_ms, 0.0), item.sent_ms)
        self._dry_at = now + unplayed_ms / 1000

    def heard(self, now: float) -> list[Heard]:
        """What was heard of each item by now, in order of playing."""
        unplayed_ms = max(0.0, (self._dry_at - now) * 1000)
        result: list[Heard] = []
        for item in reversed(self._items.values()):
            missing_ms = min(unplayed_ms, item.sent_ms)
            unplayed_ms -= missing_ms
            result.append(Heard(item.item_id, item.sent_ms - missing_ms, item.sent_ms, item.received_ms))
        result.reverse()
        return result

    def is_playing(self, now: float) -> bool:
        """Whether something forwarded has not been heard to its end."""
        return self._dry_at - now > CLOCK_SLACK_SECONDS or self.unsent_ms > CLOCK_SLACK_SECONDS * 1000

    def dry_at(self, now: float) -> float:
        """When all that was forwarded will have been heard, if the rest is sent from now on."""
        return max(self._dry_at, now) + self.unsent_ms / 1000 if self._items else now

    @property
    def unsent_ms(self) -> float:
        """What was forwarded and has not left on the socket yet."""
        unsent_ms = 0.0
        for item in self._items.values():
            unsent_ms += item.forwarded_ms - item.sent_ms
        return unsent_ms

    def clear(self) -> None:
        """A new response begins, or the old one was flushed."""
        self._items.clear()
        self._dry_at = float("-inf")
