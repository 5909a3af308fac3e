"""Truncates or deletes interrupted responses in the upstream, unless the client has done so already (I6).

One truncation an item. Ours waits until the user's turn is committed, because clients send their own, and theirs knows
better what was heard. The first one counts; a later one of the client's is acknowledged to it, and goes no further.
Pure; it knows items and milliseconds, neither turns nor responses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachetools import FIFOCache

from voice_trio.conversation import commands
from voice_trio.conversation.turn.truncation import send_truncation, truncation_end_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.passthrough.requests import ItemTruncateRequested
    from voice_trio.conversation.turn.playback import Heard

ITEMS_REMEMBERED_MAX = 256
"""Clients truncate what they played last; older items are of no interest."""


@dataclass(slots=True)
class _Received:
    """How much sound of an item has come."""

    item_id: str
    ms: float = 0.0


class PassthroughTruncation:
    """`received` grows with every response; `interrupted` items wait for `settle`."""

    def __init__(self, out: Outbound) -> None:
        self._out = out
        self._received: FIFOCache[str, _Received] = FIFOCache(ITEMS_REMEMBERED_MAX)
        self._latest = _Received("")
        self._pending: dict[str, float] = {}  # item → heard ms
        # Items truncated and items deleted by us → whether the acknowledgement is to be hidden.
        self._truncated: FIFOCache[str, bool] = FIFOCache(ITEMS_REMEMBERED_MAX)
        self._deleted: FIFOCache[str, bool] = FIFOCache(ITEMS_REMEMBERED_MAX)

    def receive(self, item_id: str, duration_ms: float, *, is_heard: bool) -> None:
        """Sound of an item came from the upstream; `is_heard` unless it comes after the interruption."""
        if item_id != self._latest.item_id:
            self._latest = self._received.setdefault(item_id, _Received(item_id))
        self._latest.ms += duration_ms
        if not is_heard and item_id not in self._truncated:
            self._pending.setdefault(item_id, 0.0)

    def interrupted(self, heard: Iterable[Heard]) -> None:
        """What is playing stops here; by the clock, so much of it was heard."""
        for item in heard:
            if item.item_id not in self._truncated:
                self._pending[item.item_id] = item.heard_ms

    def settle(self) -> None:
        """Truncate or delete each pending item, once."""
        pending, self._pending = self._pending, {}
        for item_id, heard_ms in pending.items():
            end_ms = truncation_end_ms(heard_ms, self._received_ms(item_id) or 0.0)
            if end_ms is not None:
                (self._truncated if end_ms else self._deleted)[item_id] = True
                send_truncation(self._out, item_id, end_ms)

    def truncated_by_client(self, event: ItemTruncateRequested) -> None:
        """The client's own position in an item: passed on if it is the first, else only acknowledged."""
        if event.item_id in self._truncated or event.item_id in self._deleted:
            self._out.to_client(commands.TruncateAck(event.item_id, event.content_index, event.audio_end_ms))
            return
        self._pending.pop(event.item_id, None)
        end_ms = event.audio_end_ms
        if (received_ms := self._received_ms(event.item_id)) is not None:
            end_ms = min(end_ms, int(received_ms))  # more would be an error: clients' clocks run a little ahead
            self._truncated[event.item_id] = False
        place = {"item_id": event.item_id, "content_index": event.content_index, "audio_end_ms": end_ms}
        body = {"type": "conversation.item.truncate", **place}
        self._out.to_upstream(commands.ForwardClientEvent(self._out.new_id("p"), body, event.event_id, overtakes=True))

    def is_deleted(self, item_id: str) -> bool:
        """Whether the upstream was made to forget an item that the client still knows."""
        return item_id in self._deleted

    def hides_truncation(self, item_id: str) -> bool:
        """Whether the acknowledgement is for a truncation of ours; true only once for each."""
        return _take(self._truncated, item_id)

    def hides_deletion(self, item_id: str) -> bool:
        """Whether the acknowledgement is for a deletion of ours; true only once for each."""
        return _take(self._deleted, item_id)

    def _received_ms(self, item_id: str) -> float | None:
        received = self._received.get(item_id)
        return None if received is None else received.ms


def _take(items: FIFOCache[str, bool], item_id: str) -> bool:
    is_hidden = items.get(item_id, False)
    if is_hidden:
        items[item_id] = False
    return is_hidden
