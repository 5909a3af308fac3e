"""What a user does by hand in a conversation, and what they see of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from voice_trio.client.turns import Report


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that was typed."""

    text: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    pass


@dataclass(frozen=True, slots=True)
class Leave:
    pass


UserAction: TypeAlias = Ask | Interrupt | Leave


class Screen(Protocol):
    """What the user sees."""

    def turn_changed(self, turn: Report) -> None:
        """The turn under way has grown."""
        ...

    def turn_over(self, turn: Report) -> None:
        """Another one begins, or the conversation ends: this one does not grow any more."""
        ...

    def told(self, event: dict[str, Any]) -> None:
        """An event about the session: an error, a warning, a recovery."""
        ...
