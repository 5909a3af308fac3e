"""What a dialogue has to say and to have done, collected in the order in which it was decided. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from voice_trio.protocols.realtime import server_events

if TYPE_CHECKING:
    from voice_trio.errors import InvalidEvent


@dataclass(frozen=True, slots=True)
class Listen:
    """Begin to listen to an utterance."""

    hearing_id: int


@dataclass(frozen=True, slots=True)
class Hear:
    """The next audio of an utterance."""

    hearing_id: int
    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FinishHearing:
    """The utterance is over: tell what was said."""

    hearing_id: int


@dataclass(frozen=True, slots=True)
class ForgetHearing:
    """Nobody wants to know any more what was said."""

    hearing_id: int


@dataclass(frozen=True, slots=True)
class Speak:
    """Say a text, as the answer of a response."""

    response_id: str
    text: str
    voice: str
    speed: float


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    response_id: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection, once everything before has been said."""

    code: int
    reason: str


Order: TypeAlias = Listen | Hear | FinishHearing | ForgetHearing | Speak | StopSpeaking | HangUp
Output: TypeAlias = str | Order
"""A frame for the client, or an order for those who hear and speak."""


class Outbound:
    """`tag` makes the ids of one session differ from those of all others, and from those clients choose."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._count = 0
        self._outputs: list[Output] = []

    def new_id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._tag}{self._count:x}"

    def emit(self, event: server_events.ServerEvent) -> None:
        """Say something. It is written down now: what it speaks of may change later, what was said may not."""
        self._outputs.append(server_events.write_event(event, self.new_id("event")))

    def order(self, order: Order) -> None:
        self._outputs.append(order)

    def complain(self, refused: InvalidEvent, event_id: str | None = None) -> None:
        """An `error` event that names the client's event, where it has a name."""
        trouble = server_events.Trouble(
            message=str(refused), code=refused.code, param=refused.param, event_id=refused.event_id or event_id
        )
        self.emit(server_events.error_event(trouble))

    def take(self) -> list[Output]:
        """Everything since the last time."""
        outputs, self._outputs = self._outputs, []
        return outputs
