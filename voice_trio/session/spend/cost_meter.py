"""What a session knows of money: somebody who sees everything, keeps the bill, and may say that it is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from voice_trio.billing.prices import Cost

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation.commands import Command
    from voice_trio.conversation.events import Event
    from voice_trio.conversation.session_events import BudgetWarning


class CostMeter(Protocol):
    """Called between two events of a session, so nothing here may wait."""

    @property
    def cost(self) -> Cost:
        """What this connection cost so far."""
        ...

    def open(self, tell: Callable[[BudgetWarning], None], run_dry: Callable[[], None]) -> None:
        """The session is ready: from now on it can be warned, and ended by `run_dry` at any time."""
        ...

    def transcribed_by(self, model: str | None) -> None:
        """The conversation's own transcription is by that model from now on."""
        ...

    def saw(self, event: Event) -> None:
        """The session was told this."""
        ...

    def streamed(self, source_id: str, seconds: float) -> None:
        """So much more sound went to the sidecar, on the bill of `source_id`."""
        ...

    def did(self, command: Command) -> None:
        """The session does this, because of what it was told."""
        ...

    def cost_of_turn(self, turn_id: int) -> Cost:
        """What a turn has cost so far."""
        ...

    def close(self) -> None:
        """The session is over: what was asked for and never billed is estimated."""
        ...


class NoCostMeter:
    """Nobody counts."""

    cost = Cost()

    def open(self, tell: Callable[[BudgetWarning], None], run_dry: Callable[[], None]) -> None:
        pass

    def transcribed_by(self, model: str | None) -> None:
        pass

    def saw(self, event: Event) -> None:
        pass

    def streamed(self, source_id: str, seconds: float) -> None:
        pass

    def did(self, command: Command) -> None:
        pass

    def cost_of_turn(self, turn_id: int) -> Cost:
        return Cost()

    def close(self) -> None:
        pass
