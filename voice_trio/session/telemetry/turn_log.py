"""A turn as one line of the log: figures only, nothing of what was said."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voice_trio.billing.prices import Cost
    from voice_trio.conversation.turn.record import SearchRecord, TurnRecord, TurnTimestamps

SEARCHES_MAX = 32
"""Of one line: a turn that is gone on with again and again keeps its first ones."""


def turn_fields(record: TurnRecord, cost: Cost) -> dict[str, Any]:
    """What the line says; stages in ms after the turn's first one."""
    return {
        "turn": record.turn_id,
        "status": record.status,
        "typed": record.typed,
        "retrieval": record.outcome.value if record.outcome else None,
        "stale": record.stale,
        "waited_ms": record.waited_ms,
        "queries": record.queries,
        "passages": len(record.passages),
        "heard_ms": record.heard_ms,
        "received_ms": record.received_ms,
        "cost_usd": float(cost.usd),
        "stages_ms": stages_in_ms(record.stages),
        "searches": searches_in_ms(record),
    }


def stages_in_ms(stages: TurnTimestamps) -> dict[str, int]:
    """By name, those that came, counted from the earliest."""
    came, first = _came(stages), _first(stages)
    return {name: round((at - first) * 1000) for name, at in came.items()}


def searches_in_ms(record: TurnRecord) -> list[dict[str, Any]]:
    """In order, on the same clock as the stages; asked before it (negative) in a turn that was joined to this one."""
    first = _first(record.stages)
    return [_search(search, first) for search in record.searches[:SEARCHES_MAX]]


def _search(search: SearchRecord, first: float) -> dict[str, Any]:
    return {
        "at_ms": round((search.at - first) * 1000),
        "took_ms": None if search.took is None else round(search.took * 1000, 1),
        "outcome": search.outcome,
        "local": search.local,
    }


def _came(stages: TurnTimestamps) -> dict[str, float]:
    return {field.name: at for field in fields(stages) if (at := getattr(stages, field.name)) is not None}


def _first(stages: TurnTimestamps) -> float:
    return min(_came(stages).values(), default=0.0)
