"""A turn as spans of time, for Sentry and OpenTelemetry."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from voice_trio.conversation.turn import timeline

if TYPE_CHECKING:
    from voice_trio.conversation.turn.record import TurnRecord

MOMENTS = ("committed", "asked", "response_created", "first_audio_out", "playback_started", "interrupted", "flush_sent")
"""Timestamps that become events of the trace."""


@dataclass(frozen=True, slots=True)
class TurnSpans:
    """The spans of one turn; times are Unix seconds."""

    begins: float
    ends: float
    parts: tuple[tuple[str, float, float], ...]
    moments: tuple[tuple[str, float], ...]


def spans_of(record: TurnRecord) -> TurnSpans | None:
    """The spans of a turn; None if it was merged into the next one or has fewer than two timestamps.

    The timestamps of `record` are of Trio's clock.
    """
    offset = time.time() - trio.current_time()
    stages = timeline.reached(record.stages)
    own = [at for name, at in stages.items() if name not in timeline.FLUSH_STAGES]
    if record.status == "joined" or len(own) < 2:
        return None
    intervals = timeline.intervals(record.stages, timeline.SPANS)
    parts = [(name, begin + offset, end + offset) for name, (begin, end) in intervals.items()]
    moments = [(name, stages[name] + offset) for name in MOMENTS if name in stages]
    return TurnSpans(min(own) + offset, max(own) + offset, tuple(parts), tuple(moments))
