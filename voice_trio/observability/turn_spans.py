"""A turn as spans of time, for whatever collects traces: which stages each lies between."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from voice_trio.conversation.turn.record import TurnRecord, TurnTimestamps

SPANS = (
    ("speech", "speech_started", "speech_stopped"),
    ("first word", "speech_started", "first_word"),
    ("silence", "speech_stopped", "committed"),
    ("wait for documents", "committed", "context_settled"),
    ("model thinks", "asked", "first_audio_in"),
    ("to the client", "first_audio_in", "first_audio_out"),
    ("answer", "first_audio_in", "response_done"),
)
MOMENTS = ("committed", "asked", "response_created", "first_audio_out", "playback_started", "interrupted", "flush_sent")
"""Worth a mark of their own."""
_NOT_OF_THE_TURN = frozenset({"flush_queued", "flush_sent"})  # it may be the answer before that was silenced


@dataclass(frozen=True, slots=True)
class TurnSpans:
    """Times in Unix seconds."""

    begins: float
    ends: float
    parts: tuple[tuple[str, float, float], ...]
    moments: tuple[tuple[str, float], ...]


def spans_of(record: TurnRecord) -> TurnSpans | None:
    """None for a turn that goes on as the next one, or of which too little is known. Stages are on Trio's clock."""
    stages, offset = record.stages, time.time() - trio.current_time()
    came = [at for name, at in _stages_that_came(stages).items() if name not in _NOT_OF_THE_TURN]
    if record.status == "joined" or len(came) < 2:
        return None
    parts = []
    for name, first, last in SPANS:
        begins, ends = getattr(stages, first), getattr(stages, last)
        if begins is not None and ends is not None:
            parts.append((name, begins + offset, max(begins, ends) + offset))
    moments = [(name, at + offset) for name in MOMENTS if (at := getattr(stages, name)) is not None]
    return TurnSpans(min(came) + offset, max(came) + offset, tuple(parts), tuple(moments))


def _stages_that_came(stages: TurnTimestamps) -> dict[str, float]:
    return {field.name: at for field in fields(stages) if (at := getattr(stages, field.name)) is not None}
