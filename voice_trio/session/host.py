"""What the parts of a session need of the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from voice_trio.conversation.commands import CountUsage
    from voice_trio.conversation.events import Event
    from voice_trio.session.endings import Ending
    from voice_trio.session.summary import Summary
    from voice_trio.session.terms import Terms


class Host(Protocol):
    """The session, as seen by its two sides and its turns."""

    terms: Terms
    summary: Summary
    log: Any  # a structlog logger bound to the session's id

    def feed(self, event: Event) -> None:
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
