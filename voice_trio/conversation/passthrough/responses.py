"""The responses of a drop-in client's model: one at a time in the conversation (I1), any number aside of it.

It knows responses and their sound; it does not know how a turn came about, or when one may ask.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.responses import TAG
from voice_trio.conversation.turn.playback import Playback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.playback import Heard
    from voice_trio.conversation.turn.turn import Turn

ASIDES_MAX = 16
"""Responses outside of the conversation that one client may have running."""
METADATA_PAIRS_MAX = 16
"""OpenAI's; where a client uses all of them there is no room for our tag."""


@dataclass(slots=True)
class PassthroughResponse:
    """A response in the conversation. `asked_as` is the client's own `event_id`, where the client asked."""

    turn: Turn
    tag: str
    asked_as: str | None = None
    response_id: str | None = None
    is_silent: bool = False
    """Interrupted: nothing more of its sound is passed on."""
    stops_at_once: bool = False
    """Silenced before the model had begun it: it is cancelled when it appears."""
    was_reminded: bool = False
    has_calls: bool = False
    heard: list[Heard] | None = None
    """What had been heard of it when it was interrupted."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A response that the model will not make: the `reply` it was to be, or one aside; and the client's event id."""

    reply: PassthroughResponse | None
    asked_as: str | None


class PassthroughResponses:
    """`open` is the response that is asked for or active; `latest` stays until the next is asked for."""

    def __init__(self, policy: Policy, out: Outbound) -> None:
        self._policy = policy
        self._out = out
        self.playback = Playback()
        self.open: PassthroughResponse | None = None
        self.latest: PassthroughResponse | None = None
        self._asides: dict[str, str | None] = {}  # by tag, then by response id: the client's own event id
        self._untagged: deque[str] = deque()  # tags that there was no room for, in the order of asking

    @property
    def is_free(self) -> bool:
        return self.open is None

    @property
    def is_active(self) -> bool:
        """Whether the client would call a response active."""
        return self.open is not None and not self.open.is_silent

    @property
    def has_asides(self) -> bool:
        return bool(self._asides)

    def is_audible(self, now: float) -> bool:
        """Whether there is something to interrupt."""
        return self.is_active or self.playback.is_playing(now)

    # Asking

    def ask(self, turn: Turn, body: Mapping[str, object], asked_as: str | None, now: float) -> PassthroughResponse:
        """`response.create` in the conversation; only while it is free."""
        tag = self._send(body, now)
        self.open = self.latest = PassthroughResponse(turn, tag, asked_as)
        return self.open

    def ask_aside(self, body: Mapping[str, object], asked_as: str | None, now: float) -> bool:
        """`response.create` outside of the conversation; false if there are too many already."""
        if len(self._asides) >= ASIDES_MAX:
            return False
        self._asides[self._send(body, now)] = asked_as
        return True

    def _send(self, body: Mapping[str, object], now: float) -> str:
        tag = self._out.new_id("r")
        metadata = body.get("metadata")
        if isinstance(metadata, dict) and len(metadata) >= METADATA_PAIRS_MAX:
            self._untagged.append(tag)
        self._out.to_model(commands.CreateClientResponse(tag, {TAG: tag}, body))
        self._out.add(commands.ScheduleEvent(now + self._policy.creation_seconds_max, events.CreationOverdue(tag)))
        return tag

    # What the model says of a response

    def created(self, event: events.ResponseCreated, now: float) -> PassthroughResponse | None:
        """The reply that begins now; any other response is aside, or nobody's: that one is cancelled."""
        if self.is_known(event.response_id):
            return None  # told twice
        tag = event.metadata.get(TAG)
        if tag is None and self._untagged:
            tag = self._untagged.popleft()
        if tag is not None and tag in self._asides:
            self._asides[event.response_id] = self._asides.pop(tag)
            return None
        reply = self.open
        if reply is None or reply.response_id is not None or tag not in (None, reply.tag):
            self._out.add(commands.LogWarning("unasked_response", "the model answered unasked; cancelled"))
            self.cancel(event.response_id)
            return None
        reply.response_id = event.response_id
        if reply.stops_at_once:
            self.cancel(event.response_id)
            self._out.add(commands.ScheduleEvent(now + self._policy.done_seconds_max, events.DoneOverdue(reply.tag)))
        return reply

    def find(self, response_id: str) -> PassthroughResponse | None:
        reply = self.open
        return reply if reply is not None and reply.response_id == response_id else None

    def is_known(self, response_id: str) -> bool:
        """Whether the client may hear this response: it is the conversation's, or the client's own aside."""
        return response_id in self._asides or self.find(response_id) is not None

    def done(self, response_id: str) -> PassthroughResponse | None:
        """The response has ended; the reply it was, unless it was aside or nobody's."""
        self._asides.pop(response_id, None)
        reply = self.find(response_id)
        if reply is not None:
            self.open = None
        return reply

    def refused(self, tag: str) -> Refused | None:
        """The model will not make this response, or has not in all this time; None if it is there, or long over."""
        if tag in self._untagged:
            self._untagged.remove(tag)
        if tag in self._asides:
            return Refused(None, self._asides.pop(tag))
        reply = self.open
        if reply is None or reply.tag != tag or reply.response_id is not None:
            return None
        self.open = None
        return Refused(reply, reply.asked_as)

    # Interruption

    def silence(self, now: float) -> None:
        """Nothing more is heard of the reply; if it goes on, it is waited for, but not for ever."""
        if self.latest is not None:
            self.latest.heard = self.playback.heard(now)
        self.playback.clear()
        reply = self.open
        if reply is not None:
            reply.is_silent = True
            reply.stops_at_once = reply.response_id is None
            if not reply.stops_at_once:
                self._out.add(
                    commands.ScheduleEvent(now + self._policy.done_seconds_max, events.DoneOverdue(reply.tag))
                )

    def overdue(self, tag: str, now: float) -> None:
        """A silenced response is still not done: cancel it by id, and the next time do without."""
        reply = self.open
        if reply is None or reply.tag != tag or not reply.is_silent or reply.response_id is None:
            return
        if not reply.was_reminded:
            reply.was_reminded = True
            self.cancel(reply.response_id)
            self._out.add(commands.ScheduleEvent(now + self._policy.done_seconds_max, events.DoneOverdue(tag)))
            return
        self._out.add(commands.LogWarning("done_missing", "an interrupted response was never reported done"))
        self.open = None

    def not_active(self, response_id: str) -> None:
        """The model says there is nothing to cancel: its `response.done` was lost, or is not coming."""
        if self.find(response_id) is not None:
            self.open = None

    def cancel(self, response_id: str) -> None:
        """Always by id: a late cancel without one can kill the next answer."""
        self._out.to_model(commands.CancelResponse(self._out.new_id("c"), response_id))
