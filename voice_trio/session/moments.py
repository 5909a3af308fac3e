"""Two moments of a turn that no decision needs and every chart wants: when it was heard, and when it fell silent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voice_trio.conversation import events as on

if TYPE_CHECKING:
    from voice_trio.conversation.events import Event
    from voice_trio.conversation.records import TurnRecord


class Moments:
    """Sees what the session is told, and completes the records of its turns."""

    def __init__(self) -> None:
        self._answers_sent_at: float | None = None
        self._playback_started: float | None = None
        self._flush: tuple[float, float] | None = None

    def saw(self, event: Event, now: float) -> None:
        """The first position that a client reports of an answer tells when it began to play."""
        match event:
            case on.AudioSent():
                if self._answers_sent_at is None:
                    self._answers_sent_at = now
            case on.PlaybackPosition() if self._playback_started is None and self._answers_sent_at is not None:
                if event.played_ms > 0:  # not before the first of it was sent, whatever a client says
                    self._playback_started = max(self._answers_sent_at, now - event.played_ms / 1000)
            case _:
                pass

    def flushed(self, queued_at: float, now: float) -> None:
        """The word to fall silent was queued, and now it is sent."""
        self._flush = (queued_at, now)

    def complete(self, record: TurnRecord) -> TurnRecord:
        """The record with its moments; the next turn begins without any."""
        queued, sent = self._flush or (None, None)
        stages = replace(record.stages, playback_started=self._playback_started, flush_queued=queued, flush_sent=sent)
        self._answers_sent_at = self._playback_started = self._flush = None
        return replace(record, stages=stages)
