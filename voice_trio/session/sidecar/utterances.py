"""What the sidecar is given to hear, and whose words those are that it says. Pure; knows the wire's words, no socket.

The sidecar transcribes and finds no turns; the conversation's server finds them. So sound is kept back until that one
announces speech, then goes to the sidecar from where the speech began, and is committed when it announces its end:
what is not speech is neither sent nor paid for. What the sidecar hears becomes items of its own, whose names it tells
with its first word or with the commit: utterances and items come in the same order.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from voice_trio.conversation import commands, events
from voice_trio.protocols.realtime import append_audio, input_events, server_events
from voice_trio.protocols.realtime.writer import COMMIT_MS_MIN, clear_audio, commit_audio
from voice_trio.session.sidecar.transcript_source import ITEMS_REMEMBERED, TranscriptSource, TranscriptSources

if TYPE_CHECKING:
    from voice_trio.protocols.realtime import SessionState

PREROLL_SECONDS_MAX = 6.0  # the five seconds kept while connecting, and what a server's detection takes
QUEUED_SECONDS_MAX = 10.0  # to a sidecar that takes nothing; the oldest go first, nobody waits for it

Words: TypeAlias = events.TranscriptDelta | events.TranscriptCompleted


@dataclass(slots=True, eq=False)
class _Utterance:
    """`item_id` is the conversation's; `source_id` names the bill, and our commit."""

    item_id: str
    source_id: str
    sent_ms: float = 0.0
    is_billed: bool = False


@dataclass(frozen=True, slots=True)
class _Sound:
    audio: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frame for the sidecar; `seconds` of sound are in it, on the bill of `source_id`."""

    text: str
    source_id: str
    seconds: float = 0.0


class SidecarTurns:
    """One session's, over all connections of either side."""

    def __init__(self) -> None:
        self.dropped_ms = 0.0
        """Sound of speech that never went to the sidecar, because it took nothing."""
        self.is_only_ears = False
        """Whether the conversation itself transcribes nothing, so that the sidecar has the last word too."""
        self._recent: deque[_Sound] = deque()
        self._recent_ms = 0.0
        self._position_ms = 0.0
        self._open: _Utterance | None = None
        self._queue: deque[tuple[_Utterance, _Sound | None]] = deque()
        self._queued_ms = 0.0
        self._is_connected = False
        self._sources = 0
        self._unnamed: deque[_Utterance] = deque()
        self._named: dict[str, _Utterance] = {}
        self._voices = TranscriptSources()
        self._events = 0

    # The conversation's socket

    def follow(self, queued_ms: float) -> None:
        """A model begins to hear; it will be sent first what was appended last, `queued_ms` of it."""
        self._position_ms = queued_ms

    def hear(self, audio: str, duration_ms: float) -> None:
        """What the conversation's server is sent, in base64."""
        self._position_ms += duration_ms
        if self._open is not None:
            self._enqueue(self._open, _Sound(audio, duration_ms))
            return
        self._recent.append(_Sound(audio, duration_ms))
        self._recent_ms += duration_ms
        while self._recent_ms > PREROLL_SECONDS_MAX * 1000:
            self._recent_ms -= self._recent.popleft().duration_ms

    def admits(self, event: events.UpstreamEvent) -> bool:
        """Note what the conversation's server says; false for deltas of an item whose words the sidecar says."""
        match event:
            case events.SpeechStarted(item_id=item_id, audio_start_ms=start_ms):
                self._begin(item_id, start_ms)
            case events.SpeechStopped(item_id=item_id) | events.SpeechCommitted(item_id=item_id):
                if self._open is not None and self._open.item_id == item_id:
                    self.end_speech()
            case events.OtherUpstreamEvent(type="input_audio_buffer.cleared"):
                self.end_speech()  # a client of OpenAI's protocol may do that
            case events.TranscriptDelta(item_id=item_id):
                return self._voices.may_say(item_id, TranscriptSource.CONVERSATION)
            case events.TranscriptCompleted(item_id=item_id):
                self._voices.finish(item_id)
            case _:
                pass
        return True

    def end_speech(self) -> None:
        """The user has stopped, or the model that would have said so is lost."""
        utterance, self._open = self._open, None
        if utterance is None:
            return
        if self._is_connected:
            self._queue.append((utterance, None))
        else:  # by the time there is a sidecar nobody will wait for these words
            self._forget_queue()

    def rest(self) -> None:
        """There is no sidecar and there will be none: no sound is kept for it."""
        self._open = None
        self._recent.clear()
        self._recent_ms = 0.0
        self._forget_queue()

    # The sidecar's socket

    def connected(self) -> None:
        """What is kept of an utterance that is still going on may go now."""
        self._is_connected = True

    def disconnected(self) -> list[commands.CountUsage]:
        """Nothing more comes of what was sent; what of it was not billed is to be estimated."""
        self._is_connected = False
        unbilled = [each for each in (*self._unnamed, *self._named.values()) if not each.is_billed]
        self._unnamed.clear()
        self._named.clear()
        self._forget_queue()
        if self._open is not None:  # the rest of it is heard by whom we reach next
            self._open = self._new_utterance(self._open.item_id)
        return [_bill(utterance, None) for utterance in unbilled]

    def next(self) -> Outgoing | None:
        """The next frame for the sidecar, if there is any."""
        while self._is_connected and self._queue:
            utterance, sound = self._queue.popleft()
            if sound is not None:
                return self._send(utterance, sound)
            if utterance.sent_ms > 0:
                return self._finish(utterance)
        return None

    def understand(self, event: events.UpstreamEvent | SessionState) -> list[Words | commands.CountUsage]:
        """What the sidecar's event means to the conversation, and what it costs."""
        match event:
            case events.TranscriptDelta(item_id=item_id, delta=delta):
                utterance = self._utterance_of(item_id)
                if (
                    utterance is not None
                    and delta
                    and self._voices.may_say(utterance.item_id, TranscriptSource.SIDECAR)
                ):
                    return [self._delta(utterance.item_id, delta)]
            case events.TranscriptCompleted(item_id=item_id, transcript=transcript, usage=usage):
                utterance = self._utterance_of(item_id)
                if utterance is not None and not utterance.is_billed:
                    return [_bill(utterance, usage), *self._last_words(utterance.item_id, transcript)]
            case events.TranscriptFailed(item_id=item_id):
                utterance = self._utterance_of(item_id)
                if utterance is not None and not utterance.is_billed:
                    return [_bill(utterance, None)]
            case events.SpeechCommitted(item_id=item_id):
                self._utterance_of(item_id)
            case events.UpstreamError(event_id=str(event_id)):
                # A commit that was refused makes no item.
                self._unnamed = deque(each for each in self._unnamed if each.source_id != event_id)
            case _:
                pass
        return []

    # How

    def _begin(self, item_id: str, start_ms: float) -> None:
        self.end_speech()
        self._open = self._new_utterance(item_id)
        wanted_ms = self._position_ms - start_ms
        speech: list[_Sound] = []
        while self._recent and wanted_ms > 0:
            speech.append(self._recent.pop())
            wanted_ms -= speech[-1].duration_ms
        self._recent.clear()
        self._recent_ms = 0.0
        for sound in reversed(speech):
            self._enqueue(self._open, sound)

    def _new_utterance(self, item_id: str) -> _Utterance:
        self._sources += 1
        return _Utterance(item_id, f"sidecar_{self._sources}")

    def _enqueue(self, utterance: _Utterance, sound: _Sound) -> None:
        self._queue.append((utterance, sound))
        self._queued_ms += sound.duration_ms
        ends = []
        while self._queued_ms > QUEUED_SECONDS_MAX * 1000:
            oldest, lost = self._queue.popleft()
            if lost is None:
                ends.append((oldest, lost))
            else:
                self._queued_ms -= lost.duration_ms
                self.dropped_ms += lost.duration_ms
        self._queue.extendleft(reversed(ends))

    def _forget_queue(self) -> None:
        self._queue.clear()
        self._queued_ms = 0.0

    def _send(self, utterance: _Utterance, sound: _Sound) -> Outgoing:
        self._queued_ms -= sound.duration_ms
        if utterance.sent_ms == 0:
            self._unnamed.append(utterance)
        utterance.sent_ms += sound.duration_ms
        return Outgoing(append_audio(sound.audio), utterance.source_id, sound.duration_ms / 1000)

    def _finish(self, utterance: _Utterance) -> Outgoing:
        if utterance.sent_ms >= COMMIT_MS_MIN:
            return Outgoing(commit_audio(utterance.source_id), utterance.source_id)
        # Too little for a word; its item, should it have a name already, is nobody's.
        self._unnamed = deque(each for each in self._unnamed if each is not utterance)
        return Outgoing(clear_audio(utterance.source_id), utterance.source_id)

    def _utterance_of(self, sidecar_item_id: str) -> _Utterance | None:
        utterance = self._named.get(sidecar_item_id)
        if utterance is None and self._unnamed:
            utterance = self._named[sidecar_item_id] = self._unnamed.popleft()
            while len(self._named) > ITEMS_REMEMBERED:
                del self._named[next(iter(self._named))]
        return utterance

    def _delta(self, item_id: str, delta: str) -> events.TranscriptDelta:
        wire = self._wire(input_events.TranscriptionDelta(item_id=item_id, content_index=0, delta=delta))
        return events.TranscriptDelta(item_id, delta, wire=wire)

    def _last_words(self, item_id: str, transcript: str) -> list[Words | commands.CountUsage]:
        if not self.is_only_ears or not self._voices.finish(item_id):
            return []
        # The conversation's bill for this item is nothing; the sidecar's is written beside it.
        nothing = {"type": "duration", "seconds": 0}
        final = input_events.TranscriptionCompleted(
            item_id=item_id, content_index=0, transcript=transcript, usage=nothing
        )
        return [events.TranscriptCompleted(item_id, transcript, nothing, wire=self._wire(final))]

    def _wire(self, event: input_events.ServerEvent) -> str:
        self._events += 1
        return server_events.write_event(event, f"event_sidecar_{self._events}")


def _bill(utterance: _Utterance, usage: events.Usage | None) -> commands.CountUsage:
    utterance.is_billed = True
    return commands.CountUsage("sidecar", utterance.source_id, usage)
