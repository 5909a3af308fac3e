"""What a conversation wants done. The session does it, at once and in this order, without deciding anything.

Every event sent to the model carries an `event_id` of ours (`vt_…`), so that its errors can be told from others'.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.conversation.events import Event, UpstreamError, UpstreamEvent, Usage
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
    """What the assistant said earlier, to a model that did not say it."""

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
    """Ask for the answer; `metadata` comes back in `response.created` and tells our responses from others'."""

    event_id: str
    metadata: Mapping[str, str]
    tools_allowed: bool = True


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Always by id: a late cancel without one can kill the next answer."""

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
    """Speak at `speed` (0.25–1.5, 1 is normal) from the next answer on."""

    event_id: str
    speed: float


@dataclass(frozen=True, slots=True)
class CreateClientResponse:
    """A `response.create` of a drop-in client's, or the one its session promised it: `body` as the client wrote it."""

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
    | CreateFunctionOutput
    | CreateResponse
    | CancelResponse
    | TruncateItem
    | DeleteItem
    | ChangeSpeed
)


@dataclass(frozen=True, slots=True)
class ContextInjected:
    """What this turn's retrieval came to; `passages` are (title, source) of what the model was given."""

    outcome: Outcome
    waited_ms: int
    stale: bool
    passages: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PlaybackFlush:
    """Drop every queued piece of the answer now; `played_ms` of `item_id` are thought to have been heard."""

    item_id: str
    played_ms: int


@dataclass(frozen=True, slots=True)
class ErrorNotice:
    """Something went wrong that the user should know; never fatal by itself."""

    code: str
    message: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class UpstreamErrorForwarded:
    """The model's complaint about something that a drop-in client asked for, known to it as `event_id`."""

    error: UpstreamError = field(repr=False)
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A drop-in client's request goes no further; `event_id` is the client's own."""

    code: str
    message: str
    event_id: str | None = None
    param: str | None = None
    is_ours: bool = False
    """The fault is the server's, not the request's."""


@dataclass(frozen=True, slots=True)
class TruncateAck:
    """The item is cut already: a drop-in client is told what it expects to hear."""

    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class DeleteAck:
    item_id: str


@dataclass(frozen=True, slots=True)
class EmptyItemShown:
    """An answer that nobody heard, and that the model was made to forget: asked for, it is shown without content."""

    item_id: str


PassthroughNotice: TypeAlias = UpstreamErrorForwarded | RequestRefused | TruncateAck | DeleteAck | EmptyItemShown
ClientNotice: TypeAlias = ContextInjected | PlaybackFlush | ErrorNotice


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
    """Ask the knowledge base or, `local`, the passages of earlier answers that are kept at hand."""

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
    event: Event
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
    """Worth a line in the log; the user need not know."""

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
