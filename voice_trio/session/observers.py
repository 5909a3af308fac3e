"""The observers of a session: what sees its events and commands, and its finished turns, and decides nothing.

One list holds them all: cost, turn records, summary, log, traces, statistics, the stored record. Each observer names
the types it wants. The session looks up the type of an event or a command once, so an observer is called only for what
it asked for: an audio delta meets the cost meter and no other observer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.session.summary import Summary

Handler: TypeAlias = Callable[[Any, float], None]


@dataclass(frozen=True, slots=True)
class FlushQueued:
    """An event for observers only: `playback.flush` waits to be written to the client."""


@dataclass(frozen=True, slots=True)
class FlushSent:
    """An event for observers only: the `playback.flush` that was queued at `queued_at` has been written."""

    queued_at: float


@dataclass(frozen=True, slots=True)
class SidecarAudioSent:
    """An event for observers only: `seconds` of sound were sent to the sidecar, billed under `source_id`."""

    source_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TranscriptionModelChanged:
    """An event for observers only: the upstream transcribes with `model` from now on; None: not at all."""

    model: str | None


@dataclass(frozen=True, slots=True)
class ClientSessionUpdated:
    """An event for observers only: a client's `session.update` goes upstream; `session` is what is sent of it."""

    session: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class UpstreamSessionKept:
    """An event for observers only: the upstream keeps this session, and another can go on with it."""

    session_id: str


ObserverEvent: TypeAlias = (
    FlushQueued | FlushSent | SidecarAudioSent | TranscriptionModelChanged | ClientSessionUpdated | UpstreamSessionKept
)


class Observer:
    """Does nothing; a subclass overrides what it needs. Calls come between two events, so none may wait or raise.

    `now` is the session's clock in seconds.
    """

    event_types: ClassVar[tuple[type, ...]] = ()
    """Exact types of the events that `on_event` is called for; those of `ObserverEvent` too."""
    command_types: ClassVar[tuple[type, ...]] = ()
    """Exact types of the commands that `on_command` is called for, or of what `SendToUpstream` sends."""

    def event_handlers(self) -> Mapping[type, Handler]:
        """The method that takes each type of event."""
        return dict.fromkeys(self.event_types, self.on_event)

    def on_event(self, event: Any, now: float) -> None:
        """Called before the conversation handles the event."""

    def on_command(self, command: Any, now: float) -> None:
        """Called before the session executes the command; with what is sent, where that is a `SendToUpstream`."""

    def on_audio_sent(self, now: float) -> None:
        """Called when sound has been written to the client."""

    def on_turn(self, record: TurnRecord) -> None:
        """Called with the complete record of each turn, once."""

    def session_ready(self, summary: Summary) -> None:
        """Called when the upstream is ready."""

    def session_closing(self, now: float) -> None:
        """Called after the last command, before the client is closed."""

    def session_ended(self, summary: Summary) -> None:
        """Called last; the summary does not change any more."""


# Why exact types and a table. Most events of a response are audio deltas, and only the cost meter needs them. When each
# observer was called for each event and command, a delta made eight calls to observers that ignored it. A table from
# type to methods costs one lookup. The types are exact, because events form no hierarchy: a subclass would be an event
# of its own.


class Observers:
    """Dispatches to observers in the order in which they are given.

    `by_event` and `by_command` map an exact type to the methods to call, `audio_sent` are the methods to call for sound
    that has been written; the session reads them for each event.
    """

    def __init__(self, *observers: Observer) -> None:
        self.by_event: dict[type, tuple[Handler, ...]] = {}
        self.by_command: dict[type, tuple[Handler, ...]] = {}
        self.audio_sent = tuple(
            observer.on_audio_sent
            for observer in observers
            if type(observer).on_audio_sent is not Observer.on_audio_sent
        )
        self._observers = observers
        for observer in observers:
            for kind, handler in observer.event_handlers().items():
                self.by_event[kind] = (*self.by_event.get(kind, ()), handler)
            for kind in observer.command_types:
                self.by_command[kind] = (*self.by_command.get(kind, ()), observer.on_command)

    def session_ready(self, summary: Summary) -> None:
        for observer in self._observers:
            observer.session_ready(summary)

    def session_closing(self, now: float) -> None:
        for observer in self._observers:
            observer.session_closing(now)

    def session_ended(self, summary: Summary) -> None:
        for observer in self._observers:
            observer.session_ended(summary)
