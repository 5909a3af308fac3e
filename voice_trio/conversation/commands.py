"""What a conversation wants done. The session does it at once and in this order, and decides nothing.

Every event sent to the upstream carries an `event_id` of ours (`vt_…`), so that an error tells which it is about.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from voice_trio.conversation.full_duplex.commands import AppendThinking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.conversation.events import Event, UpstreamError, UpstreamEvent, Usage
    from voice_trio.conversation.full_duplex.events import FullDuplexTimer
    from voice_trio.conversation.turn.record import Outcome, TurnRecord


@dataclass(frozen=True, slots=True)
class CreateContextItem:
    """One system item holding the passages, right after the user's item."""

    event_id: str
    item_id: str
    previous_item_id: str | None
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CreateUserItem:
    event_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class CreateAssistantItem:
    """What the assistant said earlier, for an upstream that did not say it."""

    event_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class CreateInstructionItem:
    """A system item at the end: what the next response is to do differently. The session's instructions still hold."""

    event_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class CreateFunctionOutput:
    event_id: str
    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class CreateResponse:
    """Ask for a response; `metadata` comes back in `response.created` and tells our responses from others."""

    event_id: str
    metadata: Mapping[str, str]
    tools_allowed: bool = True


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Always by id: a late cancel without one can end the next response."""

    event_id: str
    response_id: str


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """The user heard `audio_end_ms` (> 0, at most what was received) of the item's audio."""

    event_id: str
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class DeleteItem:
    event_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class ChangeSpeed:
    """Speak at `speed` (0.25–1.5, 1 is normal) from the next response on."""

    event_id: str
    speed: float


@dataclass(frozen=True, slots=True)
class ChangeTranscription:
    """Transcribe the user's speech with `model` from now on."""

    event_id: str
    model: str


@dataclass(frozen=True, slots=True)
class CreateClientResponse:
    """A client's own `response.create`, or the one its session promises it: `body` as the client wrote it."""

    event_id: str
    metadata: Mapping[str, str]
    body: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ForwardClientEvent:
    """A client's event, known to it as `client_event_id`. `overtakes`: it is written before all that waits."""

    event_id: str
    body: Mapping[str, object] = field(repr=False)
    client_event_id: str | None = None
    overtakes: bool = False
    is_commit: bool = False


UpstreamCommand: TypeAlias = (
    CreateClientResponse
    | ForwardClientEvent
    | CreateContextItem
    | CreateUserItem
    | CreateAssistantItem
    | CreateInstructionItem
    | CreateFunctionOutput
    | CreateResponse
    | CancelResponse
    | TruncateItem
    | DeleteItem
    | ChangeSpeed
    | ChangeTranscription
    | AppendThinking
)


@dataclass(frozen=True, slots=True)
class InjectedPassage:
    """A passage that the upstream was given, whole: the context may have held the beginning of its text."""

    title: str
    source: str
    text: str = field(repr=False)
    id: str = ""
    """By which the client may open it, given by its connection; empty: it may not."""


@dataclass(frozen=True, slots=True)
class ContextInjected:
    """The outcome of this turn's retrieval; `passages` are those of the context, best first."""

    outcome: Outcome
    waited_ms: int
    stale: bool
    passages: tuple[InjectedPassage, ...]


@dataclass(frozen=True, slots=True)
class PlaybackFlush:
    """Drop all queued sound of the response now; `played_ms` of `item_id` have been heard, by the clock."""

    item_id: str
    played_ms: int


@dataclass(frozen=True, slots=True)
class WaitingForUpstream:
    """For `seconds` nothing has come of the response that was asked for, though the upstream is connected."""

    seconds: int


@dataclass(frozen=True, slots=True)
class ErrorNotice:
    """An error that the user should know; it does not end the session."""

    code: str
    message: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class UpstreamErrorForwarded:
    """The upstream's error about something that the client asked for, known to it as `event_id`."""

    error: UpstreamError = field(repr=False)
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A client's request is refused; `event_id` is the client's own."""

    code: str
    message: str
    event_id: str | None = None
    param: str | None = None
    is_ours: bool = False
    """Whether the server is at fault, not the request."""


@dataclass(frozen=True, slots=True)
class ResponseNotAsked:
    """A client's request was cancelled before it could leave: the client gets its response, created and cancelled."""

    metadata: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class TruncateAck:
    """The item is truncated already: the client gets the acknowledgement it expects."""

    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class DeleteAck:
    item_id: str


@dataclass(frozen=True, slots=True)
class EmptyItemShown:
    """An item that was not heard and that the gateway deleted: a client that retrieves it gets it without content."""

    item_id: str


PassthroughNotice: TypeAlias = (
    UpstreamErrorForwarded | RequestRefused | ResponseNotAsked | TruncateAck | DeleteAck | EmptyItemShown
)
ClientNotice: TypeAlias = ContextInjected | PlaybackFlush | WaitingForUpstream | ErrorNotice


@dataclass(frozen=True, slots=True)
class SendToUpstream:
    command: UpstreamCommand


@dataclass(frozen=True, slots=True)
class SendToClient:
    event: UpstreamEvent | ClientNotice | PassthroughNotice


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """Open a cancel scope for this turn; searches, tools and its wait live in it."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class EndTurn:
    """Cancel the turn's scope and everything in it."""

    turn_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class StartSearch:
    """Search the knowledge base or, `local`, the passage cache."""

    turn_id: int
    search_id: int
    query: str
    local: bool = False


@dataclass(frozen=True, slots=True)
class CallTool:
    turn_id: int
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ScheduleEvent:
    """Feed `event` back at time `at`; with a `turn_id` only while that turn's scope is open."""

    at: float
    event: Event | FullDuplexTimer
    turn_id: int | None = None


@dataclass(frozen=True, slots=True)
class CountUsage:
    """Tokens or seconds that will be billed; each `source_id` (response or item) is counted once."""

    kind: str
    source_id: str
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class ReportTurn:
    record: TurnRecord


@dataclass(frozen=True, slots=True)
class LogWarning:
    """A line in the log; the user need not know."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class EndSession:
    """The conversation cannot go on, and another upstream would refuse it with the same `code`."""

    code: str


@dataclass(frozen=True, slots=True)
class ReplaceUpstream:
    """This upstream is of no more use; connect to another one."""

    code: str


@dataclass(frozen=True, slots=True)
class StartSilence:
    """The user is speaking: while the client sends no sound, feed the upstream silence, so that it hears the end."""


@dataclass(frozen=True, slots=True)
class StopSilence:
    """The user has stopped speaking."""


Command: TypeAlias = (
    SendToUpstream
    | SendToClient
    | BeginTurn
    | EndTurn
    | StartSearch
    | CallTool
    | ScheduleEvent
    | CountUsage
    | ReportTurn
    | LogWarning
    | StartSilence
    | StopSilence
    | ReplaceUpstream
    | EndSession
)
