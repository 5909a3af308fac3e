"""What a user does in a conversation besides speaking, and the interface that shows it the turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from voice_trio.client.turns import Report


@dataclass(frozen=True, slots=True)
class Ask:
    """The user has typed a question."""

    text: str


@dataclass(frozen=True, slots=True)
class InterruptResponse:
    """The user stops the running response. Playback stops at once, before the gateway has confirmed it."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The user ends the conversation."""


UserAction: TypeAlias = Ask | InterruptResponse | Leave
"""An action of the user other than speaking; `converse` iterates over them."""


class Screen(Protocol):
    """Shows a conversation. Any class with these methods will do. `converse` calls them; they must not block."""

    def turn_changed(self, turn: Report) -> None:
        """The current turn has changed; called after every event. `turn` is the same object until the turn ends."""
        ...

    def turn_over(self, turn: Report) -> None:
        """A turn has ended and its report is final: the next one begins, or the conversation ends."""
        ...

    def told(self, event: dict[str, Any]) -> None:
        """An event that concerns the session: an `error`, a `budget.warning` or a `session.*` event."""
        ...
