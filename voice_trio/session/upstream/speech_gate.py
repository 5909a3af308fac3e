"""The turns of an upstream whose own detection must be off: speech is detected here, and committed here.

Such an upstream responds to every turn that it detects, before any context can reach it. So it gets only the sound of
speech, and its buffer is committed when the speech has ended. Where the commit itself is responded to, it is held back:
the conversation's `response.create` becomes that commit, and the context stands before it (I2). The 200 ms of I3 count
from the end of speech that is found here.

    sound ──► hear ──► frames to append, events of speech
    events of the upstream ──► read ──► with the ids of items that the conversation knows
    commands of the conversation ──► write ──► with the upstream's ids, commits in their places
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from cachetools import FIFOCache

from voice_trio import limits
from voice_trio.conversation import commands, events
from voice_trio.protocols.audio import decode_audio
from voice_trio.speech.detector import VoiceActivityStarted
from voice_trio.upstreams.profile import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.conversation.full_duplex.events import AnyUpstreamEvent
    from voice_trio.speech.detector import VoiceActivityDetector

PREROLL_MS = 500.0
"""Sound before the detected beginning that the upstream gets: a beginning is found some 130 ms late, and soft sounds of
a word's start later still."""
ITEMS_REMEMBERED = 64
_COMMIT = {"type": "input_audio_buffer.commit"}

SpeechEvent: TypeAlias = events.SpeechStarted | events.SpeechStopped | events.SpeechCommitted
Sound: TypeAlias = tuple[str, float]


@dataclass(slots=True)
class GatedSound:
    """What becomes of a piece of sound: what is appended upstream, whether a commit follows, and what is announced."""

    append: list[Sound] = field(default_factory=list)
    commit: commands.UpstreamCommand | None = None
    announce: list[SpeechEvent] = field(default_factory=list)


class SpeechGate:
    """Of one session; `id_prefix` begins the ids of its items."""

    def __init__(self, gate: Gate, detector: VoiceActivityDetector, id_prefix: str) -> None:
        self._commit_answers = gate is Gate.COMMIT_ANSWERS
        self._detector = detector
        self._prefix = id_prefix
        self._ids = 0
        self._preroll: deque[Sound] = deque()
        self._preroll_ms = self._heard_ms = self._speech_ms = 0.0
        self._item_id: str | None = None
        """The item of what is said, or was said and is not committed yet."""
        self._is_speaking = False
        self._unbound: deque[str] = deque()
        """Items of ours whose name upstream is not known yet, oldest first."""
        self._ours: FIFOCache[str, str] = FIFOCache(ITEMS_REMEMBERED)
        self._theirs: FIFOCache[str, str] = FIFOCache(ITEMS_REMEMBERED)

    # Sound

    def hear(self, audio: str, duration_ms: float) -> GatedSound:
        """The next sound of the client; `audio` is base64 that has been checked."""
        heard = GatedSound()
        self._heard_ms += duration_ms
        found = self._detector.feed(decode_audio(audio))
        began = any(isinstance(event, VoiceActivityStarted) for event in found)
        ended = any(not isinstance(event, VoiceActivityStarted) for event in found)
        if self._is_speaking or began:
            heard.append = [(audio, duration_ms)]
            self._speech_ms += duration_ms
        else:
            self._keep(audio, duration_ms)
        if began and not self._is_speaking:
            heard.append = [*self._take_preroll(), *heard.append]
            heard.announce.append(self._start())
        if self._is_speaking and (ended or self._speech_ms >= limits.UTTERANCE_SECONDS_MAX * 1000):
            if not ended:
                self._detector.forget()
            self._stop(heard)
        return heard

    def begin_anew(self) -> list[SpeechEvent]:
        """Another upstream takes the place of a lost one: what is being said is a new item there."""
        self._unbound.clear()
        self._item_id = None
        if not self._is_speaking:
            return []
        self._is_speaking = False
        return [self._start()]

    def _keep(self, audio: str, duration_ms: float) -> None:
        self._preroll.append((audio, duration_ms))
        self._preroll_ms += duration_ms
        while self._preroll_ms > PREROLL_MS and len(self._preroll) > 1:
            self._preroll_ms -= self._preroll.popleft()[1]

    def _take_preroll(self) -> list[Sound]:
        kept = list(self._preroll)
        self._preroll.clear()
        self._preroll_ms = 0.0
        return kept

    def _start(self) -> events.SpeechStarted:
        self._is_speaking = True
        self._speech_ms = 0.0
        if self._item_id is None:  # else the user goes on with what is not committed: one item will hold it all
            self._item_id = self._new_id("g")
            self._unbound.append(self._item_id)
        return events.SpeechStarted(self._item_id, round(self._heard_ms))

    def _stop(self, heard: GatedSound) -> None:
        assert self._item_id is not None
        self._is_speaking = False
        item_id, at_ms = self._item_id, round(self._heard_ms)
        heard.announce += [events.SpeechStopped(item_id, at_ms), events.SpeechCommitted(item_id)]
        if not self._commit_answers:
            self._item_id = None
            heard.commit = commands.ForwardClientEvent(self._new_id("k"), _COMMIT, is_commit=True)

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{self._prefix}{kind}{self._ids}"

    # Events and commands

    def read(self, event: AnyUpstreamEvent) -> AnyUpstreamEvent | None:
        """The event as the conversation knows it; None for what it knows already."""
        match event:
            case events.SpeechStarted() | events.SpeechStopped():
                return None
            case events.SpeechCommitted():
                self._bind(event.item_id)
                return None
            case events.TranscriptDelta() | events.TranscriptCompleted() | events.TranscriptFailed():
                return replace(event, item_id=self._bind(event.item_id))
            case _:
                return event

    def _bind(self, item_id: str) -> str:
        """Our id of an item of the user's that the upstream has named: the oldest that has no name yet."""
        if item_id not in self._ours and self._unbound:
            ours = self._unbound.popleft()
            self._ours[item_id], self._theirs[ours] = ours, item_id
        return str(self._ours.get(item_id, item_id))

    def write(self, command: commands.UpstreamCommand) -> Iterator[commands.UpstreamCommand]:
        """The commands to send in place of one of the conversation's, in order."""
        match command:
            case commands.CreateContextItem(previous_item_id=previous):
                # Without a place it comes last: after what is committed, and before what is not.
                place = None if previous == self._item_id else self._theirs.get(previous or "")
                yield replace(command, previous_item_id=place)
            case commands.CreateResponse() if self._commit_answers and self._item_id is not None:
                self._item_id = None
                # An error about the commit is then one about the response that was asked for.
                yield commands.ForwardClientEvent(command.event_id, _COMMIT, is_commit=True)
            case _:
                yield command
