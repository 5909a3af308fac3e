"""Turns and summaries as sessions report them, for tests of statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation.turn.record import Outcome, TurnRecord, TurnTimestamps
from voice_trio.session.summary import Summary

if TYPE_CHECKING:
    from voice_trio.session.endings import Ending


def turn_record(status: str = "completed", outcome: Outcome | None = Outcome.HIDDEN, **stages: float) -> TurnRecord:
    """A turn with these times, in seconds of the session's clock."""
    return TurnRecord(
        turn_id=1,
        typed=False,
        said="",
        answer="",
        status=status,
        outcome=outcome,
        stale=False,
        waited_ms=0,
        queries=0,
        passages=(),
        heard_ms=0,
        received_ms=0,
        stages=TurnTimestamps(**stages),
    )


def session_summary(ending: Ending, user: str = "u", *, ready: bool = True, fallback: bool = False) -> Summary:
    """The summary of a session with this ending."""
    summary = Summary("s", user, ending, was_ready=ready, transcription_fallback=fallback)
    summary.errors["bad_message"] = 2
    return summary
