"""Completes the record of each turn with what no decision needs: its searches, its playback and its flush."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, assert_never

from voice_trio.conversation import commands, events
from voice_trio.conversation.turn.record import SearchRecord
from voice_trio.session.observers import FlushQueued, FlushSent, Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.session.summary import Summary

    ObservedEvent = events.PlaybackPosition | events.SearchFinished | events.SearchFailed | FlushQueued | FlushSent


class TurnRecorder(Observer):
    """Gives each record to the `on_turn` of `reports` when it is complete; before, without flush stages, to `on_over`.

    A turn that was interrupted can be over before its flush has been written to the client. Its record waits for that,
    but only until the next turn or the session is over: a client that stalls must not delay it further.
    """

    event_types: ClassVar = (
        events.PlaybackPosition,
        events.SearchFinished,
        events.SearchFailed,
        FlushQueued,
        FlushSent,
    )
    command_types: ClassVar = (commands.StartSearch, commands.ReportTurn)

    def __init__(
        self,
        summary: Summary,
        reports: Sequence[Observer],
        on_over: Callable[[TurnRecord], None] | None = None,
    ) -> None:
        self._summary = summary
        self._reports = [report.on_turn for report in reports if type(report).on_turn is not Observer.on_turn]
        self._on_over = on_over
        self._searches: dict[int, tuple[int, SearchRecord]] = {}  # by search id, with the id of the turn
        self._audio_sent_at: float | None = None
        self._playback_started: float | None = None
        self._flush: tuple[float, float] | None = None
        self._flush_is_queued = False
        self._waiting: TurnRecord | None = None

    def on_event(self, event: ObservedEvent, now: float) -> None:
        match event:
            case events.PlaybackPosition(played_ms=played_ms):
                self._note_position(played_ms, now)
            case events.SearchFinished(search_id, passages):
                self._finish_search(search_id, "found" if passages else "nothing", now)
            case events.SearchFailed(search_id):
                self._finish_search(search_id, "failed", now)
            case FlushQueued():
                self._flush_is_queued = True
            case FlushSent(queued_at):
                self._note_flush(queued_at, now)
            case _:
                assert_never(event)

    def on_audio_sent(self, now: float) -> None:
        if self._audio_sent_at is None:
            self._audio_sent_at = now

    def on_command(self, command: commands.StartSearch | commands.ReportTurn, now: float) -> None:
        match command:
            case commands.StartSearch(turn_id, search_id):
                self._searches[search_id] = (turn_id, SearchRecord(now, None, "unfinished", command.local))
            case commands.ReportTurn(record):
                self._end_turn(replace(record, transcription_fallback=self._summary.transcription_fallback))
            case _:
                assert_never(command)

    def session_closing(self, now: float) -> None:
        self._publish_waiting()

    def _note_position(self, played_ms: float, now: float) -> None:
        """The first position that a client reports of a response tells when it began to play."""
        if self._playback_started is None and self._audio_sent_at is not None and played_ms > 0:
            # Whatever the client reports, nothing was played before it was sent.
            self._playback_started = max(self._audio_sent_at, now - played_ms / 1000)

    def _note_flush(self, queued_at: float, now: float) -> None:
        if self._waiting is not None:
            self._publish_waiting(queued_at, now)
        elif self._flush_is_queued:
            self._flush = (queued_at, now)
        self._flush_is_queued = False

    # Which turn a flush belongs to. A barge-in queues the flush, and then ends the turn, in one go; the writer sends
    # the flush later. So when a turn ends with a flush queued, the flush is that turn's, and its record waits. A flush
    # that has been sent before its turn ends is kept for that record. If the next turn ends first, the client is
    # stalled: the waiting record is published without its flush, and the late flush is counted for no turn.

    def _end_turn(self, record: TurnRecord) -> None:
        if record.status == "joined":  # its searches and stages are those of the next turn
            if self._on_over is not None:
                self._on_over(record)
            self._publish(record)
            return
        queued, sent = self._flush or (None, None)
        stages = replace(record.stages, playback_started=self._playback_started, flush_queued=queued, flush_sent=sent)
        self._audio_sent_at = self._playback_started = self._flush = None
        record = replace(record, stages=stages, searches=self._take_searches(record.turn_id))
        if self._on_over is not None:
            self._on_over(record)
        if self._waiting is not None:
            self._publish_waiting()
            self._flush_is_queued = False  # that flush was of the turn before
        if self._flush_is_queued:
            self._waiting = record
        else:
            self._publish(record)

    def _publish(self, record: TurnRecord) -> None:
        for report in self._reports:
            report(record)

    def _publish_waiting(self, queued_at: float | None = None, sent_at: float | None = None) -> None:
        if self._waiting is not None:
            stages = replace(self._waiting.stages, flush_queued=queued_at, flush_sent=sent_at)
            record, self._waiting = replace(self._waiting, stages=stages), None
            self._publish(record)

    def _finish_search(self, search_id: int, outcome: str, now: float) -> None:
        if search_id in self._searches:
            turn_id, search = self._searches[search_id]
            self._searches[search_id] = (turn_id, replace(search, took=now - search.at, outcome=outcome))

    def _take_searches(self, turn_id: int) -> tuple[SearchRecord, ...]:
        """The searches of the turn and of turns before it.

        An interrupted turn is reported when the next one may have begun to search, so each search names its turn.
        """
        over = [search_id for search_id, (asked_in, _) in self._searches.items() if asked_in <= turn_id]
        return tuple(self._searches.pop(search_id)[1] for search_id in over)
