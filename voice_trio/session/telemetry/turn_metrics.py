"""A turn in figures, for clients that ask: its stages, its queries and its cost. Sees everything and decides nothing.

Of a query it keeps when and how it went, never its words.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.session_events import QueryMetrics, TurnMetrics
from voice_trio.conversation.turn.record import SearchRecord

if TYPE_CHECKING:
    from voice_trio.billing.prices import Cost
    from voice_trio.conversation.turn.record import TurnRecord, TurnTimestamps

_NOT_OF_THE_TURN = ("speech_started", "flush_queued", "flush_sent")  # its beginning, and another answer's end


class TurnMetricsBuilder:
    """Of the turn under way, with those of turns that were joined to it; `id_prefix` marks items clients never see."""

    def __init__(self, id_prefix: str) -> None:
        self._id_prefix = id_prefix
        self._searches: dict[int, tuple[int, SearchRecord]] = {}  # with their turns
        self._began: float | None = None

    def did(self, command: commands.Command, now: float) -> None:
        if isinstance(command, commands.StartSearch):
            search = SearchRecord(now, None, "unfinished", command.local)
            self._searches[command.search_id] = (command.turn_id, search)

    def saw(self, event: object, now: float) -> None:
        """Whatever the session is told."""
        match event:
            case events.SearchFinished(search_id, passages):
                self._finish(search_id, "found" if passages else "nothing", now)
            case events.SearchFailed(search_id):
                self._finish(search_id, "failed", now)
            case _:
                pass

    def take_searches(self, record: TurnRecord) -> tuple[SearchRecord, ...]:
        """Those of a turn that is over and of turns joined to it; none yet where it goes on as the next one.

        An interrupted turn is told of when the next has begun to ask: whose a search is, its turn says.
        """
        if record.status == "joined":
            return ()
        over = [search_id for search_id, (turn_id, _) in self._searches.items() if turn_id <= record.turn_id]
        return tuple(self._searches.pop(search_id)[1] for search_id in over)

    def complete(self, record: TurnRecord, cost: Cost, session_cost: Cost) -> TurnMetrics | None:
        """What a client is told of a turn that is over, its searches taken; `None` where it goes on as the next one."""
        stages = record.stages
        began = self._began if self._began is not None else _beginning(stages)
        if record.status == "joined":
            self._began = began
            return None
        self._began = None
        return TurnMetrics(
            turn=record.turn_id,
            status=record.status,
            user_items=tuple(item for item, _ in record.said_items if not item.startswith(self._id_prefix)),
            answer_items=tuple(item for item, _ in record.heard_items),
            stages_ms=_since(began, stages),
            queries=() if began is None else tuple(_told(search, began) for search in record.searches),
            cost_usd=float(cost.usd),
            session_cost_usd=float(session_cost.usd),
            cost_is_estimate=cost.is_estimate or session_cost.is_estimate,
        )

    def _finish(self, search_id: int, outcome: str, now: float) -> None:
        if search_id in self._searches:
            turn_id, search = self._searches[search_id]
            self._searches[search_id] = (turn_id, replace(search, took=now - search.at, outcome=outcome))


def _beginning(stages: TurnTimestamps) -> float | None:
    return stages.speech_started if stages.speech_started is not None else stages.committed


def _since(began: float | None, stages: TurnTimestamps) -> dict[str, int]:
    if began is None:
        return {}
    came = {field.name: getattr(stages, field.name) for field in fields(stages) if field.name not in _NOT_OF_THE_TURN}
    return {name: _ms(at - began) for name, at in came.items() if at is not None}


def _told(search: SearchRecord, began: float) -> QueryMetrics:
    took_ms = None if search.took is None else _ms(search.took)
    return QueryMetrics(_ms(search.at - began), took_ms, search.outcome, search.local)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
