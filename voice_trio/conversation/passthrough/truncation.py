"""What the model must be told of answers that were interrupted, unless the client has told it already (I6).

One truncation an item. Ours waits until the user's turn is committed, because clients send their own, and theirs knows
better what was heard. Whichever comes first counts; one of the client's that comes later is acknowledged to it, and
goes no further. Pure; it knows items and milliseconds, neither turns nor responses.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from voice_trio.conversation import commands

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.passthrough.requests import ItemTruncateRequested
    from voice_trio.conversation.turn.playback import Heard

ITEMS_REMEMBERED_MAX = 256
"""Clients cut what they played last; older items are of no interest."""


class PassthroughTruncation:
    """`received` grows with every answer; `interrupted` items wait for `settle`."""

    def __init__(self, out: Outbound) -> None:
        self._out = out
        self._received_ms: OrderedDict[str, float] = OrderedDict()
        self._pending: dict[str, float] = {}  # item → heard ms
        self._cut: OrderedDict[str, bool] = OrderedDict()  # item → whether its acknowledgement is to be hidden
        self._forgotten: OrderedDict[str, bool] = OrderedDict()  # items we deleted; the same

    def receive(self, item_id: str, duration_ms: float, *, is_heard: bool) -> None:
        """Sound of an item came from the model; `is_heard` unless it comes after the interruption."""
        self._received_ms[item_id] = self._received_ms.get(item_id, 0.0) + duration_ms
        _bound(self._received_ms)
        if not is_heard and item_id not in self._cut:
            self._pending.setdefault(item_id, 0.0)

    def interrupted(self, heard: Iterable[Heard]) -> None:
        """What is playing stops here; by the clock, so much of it was heard."""
        for item in heard:
            if item.item_id not in self._cut:
                self._pending[item.item_id] = item.heard_ms

    def settle(self) -> None:
        """Tell the model, once for each item; an item heard to its end needs no word."""
        pending, self._pending = self._pending, {}
        for item_id, heard in pending.items():
            heard_ms = int(heard)
            if heard_ms == 0:
                self._remember(self._forgotten, item_id)
                self._out.to_model(commands.DeleteItem(self._out.new_id("d"), item_id))
            elif heard_ms < int(self._received_ms.get(item_id, 0.0)):
                self._remember(self._cut, item_id)
                self._out.to_model(commands.TruncateItem(self._out.new_id("t"), item_id, heard_ms))

    def cut_by_client(self, event: ItemTruncateRequested) -> None:
        """The client's own word on what was heard of an item: passed on if it is the first, else only acknowledged."""
        if event.item_id in self._cut or event.item_id in self._forgotten:
            self._out.to_client(commands.TruncateAck(event.item_id, event.content_index, event.audio_end_ms))
            return
        self._pending.pop(event.item_id, None)
        end_ms = event.audio_end_ms
        if (received_ms := self._received_ms.get(event.item_id)) is not None:
            end_ms = min(end_ms, int(received_ms))  # more would be an error: clients' clocks run a little ahead
            self._remember(self._cut, event.item_id, hidden=False)
        place = {"item_id": event.item_id, "content_index": event.content_index, "audio_end_ms": end_ms}
        body = {"type": "conversation.item.truncate", **place}
        self._out.to_model(commands.ForwardClientEvent(self._out.new_id("p"), body, event.event_id, overtakes=True))

    def is_forgotten(self, item_id: str) -> bool:
        """Whether the model was made to forget an item that the client still knows."""
        return item_id in self._forgotten

    def hides_truncation(self, item_id: str) -> bool:
        """Whether the acknowledgement is for a truncation of ours; asked once for each."""
        return _take(self._cut, item_id)

    def hides_deletion(self, item_id: str) -> bool:
        """Whether the acknowledgement is for a deletion of ours; asked once for each."""
        return _take(self._forgotten, item_id)

    @staticmethod
    def _remember(items: OrderedDict[str, bool], item_id: str, *, hidden: bool = True) -> None:
        items[item_id] = hidden
        _bound(items)


def _take(items: OrderedDict[str, bool], item_id: str) -> bool:
    is_hidden = items.get(item_id, False)
    if is_hidden:
        items[item_id] = False
    return is_hidden


def _bound(items: OrderedDict[str, float] | OrderedDict[str, bool]) -> None:
    if len(items) > ITEMS_REMEMBERED_MAX:
        items.popitem(last=False)
