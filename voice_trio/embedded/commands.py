"""What the session of one client decides: frames for the client, and commands for the engines. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from voice_trio.protocols.realtime import input_events, server_events


@dataclass(frozen=True, slots=True)
class StartRecognition:
    """Begin to recognise a stretch of speech."""

    recognition_id: int


@dataclass(frozen=True, slots=True)
class RecognizeAudio:
    """The next audio of a stretch of speech."""

    recognition_id: int
    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FinishRecognition:
    """The stretch of speech is over: report the whole text."""

    recognition_id: int


@dataclass(frozen=True, slots=True)
class CancelRecognition:
    """The text is not needed any more."""

    recognition_id: int


@dataclass(frozen=True, slots=True)
class Synthesize:
    """Speak the text of a response."""

    response_id: str
    text: str
    voice: str
    speed: float


@dataclass(frozen=True, slots=True)
class CancelSynthesis:
    response_id: str


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the connection, after the frames before this command."""

    code: int
    reason: str


Command: TypeAlias = (
    StartRecognition
    | RecognizeAudio
    | FinishRecognition
    | CancelRecognition
    | Synthesize
    | CancelSynthesis
    | CloseConnection
)
Output: TypeAlias = str | Command
"""A frame for the client, or a command for the engines."""


class OutputList:
    """Collects frames and commands in the order in which they were decided.

    `tag` makes the ids of one session differ from those of all others, and from those that clients choose.
    """

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._count = 0
        self._outputs: list[Output] = []

    def new_id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._tag}{self._count:x}"

    def emit(self, event: input_events.ServerEvent) -> None:
        """Add a frame. It is encoded at once: the items that it shows may change later, the frame may not."""
        self._outputs.append(server_events.write_event(event, self.new_id("event")))

    def add(self, command: Command) -> None:
        self._outputs.append(command)

    def take(self) -> list[Output]:
        """Everything since the last call."""
        outputs, self._outputs = self._outputs, []
        return outputs
