"""What the parts of a session need of the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import trio

    from voice_trio.conversation.commands import ClientNotice, Command, CountUsage, PassthroughNotice
    from voice_trio.conversation.events import Event, UpstreamEvent
    from voice_trio.conversation.passthrough.requests import Request
    from voice_trio.conversation.session_events import SessionEvent
    from voice_trio.protocols.realtime import SessionState
    from voice_trio.session.config import SessionConfig
    from voice_trio.session.endings import Ending
    from voice_trio.session.telemetry.summary import Summary
    from voice_trio.session.upstream.connect import ConnectedUpstream


class SessionPort(Protocol):
    """The session, as seen by its two sides and its turns."""

    terms: SessionConfig
    summary: Summary
    log: Any  # a structlog logger bound to the session's id

    def feed(self, event: Event | Request) -> None:
        """Hand an event to the conversation and carry out what follows, at once."""
        ...

    def count(self, usage: CountUsage) -> None:
        """Something was used beside the conversation, and is billed."""
        ...

    def flushed(self, queued_at: float) -> None:
        """A flush that was queued then has been written to the client."""
        ...

    def crash(self) -> None:
        """A bug of ours, called where it was caught: log it, and end."""
        ...

    def end(self, ending: Ending) -> None:
        """End the session; the first reason given is the one that counts."""
        ...


class DecisionCore(Protocol):
    """What decides, as the session sees it: events with their times in, commands out; never waits."""

    def handle(self, event: Any, now: float) -> list[Command]: ...

    def close(self, now: float) -> list[Command]: ...

    def is_answering(self, now: float) -> bool:
        """Whether a response is due, being generated or, by the clock, being heard: changes with time alone."""
        ...

    def quiet_since(self, now: float) -> float | None:
        """Since when nothing has been said by either side; `None` while something is. Changes with time alone."""
        ...


class ClientConnection(Protocol):
    """The client's side, in whichever protocol the client speaks."""

    async def listen(self) -> None:
        """Whatever the client sends, as events; ends the session when it is gone."""
        ...

    def start_speaking(self, nursery: trio.Nursery) -> None:
        """Begin to write; the nursery must outlive the session's tasks."""
        ...

    def welcome(self, model: ConnectedUpstream, expires_at: float) -> None:
        """The session is ready; `expires_at` is Unix time."""
        ...

    def describe(self, state: SessionState) -> None:
        """The model says what its session is like."""
        ...

    def tell(self, event: UpstreamEvent | ClientNotice | PassthroughNotice | SessionEvent) -> None:
        """Queue an event for the client, unless it must not leave."""
        ...

    async def leave(self, ending: Ending) -> None:
        """Say what is still to be said, and close; the caller bounds it."""
        ...
