"""What the parts of a session need of each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import trio

    from voice_trio.conversation.commands import Command
    from voice_trio.conversation.events import Event
    from voice_trio.conversation.full_duplex.events import AnyUpstreamEvent, FullDuplexEvent
    from voice_trio.conversation.passthrough.requests import Request
    from voice_trio.conversation.session_events import ToClient
    from voice_trio.conversation.turn.history import Said
    from voice_trio.conversation.turn.snapshot import OpenTurn
    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime import SessionState
    from voice_trio.session.config import SessionConfig
    from voice_trio.session.endings import Ending
    from voice_trio.session.observers import ObserverEvent
    from voice_trio.session.summary import Summary
    from voice_trio.upstreams.profile import Translator

    SessionInput: TypeAlias = Event | Request | FullDuplexEvent

Dial: TypeAlias = Callable[["trio.Nursery"], Awaitable["Link"]]
"""Opens a link whose background work lives in the nursery; raises `ModelUnavailable` or `ModelRefused`."""


@runtime_checkable
class ForkingDial(Protocol):
    """A `Dial` that can also open a session that goes on with a kept one."""

    async def __call__(self, nursery: trio.Nursery) -> Link: ...

    def fork_of(self, session_id: str) -> Dial: ...


@dataclass(frozen=True, slots=True)
class ConnectedUpstream:
    """An upstream that is ready: it listens, and responds only when asked."""

    link: Link
    created: SessionState
    updated: SessionState
    transcription_model: str
    """The one that was asked for and accepted."""
    transcription_fallback: bool
    translator: Translator | None = None
    """What reads and writes this connection's frames; None: they are OpenAI's GA frames."""

    def without_texts(self) -> ConnectedUpstream:
        """The same without the texts of its session, which are long and needed only until the client has them."""
        created, updated = (replace(state, session_json="", wire="") for state in (self.created, self.updated))
        return replace(self, created=created, updated=updated)


class SessionPort(Protocol):
    """The session, as seen by its connections and its tasks."""

    config: SessionConfig
    summary: Summary
    log: Any  # a structlog logger bound to the session's id

    def feed(self, event: SessionInput, now: float | None = None) -> None:
        """Hand an event to the conversation and execute its commands, at once; `now` saves reading the clock again."""
        ...

    def audio_sent(self, item_id: str, duration_ms: float, now: float) -> None:
        """Sound has been written to the client: known at once, also while another event is being handled."""
        ...

    def execute(self, command: Command, now: float) -> None:
        """Execute a command that comes from beside the conversation."""
        ...

    def observe(self, event: ObserverEvent) -> None:
        """Hand an event to the observers only."""
        ...

    def crash(self) -> None:
        """Log the exception that is being handled, a bug of ours, and end."""
        ...

    def end(self, ending: Ending) -> None:
        """End the session; the first reason given is the one that counts."""
        ...


class DecisionCore(Protocol):
    """What decides, as the session sees it: events with their times in, commands out; never waits."""

    def handle(self, event: Any, now: float) -> list[Command]: ...

    def audio_sent(self, item_id: str, duration_ms: float, now: float) -> None:
        """The event `AudioSent`, which has no commands, without the value for it: it comes for every frame of sound."""
        ...

    def close(self, now: float) -> list[Command]: ...

    def is_answering(self, now: float) -> bool:
        """Whether a response is due, being generated or, by the clock, being heard: changes with time alone."""
        ...

    def quiet_since(self, now: float) -> float | None:
        """Since when nothing has been said by either side; `None` while something is. Changes with time alone."""
        ...

    @property
    def history(self) -> Iterable[Said]:
        """What was said and heard in all turns that are over, as far as it is kept."""
        ...

    def open_turns(self, now: float) -> tuple[OpenTurn, ...]:
        """The turns that are not reported yet, oldest first, in the words known so far; changes nothing."""
        ...


class ClientConnection(Protocol):
    """The client's side, in whichever protocol the client speaks."""

    async def listen(self) -> None:
        """Feed what the client sends as events; end the session when the client is gone."""
        ...

    def start_writing(self, nursery: trio.Nursery) -> None:
        """Begin to write; the nursery must outlive the session's tasks."""
        ...

    @property
    def unsent_since(self) -> float | None:
        """Since when a frame waits for the client to read; None while none does."""
        ...

    def announce_ready(self, upstream: ConnectedUpstream, expires_at: float) -> None:
        """The session is ready; `expires_at` is Unix time."""
        ...

    def describe(self, state: SessionState) -> None:
        """The upstream has described its session."""
        ...

    def send(self, event: ToClient, now: float | None = None) -> None:
        """Queue an event for the client, unless its protocol has no such event; `now` saves reading the clock again."""
        ...

    async def close(self, ending: Ending) -> None:
        """Write what must still be said, and close; the caller bounds it."""
        ...


class SidecarPort(Protocol):
    """The second socket that transcribes, as the upstream connection sees it."""

    def follow(self, queued_ms: float) -> None:
        """An upstream begins to hear; the last `queued_ms` of appended sound are still to be written to it."""
        ...

    def hear(self, audio: str, duration_ms: float) -> None:
        """Sound (base64) has been appended for the upstream."""
        ...

    def admits(self, event: AnyUpstreamEvent) -> bool:
        """Whether the conversation may see the event: not a transcript of speech that the sidecar transcribes."""
        ...

    def upstream_lost(self) -> None:
        """No end of the current speech will be announced."""
        ...

    def take_over(self) -> bool:
        """Transcribe alone from the next speech on, because the upstream cannot; whether it does so anew."""
        ...
