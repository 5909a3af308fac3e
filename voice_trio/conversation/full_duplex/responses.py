"""What the assistant says, made into responses: its output is one stream of sound, and most of it is silence.

A response begins with the first word or the first loud piece of sound, and is over when it has been quiet for some
time. Clients get its sound, with the short pauses in it, and not the silence between responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.announced import AnnouncedResponses
from voice_trio.conversation.full_duplex.events import AnswerQuiet, OutputAudio
from voice_trio.conversation.turn.playback import CLOCK_SLACK_SECONDS, Playback

if TYPE_CHECKING:
    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.turn.turn import Turn

PAUSE_SECONDS_MAX = 0.4
"""Silence inside a response that clients get: the pauses between words. The output comes in real time, so what is left
out of a longer one is a pause for the listener as well."""
DROPPED_QUIET_MS = 200.0
DROPPED_SECONDS_MAX = 1.0
"""After a barge-in the output is dropped until it is quiet for 200 ms: the upstream stops in its own time. One that
speaks on for a second has decided to go on, and is heard again."""
QUIET_SECONDS = 1.2
"""After so long without a word and without loud sound a response is over; pauses between sentences are shorter."""


class FullDuplexResponses:
    """The response that is being said, if any, and the sound of the turn's responses as far as it was heard."""

    def __init__(self, out: Outbound) -> None:
        self._out = out
        self.announced = AnnouncedResponses(out)
        self.playback = Playback()
        self.turn: Turn | None = None
        """The turn of the open response, or of the last one."""
        self.response_id: str | None = None
        self._item_id = ""
        self._heard_at = 0.0  # when the last word or loud sound of the response came
        self._dropped_since: float | None = None
        self._dropped_quiet_ms = 0.0
        self.is_muted = False
        """Whether the assistant's output is dropped: the client interrupted, and the upstream goes on."""

    @property
    def is_open(self) -> bool:
        return self.response_id is not None

    def is_audible(self, now: float) -> bool:
        """Whether there is something to interrupt."""
        return self.is_open or self.playback.is_playing(now)

    @property
    def admits_words(self) -> bool:
        """Whether words are of a response that the client hears."""
        return not self.is_muted and self._dropped_since is None

    def admits_sound(self, event: OutputAudio, now: float) -> bool:
        """Whether a piece of output is none of a response that was interrupted (I5)."""
        if self._dropped_since is not None:
            self._dropped_quiet_ms = 0.0 if event.is_loud else self._dropped_quiet_ms + event.duration_ms
            is_over = (
                self._dropped_quiet_ms >= DROPPED_QUIET_MS
                or now - self._dropped_since > DROPPED_SECONDS_MAX + CLOCK_SLACK_SECONDS
            )
            if is_over:
                self._dropped_since = None
        return self.admits_words

    def begin(self, turn: Turn, now: float) -> None:
        """The assistant begins to speak."""
        if turn is not self.turn:
            self.playback.clear()
        self.turn = turn
        self.response_id, self._item_id = self._out.new_id("r"), self._out.new_id("a")
        self._heard_at = now
        self.announced.begin(events.ResponseCreated(self.response_id))
        self.playback.open(self._item_id)
        turn.response_texts[self._item_id] = ""
        self._expect_quiet()

    def say(self, delta: str, now: float) -> None:
        """Words of the open response."""
        assert self.response_id is not None
        assert self.turn is not None
        self._heard_at = now
        self.turn.response_texts[self._item_id] += delta
        self._out.to_client(events.ResponseTranscriptDelta(self.response_id, self._item_id, delta))

    def sound(self, event: OutputAudio, now: float) -> None:
        """A piece of output while a response is open: sent, unless it is silence that has lasted for long."""
        assert self.response_id is not None
        assert self.turn is not None
        if event.is_loud:
            self._heard_at = now
        elif now - self._heard_at > PAUSE_SECONDS_MAX + CLOCK_SLACK_SECONDS or not self.turn.response_forwarded:
            return
        self.turn.response_forwarded = True
        if self.turn.stages.first_audio_in is None:
            self.turn.stages.first_audio_in = now
        self.playback.forward(self._item_id, event.duration_ms)
        delta = events.ResponseAudioDelta(self.response_id, self._item_id, event.audio, event.duration_ms)
        self._out.issued.append(commands.SendToClient(delta))

    def quiet(self, event: AnswerQuiet, now: float) -> bool:
        """Whether the response is over; if it has only paused, look again later."""
        if event.response_id != self.response_id:
            return False
        if now - self._heard_at < QUIET_SECONDS - CLOCK_SLACK_SECONDS:
            self._expect_quiet()
            return False
        self._end("completed")
        return True

    def flush(self, now: float) -> bool:
        """The user cuts in: drop what the client has queued, and end the response; false if there is nothing."""
        if not self.is_audible(now):
            return False
        heard = self.playback.heard(now)
        current = next((item for item in reversed(heard) if item.sent_ms or item.received_ms), None)
        if current is not None and self.playback.is_playing(now):
            self._out.to_client(commands.PlaybackFlush(current.item_id, round(current.heard_ms)))
        if self.is_open:
            self._dropped_since, self._dropped_quiet_ms = now, 0.0
        self.cut("cancelled", "turn_detected")
        return True

    def cut(self, status: str, reason: str) -> None:
        """End the open response, if any, before its time."""
        if self.response_id is not None:
            self.announced.give_up(self.response_id, status, reason)
            self.response_id = None

    def _end(self, status: str) -> None:
        assert self.response_id is not None
        assert self.turn is not None
        response_id, item_id = self.response_id, self._item_id
        text = self.turn.response_texts[item_id].strip()
        self._out.to_client(events.ResponseAudioDone(response_id, item_id))
        self._out.to_client(events.ResponseTranscriptDone(response_id, item_id, text))
        self.response_id = None
        self.announced.end(events.ResponseDone(response_id, status))

    def _expect_quiet(self) -> None:
        assert self.response_id is not None
        at = self._heard_at + QUIET_SECONDS
        self._out.issued.append(commands.ScheduleEvent(at, AnswerQuiet(self.response_id)))
