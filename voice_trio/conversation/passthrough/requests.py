"""What a client of OpenAI's own protocol asks for, as far as something is decided by it.

`body` is what goes on to the upstream: JSON values that the protocol has checked and cut to what may pass, without the
client's `event_id`. That one never goes upstream; it comes back in errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Body: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRequest:
    """An event of the client's; `event_id` is its own, where it gave one."""

    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class TurnPolicyUpdated(ClientRequest):
    """The session was updated. `automatic`: a response follows each commit of the upstream's own turn detection;
    `interrupts`: speech stops the response; `detects_turns`: the upstream finds where speech begins and ends."""

    automatic: bool
    interrupts: bool
    detects_turns: bool


@dataclass(frozen=True, slots=True)
class ResponseRequested(ClientRequest):
    """`response.create`, with what this response is to do differently; `out_of_band` if outside of the conversation."""

    body: Body = field(default_factory=dict, repr=False)
    out_of_band: bool = False


@dataclass(frozen=True, slots=True)
class ResponseCancelRequested(ClientRequest):
    """`response.cancel`; without an id, whatever is active in the conversation."""

    response_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemCreateRequested(ClientRequest):
    """`conversation.item.create`; `text` is what is written in it, `item_id` the client's choice, if any."""

    body: Body = field(repr=False)
    item_id: str | None = None
    text: str = field(default="", repr=False)
    role: str = ""
    """Of messages: user, assistant or system."""


@dataclass(frozen=True, slots=True)
class ItemTruncateRequested(ClientRequest):
    """`conversation.item.truncate`: the user heard `audio_end_ms` of the item."""

    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class ItemRetrieveRequested(ClientRequest):
    """`conversation.item.retrieve`."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemDeleteRequested(ClientRequest):
    """`conversation.item.delete`."""

    item_id: str


@dataclass(frozen=True, slots=True)
class AudioCommitRequested(ClientRequest):
    """`input_audio_buffer.commit`: what was sent so far is what the user said."""


@dataclass(frozen=True, slots=True)
class ForwardedEvent(ClientRequest):
    """Anything else that may pass; nothing is decided by it."""

    body: Body = field(repr=False)


Request: TypeAlias = (
    TurnPolicyUpdated
    | ResponseRequested
    | ResponseCancelRequested
    | ItemCreateRequested
    | ItemTruncateRequested
    | ItemRetrieveRequested
    | ItemDeleteRequested
    | AudioCommitRequested
    | ForwardedEvent
)
