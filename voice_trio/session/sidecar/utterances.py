"""Which sound the sidecar is sent, and to which item its words belong. Pure; knows the wire format, no socket.

The sidecar transcribes and detects no turns; the conversation's server detects them. So sound is kept until that server
announces speech. It is sent from where the speech began and committed when the server announces the end: what is not
speech is neither sent nor paid for. The sidecar makes items of its own, and names one with its first word or with the
commit. SidecarUtterances and items come in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cachetools import FIFOCache

from voice_trio import limits
from voice_trio.conversation import commands, events
from voice_trio.protocols.realtime import append_audio, input_events, server_events
from voice_trio.protocols.realtime.writer import COMMIT_MS_MIN, clear_audio, commit_audio
from voice_trio.session.sidecar.transcript_source import ITEMS_REMEMBERED, TranscriptSource, TranscriptSources

if TYPE_CHECKING:
    from voice_trio.conversation.full_duplex.events import AnyUpstreamEvent
    from voice_trio.protocols.realtime import SessionState


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


# How an item of the sidecar finds its utterance. The sidecar has no turn detection, so it makes one item for each of
# our commits, and names it only with its first delta or with `committed`. Utterances are sent one after the other over
# one socket, so the first unnamed utterance is the one that a new name belongs to. A refused commit, or one that we
# clear because it is too short, makes no item: that utterance leaves the queue of unnamed ones, or all later names
# would belong to the utterance before theirs.


class SidecarUtterances:
    """The utterances of one session, over all connections of either side."""

    def __init__(self) -> None:
        self.dropped_ms = 0.0
        """Sound of speech that was dropped because the sidecar was stalled."""
        self.transcribes_alone = False
        """Whether the conversation itself transcribes nothing, so that the sidecar's final transcript counts."""
        self._recent: list[_Sound] = []
        self._recent_ms = 0.0
        self._position_ms = 0.0
        self._open: _Utterance | None = None
        self._queue: list[tuple[_Utterance, _Sound | None]] = []
        self._queued_ms = 0.0
        self._is_connected = False
        self._sources = 0
        self._unnamed: list[_Utterance] = []
        self._named: FIFOCache[str, _Utterance] = FIFOCache(ITEMS_REMEMBERED)
        self._item_sources = TranscriptSources()
        self._events = 0

    # The conversation's socket

    def follow(self, queued_ms: float) -> None:
        """An upstream begins to hear; the last `queued_ms` of appended sound are still to be written to it."""
        self._position_ms = queued_ms

    def hear(self, audio: str, duration_ms: float) -> None:
        """Sound (base64) that the conversation's server is sent."""
        self._position_ms += duration_ms
        if self._open is not None:
            self._enqueue(self._open, _Sound(audio, duration_ms))
            return
        self._recent.append(_Sound(audio, duration_ms))
        self._recent_ms += duration_ms
        while self._recent_ms > limits.SIDECAR_PREROLL_SECONDS_MAX * 1000:
            self._recent_ms -= self._recent.pop(0).duration_ms

    def pass_over(self, duration_ms: float) -> None:
        """Sound that the conversation's server is sent, and that the sidecar is not needed for."""
        self._position_ms += duration_ms

    def admits(self, event: AnyUpstreamEvent) -> bool:
        """Note an event of the conversation's server; False for words of an item that the sidecar transcribes."""
        match event:
            case events.SpeechStarted(item_id=item_id, audio_start_ms=start_ms):
                self._begin(item_id, start_ms)
            case events.SpeechStopped(item_id=item_id) | events.SpeechCommitted(item_id=item_id):
                if self._open is not None and self._open.item_id == item_id:
                    self.end_speech()
            case events.OtherUpstreamEvent(type="input_audio_buffer.cleared"):
                self.end_speech()  # by a client of OpenAI's protocol
            case events.TranscriptDelta(item_id=item_id):
                return self._item_sources.admits_delta(item_id, TranscriptSource.CONVERSATION)
            case events.TranscriptCompleted(item_id=item_id):
                self._item_sources.finish(item_id)
            case events.TranscriptFailed():
                return not self.transcribes_alone
            case _:
                pass
        return True

    def end_speech(self) -> None:
        """The user has stopped, or the upstream that would have announced it is lost."""
        utterance, self._open = self._open, None
        if utterance is None:
            return
        if self._is_connected:
            self._queue.append((utterance, None))
        else:  # these words would come too late
            self._forget_queue()

    def stop(self) -> None:
        """There will be no sidecar: keep no sound for it."""
        self._open = None
        self._recent.clear()
        self._recent_ms = 0.0
        self._forget_queue()

    # The sidecar's socket

    def connected(self) -> None:
        """Sound of an utterance that is still going on may be sent now."""
        self._is_connected = True

    def disconnected(self) -> list[commands.CountUsage]:
        """No more words will come; returns the usage to estimate of what was sent and not billed."""
        self._is_connected = False
        unbilled = [each for each in (*self._unnamed, *self._named.values()) if not each.is_billed]
        self._unnamed.clear()
        self._named.clear()
        self._forget_queue()
        if self._open is not None:  # the rest of it goes to the next connection
            self._open = self._new_utterance(self._open.item_id)
        return [_bill(utterance, None) for utterance in unbilled]

    def next(self) -> Outgoing | None:
        """The next frame for the sidecar, if there is any."""
        while self._is_connected and self._queue:
            utterance, sound = self._queue.pop(0)
            if sound is not None:
                return self._send(utterance, sound)
            if utterance.sent_ms > 0:
                return self._finish(utterance)
        return None

    def interpret(self, event: events.UpstreamEvent | SessionState) -> list[Words | commands.CountUsage]:
        """The events and the usage that the sidecar's event gives for the conversation."""
        match event:
            case events.TranscriptDelta(item_id=item_id, delta=delta):
                utterance = self._utterance_of(item_id)
                if (
                    utterance is not None
                    and delta
                    and self._item_sources.admits_delta(utterance.item_id, TranscriptSource.SIDECAR)
                ):
                    return [self._delta(utterance.item_id, delta)]
            case events.TranscriptCompleted(item_id=item_id, transcript=transcript, usage=usage):
                utterance = self._utterance_of(item_id)
                if utterance is not None and not utterance.is_billed:
                    return [_bill(utterance, usage), *self._final_transcript(utterance.item_id, transcript)]
            case events.TranscriptFailed(item_id=item_id):
                utterance = self._utterance_of(item_id)
                if utterance is not None and not utterance.is_billed:
                    return [_bill(utterance, None)]
            case events.SpeechCommitted(item_id=item_id):
                self._utterance_of(item_id)
            case events.UpstreamError(event_id=str(event_id)):
                # A commit that was refused makes no item.
                self._unnamed = [each for each in self._unnamed if each.source_id != event_id]
            case _:
                pass
        return []

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
        while self._queued_ms > limits.SIDECAR_QUEUED_SECONDS_MAX * 1000:
            oldest, lost = self._queue.pop(0)
            if lost is None:
                ends.append((oldest, lost))
            else:
                self._queued_ms -= lost.duration_ms
                self.dropped_ms += lost.duration_ms
        self._queue[:0] = ends

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
        # Too little for a word; its item, should it have a name already, belongs to no utterance.
        self._unnamed = [each for each in self._unnamed if each is not utterance]
        return Outgoing(clear_audio(utterance.source_id), utterance.source_id)

    def _utterance_of(self, sidecar_item_id: str) -> _Utterance | None:
        utterance = self._named.get(sidecar_item_id)
        if utterance is None and self._unnamed:
            utterance = self._named[sidecar_item_id] = self._unnamed.pop(0)
        return utterance

    def _delta(self, item_id: str, delta: str) -> events.TranscriptDelta:
        wire = self._wire(input_events.TranscriptionDelta(item_id=item_id, content_index=0, delta=delta))
        return events.TranscriptDelta(item_id, delta, wire=wire)

    def _final_transcript(self, item_id: str, transcript: str) -> list[Words | commands.CountUsage]:
        if not self.transcribes_alone or not self._item_sources.finish(item_id):
            return []
        # The conversation has no usage for this item; the sidecar's usage is billed on its own.
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
