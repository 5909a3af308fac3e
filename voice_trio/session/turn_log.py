"""A turn as one line of the log: figures only, nothing of what was said."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voice_trio.conversation.records import Stages, TurnRecord
    from voice_trio.services.prices import Cost


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
    }


def stages_in_ms(stages: Stages) -> dict[str, int]:
    """By name, those that came, counted from the earliest."""
    came = {field.name: at for field in fields(stages) if (at := getattr(stages, field.name)) is not None}
    first = min(came.values(), default=0.0)
    return {name: round((at - first) * 1000) for name, at in came.items()}
