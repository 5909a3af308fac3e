"""Two moments of a turn that no decision needs and every chart wants: when it was heard, and when it fell silent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voice_trio.conversation import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation.events import Event
    from voice_trio.conversation.turn.record import TurnRecord


class PlaybackTimestamps:
    """Sees what the session is told, and completes the records of its turns before they go to `publish`.

    A turn that was cut off may be over before the client has been sent the word to fall silent. Its record waits for
    that, and no longer than until the next turn or the session is over: a client that stalls must not cost it.
    """

    def __init__(self, publish: Callable[[TurnRecord], None]) -> None:
        self._publish = publish
        self._answers_sent_at: float | None = None
        self._playback_started: float | None = None
        self._flush: tuple[float, float] | None = None
        self._is_silencing = False
        self._waiting: TurnRecord | None = None

    def saw(self, event: Event, now: float) -> None:
        """The first position that a client reports of an answer tells when it began to play."""
        match event:
            case events.AudioSent():
                if self._answers_sent_at is None:
                    self._answers_sent_at = now
            case events.PlaybackPosition() if self._playback_started is None and self._answers_sent_at is not None:
                if event.played_ms > 0:  # not before the first of it was sent, whatever a client says
                    self._playback_started = max(self._answers_sent_at, now - event.played_ms / 1000)
            case _:
                pass

    def silencing(self) -> None:
        """The word to fall silent is queued."""
        self._is_silencing = True

    def flushed(self, queued_at: float, now: float) -> None:
        """The word to fall silent was queued then, and now it is sent."""
        if self._waiting is not None:
            self.close(queued_at, now)
        elif self._is_silencing:
            self._flush = (queued_at, now)
        self._is_silencing = False

    def complete(self, record: TurnRecord) -> TurnRecord:
        """The record with its moments so far; the next turn begins without any."""
        queued, sent = self._flush or (None, None)
        stages = replace(record.stages, playback_started=self._playback_started, flush_queued=queued, flush_sent=sent)
        self._answers_sent_at = self._playback_started = self._flush = None
        return replace(record, stages=stages)

    def hand_on(self, record: TurnRecord) -> None:
        """A completed record, or one of a turn that goes on as the next: its moments are that one's."""
        if record.status == "joined":
            self._publish(record)
            return
        if self._waiting is not None:
            self.close()
            self._is_silencing = False  # the word is too late for anybody
        if self._is_silencing:
            self._waiting = record
        else:
            self._publish(record)

    def close(self, queued_at: float | None = None, sent_at: float | None = None) -> None:
        """Whoever still waits waits no longer."""
        if self._waiting is not None:
            stages = replace(self._waiting.stages, flush_queued=queued_at, flush_sent=sent_at)
            record, self._waiting = replace(self._waiting, stages=stages), None
            self._publish(record)
