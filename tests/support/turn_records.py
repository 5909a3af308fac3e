"""Records of finished turns, for tests of what observes them."""

from __future__ import annotations

from voice_trio.conversation.turn.record import TurnRecord


def turn(status: str = "completed", number: int = 1) -> TurnRecord:
    return TurnRecord(
        turn_id=number,
        typed=False,
        said="hello",
        answer="hello to you",
        status=status,
        outcome=None,
        stale=False,
        waited_ms=0,
        queries=0,
        passages=(),
        heard_ms=900,
        received_ms=900,
        said_items=((f"u{number}", "hello"),),
        heard_items=((f"a{number}", "hello to"),),
    )
