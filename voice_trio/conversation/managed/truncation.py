"""What an interruption leaves behind, until the upstream has been told of it (I6). One interruption at a time.

    interruption ─► flush to the client ─► its position, at most 300 ms (where it reports any; else the clock's)
                                      └──► response.done: no more sound of the response will come
                     both ─► truncate or delete each item, give each function call an output, report the turn

A `response.create` does not wait for this: it settles with the best knowledge there is by then. It knows what was
playing and what was heard of it; it does not know how a response is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.response import ResponseState
from voice_trio.conversation.turn.playback import Heard
from voice_trio.conversation.turn.truncation import send_truncation, truncation_end_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voice_trio.conversation.managed.responses import ManagedResponse
    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.playback import Playback
    from voice_trio.conversation.turn.turn import Turn

INTERRUPTED_OUTPUT = '{"error":"interrupted by the user"}'


@dataclass(slots=True)
class _HeardItem:
    heard_ms: float
    received_ms: float
    sent_ms: float


@dataclass(slots=True)
class HeardPosition:
    """The interrupted response's items, until the response is done and the heard position is known."""

    id: int
    response: ManagedResponse
    is_known: bool
    calls: Mapping[str, str | None]
    """Function calls of the response with their outputs: the upstream expects one for each."""
    _items: dict[str, _HeardItem]

    def receive(self, item_id: str, duration_ms: float = 0.0) -> None:
        """Sound that came after the interruption: not heard, but part of the item."""
        self._items.setdefault(item_id, _HeardItem(0.0, 0.0, 0.0)).received_ms += duration_ms

    def report(self, item_id: str, played_ms: float, *, final: bool) -> bool:
        """The client's position, never beyond what was sent; false if the item is none of these."""
        if item_id not in self._items:
            return False
        before = True
        for known_id, item in self._items.items():
            if known_id == item_id:
                item.heard_ms = min(max(played_ms, 0.0), item.sent_ms)
                before = False
            else:
                item.heard_ms = item.sent_ms if before else 0.0
        self.is_known = self.is_known or final
        return True

    @property
    def is_final(self) -> bool:
        return self.is_known and self.response.state is ResponseState.DONE

    def heard(self) -> list[Heard]:
        """What was heard of each item, by the best knowledge there is."""
        return [Heard(item_id, item.heard_ms, item.sent_ms, item.received_ms) for item_id, item in self._items.items()]


class ManagedTruncation:
    """Flushes the client, waits for its position and for the response's end, and truncates what was not heard."""

    def __init__(
        self, policy: Policy, out: Outbound, playback: Playback, report: Callable[[Turn, str, Sequence[Heard]], None]
    ) -> None:
        self._policy = policy
        self._out = out
        self._playback = playback
        self._report = report
        self._count = 0
        self._items_of_lost: set[str] = set()  # sound of a lost upstream: the present one knows only their words
        self.pending: HeardPosition | None = None

    def begin_response(self) -> None:
        """Items from here on are the present upstream's own, whatever ids it gives them."""
        self._items_of_lost.clear()

    def begin(self, response: ManagedResponse, now: float, *, client_knows: bool) -> None:
        """The response is interrupted; `client_knows`: the client has just reported its position."""
        if self.pending is not None:
            self.settle()
        playback = self._playback
        items: dict[str, _HeardItem] = {}
        stopped_at: Heard | None = None  # the first item, or the last one of which something was heard
        is_flushed = False
        for item in playback.heard(now):
            items[item.item_id] = _HeardItem(item.heard_ms, item.received_ms, item.sent_ms)
            is_flushed = is_flushed or item.received_ms > 0
            stopped_at = item if stopped_at is None or item.heard_ms > 0 else stopped_at
        playback.clear()
        client_reports = is_flushed and playback.client_reports and not client_knows
        self._count += 1
        self.pending = HeardPosition(self._count, response, not client_reports, dict(response.calls), items)
        if is_flushed and stopped_at is not None:
            flush = commands.PlaybackFlush(stopped_at.item_id, int(stopped_at.heard_ms))
            self._out.issued.append(commands.SendToClient(flush))
        if client_reports:
            timer = events.PositionOverdue(self._count)
            self._out.issued.append(commands.ScheduleEvent(now + self._policy.position_seconds_max, timer))

    def receive(self, item_id: str, duration_ms: float = 0.0) -> None:
        """An interrupted response goes on for a while."""
        if self.pending is not None:
            self.pending.receive(item_id, duration_ms)

    def position(self, event: events.PlaybackPosition, now: float) -> None:
        """The client's position, in what was flushed or in what goes on."""
        if self.pending is None or not self.pending.report(event.item_id, event.played_ms, final=event.flushed):
            self._playback.report(event.item_id, event.played_ms, now)

    def position_overdue(self, truncation_id: int) -> None:
        """The client had its time: the clock decides."""
        if self.pending is not None and self.pending.id == truncation_id:
            self.pending.is_known = True

    def settle(self) -> None:
        """Tell the upstream what was heard, by the best knowledge there is now."""
        position, self.pending = self.pending, None
        if position is None:
            return
        heard, turn = position.heard(), position.response.turn
        self._truncate(turn, heard)
        self._items_of_lost.clear()
        for call_id, output in position.calls.items():
            self._out.to_upstream(
                commands.CreateFunctionOutput(self._out.new_id("f"), call_id, output or INTERRUPTED_OUTPUT)
            )
        self._report(turn, "cancelled", heard)

    def upstream_lost(self) -> None:
        """Nothing is left to truncate; the next upstream will not know the sound of these items."""
        self._items_of_lost = set(self._playback)
        position, self.pending = self.pending, None
        if position is not None:
            self._report(position.response.turn, "cancelled", position.heard())

    def _truncate(self, turn: Turn, heard: list[Heard]) -> None:
        heard_words = dict(turn.heard_items(heard))
        for item in heard:
            end_ms = truncation_end_ms(item.heard_ms, item.received_ms)
            if end_ms is None:
                continue
            if item.item_id not in self._items_of_lost:
                send_truncation(self._out, item.item_id, end_ms)
            elif turn.response_texts.get(item.item_id):  # this upstream has all its words, but only these were heard
                send_truncation(self._out, item.item_id, 0)
                if words := heard_words.get(item.item_id):
                    self._out.to_upstream(commands.CreateAssistantItem(self._out.new_id("h"), item.item_id, words))
