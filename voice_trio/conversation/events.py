"""What can happen to a conversation, from the upstream, from the client and from the session itself.

Times are no part of an event: they come beside it, as `ManagedConversation.handle(event, now)`. Durations are in ms,
audio is opaque (base64 as it stood on the wire). `wire` is the frame an event was read from, for protocols that may
pass it on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from voice_trio.conversation.retrieval.passage import Passage

Usage: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FromUpstream:
    """An event of the upstream."""

    wire: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class SpeechStarted(FromUpstream):
    item_id: str
    audio_start_ms: int = 0


@dataclass(frozen=True, slots=True)
class SpeechStopped(FromUpstream):
    item_id: str
    audio_end_ms: int = 0


@dataclass(frozen=True, slots=True)
class SpeechCommitted(FromUpstream):
    item_id: str
    previous_item_id: str | None = None


@dataclass(frozen=True, slots=True)
class TranscriptDelta(FromUpstream):
    """A piece of what the user is saying: a hint, append-only; a new word begins with its space."""

    item_id: str
    delta: str
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class TranscriptCompleted(FromUpstream):
    """All of what the user said in an item; it overrules the deltas."""

    item_id: str
    transcript: str
    usage: Usage | None = None
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class TranscriptFailed(FromUpstream):
    item_id: str
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ResponseCreated(FromUpstream):
    response_id: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutputItemAdded(FromUpstream):
    response_id: str
    item_id: str
    kind: str = "message"


@dataclass(frozen=True, slots=True, init=False)
class ResponseAudioDelta(FromUpstream):
    response_id: str
    item_id: str
    audio: str = field(repr=False)
    duration_ms: float

    # By far the most frequent event. The generated `__init__` of a frozen class takes twice as long.
    def __init__(self, response_id: str, item_id: str, audio: str, duration_ms: float, *, wire: str = "") -> None:
        _SET_WIRE(self, wire)
        _SET_RESPONSE_ID(self, response_id)
        _SET_ITEM_ID(self, item_id)
        _SET_AUDIO(self, audio)
        _SET_DURATION_MS(self, duration_ms)


_SET_WIRE = FromUpstream.__dict__["wire"].__set__
_SET_RESPONSE_ID = ResponseAudioDelta.__dict__["response_id"].__set__
_SET_ITEM_ID = ResponseAudioDelta.__dict__["item_id"].__set__
_SET_AUDIO = ResponseAudioDelta.__dict__["audio"].__set__
_SET_DURATION_MS = ResponseAudioDelta.__dict__["duration_ms"].__set__


@dataclass(frozen=True, slots=True)
class ResponseAudioDone(FromUpstream):
    response_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class ResponseTranscriptDelta(FromUpstream):
    """A piece of what the assistant says, just ahead of its sound."""

    response_id: str
    item_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ResponseTranscriptDone(FromUpstream):
    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class FunctionCalled(FromUpstream):
    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ResponseDone(FromUpstream):
    """The end of a response; `status` is completed, cancelled, failed or incomplete."""

    response_id: str
    status: str
    reason: str = ""
    error_code: str = ""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class UpstreamError(FromUpstream):
    """An error of the upstream; `event_id` is the event of ours that it is about, where it says so."""

    code: str
    message: str = field(default="", repr=False)
    event_id: str | None = None
    param: str = ""


@dataclass(frozen=True, slots=True)
class AudioCleared(FromUpstream):
    """The audio since the last commit was discarded."""


@dataclass(frozen=True, slots=True)
class ItemTruncated(FromUpstream):
    item_id: str


@dataclass(frozen=True, slots=True)
class ItemDeleted(FromUpstream):
    item_id: str


@dataclass(frozen=True, slots=True)
class OtherUpstreamEvent(FromUpstream):
    """Any other event of the upstream; it only shows that the upstream, or its response of that id, is at work."""

    type: str
    response_id: str = ""


InputEvent: TypeAlias = (
    SpeechStarted
    | SpeechStopped
    | SpeechCommitted
    | TranscriptDelta
    | TranscriptCompleted
    | TranscriptFailed
    | AudioCleared
)
"""Of what the user says."""

ResponseEvent: TypeAlias = (
    ResponseCreated
    | OutputItemAdded
    | ResponseAudioDone
    | ResponseTranscriptDelta
    | ResponseTranscriptDone
    | FunctionCalled
    | ResponseDone
)
"""Of a response; its sound is an event of its own family, because it is by far the most frequent."""

UpstreamEvent: TypeAlias = (
    ResponseAudioDelta | InputEvent | ResponseEvent | UpstreamError | ItemTruncated | ItemDeleted | OtherUpstreamEvent
)


@dataclass(frozen=True, slots=True)
class TextInput:
    """The user typed a question; it interrupts the response."""

    text: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The user interrupts the response; `played_ms` of `item_id` were heard, where the client says so."""

    item_id: str | None = None
    played_ms: float | None = None


@dataclass(frozen=True, slots=True)
class PlaybackPosition:
    """The client has played `played_ms` of `item_id`; `flushed` marks the report that follows a flush."""

    item_id: str
    played_ms: float
    flushed: bool = False


@dataclass(frozen=True, slots=True)
class LanguageDetected:
    language: str


ClientEvent: TypeAlias = TextInput | Interrupt | PlaybackPosition | LanguageDetected


@dataclass(frozen=True, slots=True)
class AudioSent:
    """`duration_ms` of `item_id` have been written to the client's socket."""

    item_id: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class SearchFinished:
    search_id: int
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class SearchFailed:
    search_id: int


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool's result, as the JSON text that the upstream will read."""

    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class WaitOver:
    """The turn's wait for context is used up."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class PositionOverdue:
    """The client had its time to report its position at a flush."""

    truncation_id: int


@dataclass(frozen=True, slots=True)
class CreationOverdue:
    """A `response.create` should long have been answered."""

    tag: str


@dataclass(frozen=True, slots=True)
class DoneOverdue:
    """An interrupted response should long have been done."""

    tag: str


@dataclass(frozen=True, slots=True)
class UpstreamReady:
    """An upstream is connected that knows nothing yet: the first one, or the next after one was lost."""


@dataclass(frozen=True, slots=True)
class UpstreamLost:
    """The upstream is gone, with all it knew and was doing."""


@dataclass(frozen=True, slots=True)
class ResponseDenied:
    """The session sent no `response.create` for this response: what is left of a budget is reserved by others."""

    tag: str


@dataclass(frozen=True, slots=True)
class ResponseSilent:
    """A response that was asked for may have been without an event for long enough to tell the client."""

    tag: str


@dataclass(frozen=True, slots=True)
class ResponseStalled:
    """An active response may have been without an event for long."""

    tag: str


@dataclass(frozen=True, slots=True)
class UnsolicitedOverdue:
    """An unsolicited response, which was cancelled, should long have been done."""

    response_id: str


@dataclass(frozen=True, slots=True)
class CommitMissing:
    """Speech of the item ended, and its commit should long have come: some servers send none."""

    item_id: str


@dataclass(frozen=True, slots=True)
class CommitOverdue:
    """The upstream should long have answered the client's own commit; commits are numbered."""

    number: int


@dataclass(frozen=True, slots=True)
class SpeechOverdue:
    """The upstream was lost while the user spoke, and they have had time to go on."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class PlaybackCheck:
    """By the clock, this turn's response has been heard to its end."""

    turn_id: int


WorkEvent: TypeAlias = AudioSent | SearchFinished | SearchFailed | ToolFinished
"""What the session has done."""

TimerEvent: TypeAlias = (
    WaitOver
    | PositionOverdue
    | CreationOverdue
    | DoneOverdue
    | ResponseSilent
    | ResponseStalled
    | UnsolicitedOverdue
    | PlaybackCheck
    | SpeechOverdue
    | CommitMissing
    | CommitOverdue
)
"""What a `ScheduleEvent` asked for; it may come when it means nothing any more."""

InternalEvent: TypeAlias = WorkEvent | TimerEvent | UpstreamReady | UpstreamLost | ResponseDenied

Event: TypeAlias = UpstreamEvent | ClientEvent | InternalEvent
