"""The passthrough policy's responses: the slot for the conversation (I1), any number outside of it.

An out-of-band response (`conversation: "none"`) is the client's own affair: its events pass, its sound is no part of
the conversation, and the slot does not see it. When a response is asked for is decided in `PassthroughTurnFlow`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.response import STALLED, TAG, Response
from voice_trio.conversation.response_slot import ResponseSlot
from voice_trio.conversation.turn.playback import CLOCK_SLACK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.passthrough.requests import ResponseRequested
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.playback import Heard
    from voice_trio.conversation.turn.turn import Turn

OUT_OF_BAND_MAX = 4
"""Responses outside of the conversation that one client may have running: each is paid, and none waits for another."""
METADATA_PAIRS_MAX = 16
"""OpenAI's; where a client uses all of them there is no room for our tag."""


@dataclass(slots=True)
class PassthroughResponse(Response):
    """A response in the conversation."""

    is_requested: bool = True
    """Whether the client asked for it; else its session promised it."""
    client_event_id: str | None = None
    """The `event_id` of the client's request, where the client asked and gave one."""
    has_calls: bool = False
    heard: list[Heard] | None = None
    """What had been heard of it when it was interrupted."""


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """A response that the upstream will not make: `response`, or an out-of-band one; and the client's event id."""

    response: PassthroughResponse | None
    client_event_id: str | None


class PassthroughResponses(ResponseSlot[PassthroughResponse]):
    """The slot, with the client's event ids, out-of-band responses, and responses without room for a tag."""

    def __init__(self, policy: Policy, out: Outbound) -> None:
        super().__init__(policy, out)
        self._out_of_band: dict[str, str | None] = {}  # by tag, then by response id: the client's own event id
        self._out_of_band_active_at: dict[str, float] = {}  # by response id
        self._untagged: list[str] = []  # tags that there was no room for, in the order of asking

    @property
    def is_active(self) -> bool:
        """Whether the client would call a response active."""
        return self.open is not None and not self.open.interrupted

    @property
    def has_out_of_band(self) -> bool:
        return bool(self._out_of_band)

    def is_audible(self, now: float) -> bool:
        """Whether there is something to interrupt."""
        return self.is_active or self.playback.is_playing(now)

    def is_known(self, response_id: str) -> bool:
        """Whether the client may hear this response: it is the conversation's, or the client's own out-of-band one."""
        return response_id in self._out_of_band or self.find(response_id) is not None

    def ask(self, turn: Turn, request: ResponseRequested | None, now: float) -> None:
        """`response.create` in the conversation; only while the slot is free. `None`: the session promised it."""
        tag = self._send({} if request is None else request.body)
        response = PassthroughResponse(turn, tag, is_requested=request is not None)
        response.client_event_id = None if request is None else request.event_id
        self.occupy(response, now)

    def ask_out_of_band(self, body: Mapping[str, object], client_event_id: str | None, now: float) -> bool:
        """`response.create` outside of the conversation; false if there are too many already."""
        if len(self._out_of_band) >= OUT_OF_BAND_MAX:
            return False
        tag = self._send(body)
        self._out_of_band[tag] = client_event_id
        self.expect_creation(tag, now)
        return True

    def begin(self, event: events.ResponseCreated, now: float) -> PassthroughResponse | None:
        """`response.created` came; the conversation's response that begins with it, if it is that one."""
        if self.is_known(event.response_id):
            return None  # a repeated event
        tag = event.metadata.get(TAG)
        if tag is None and self._untagged:
            tag = self._untagged.pop(0)
        if tag is not None and tag in self._out_of_band:
            self._out_of_band[event.response_id] = self._out_of_band.pop(tag)
            self._out_of_band_active_at[event.response_id] = now
            self._watch_out_of_band(event.response_id)
            return None
        response = self.created(event.response_id, tag, now)
        if response is not None and response.interrupted:
            self.expect_done(response, now)
        return response

    def done(self, response_id: str) -> PassthroughResponse | None:
        self._out_of_band.pop(response_id, None)
        self._out_of_band_active_at.pop(response_id, None)
        return ResponseSlot.done(self, response_id)

    def note_life(self, event: events.OtherUpstreamEvent, now: float) -> None:
        self.note_out_of_band(event.response_id, now)
        ResponseSlot.note_life(self, event, now)

    def note_out_of_band(self, response_id: str, now: float) -> None:
        """An event of a response that may be outside of the conversation."""
        if response_id in self._out_of_band_active_at:
            self._out_of_band_active_at[response_id] = now

    def out_of_band_stalled(self, response_id: str, now: float) -> FailedRequest | None:
        """The out-of-band response that has come to a standstill, if it is this one: cancelled, and not waited for."""
        active_at = self._out_of_band_active_at.get(response_id)
        if active_at is None:
            return None
        if now - active_at < self._policy.stall_seconds_max - CLOCK_SLACK_SECONDS:
            self._watch_out_of_band(response_id)
            return None
        del self._out_of_band_active_at[response_id]
        self.cancel(response_id)
        self.announced.give_up(response_id, "incomplete", STALLED)
        return FailedRequest(None, self._out_of_band.pop(response_id))

    def _watch_out_of_band(self, response_id: str) -> None:
        at = self._out_of_band_active_at[response_id] + self._policy.stall_seconds_max
        self._out.issued.append(commands.ScheduleEvent(at, events.ResponseStalled(response_id)))

    def upstream_lost(self) -> PassthroughResponse | None:
        self._out_of_band.clear()
        self._out_of_band_active_at.clear()
        return ResponseSlot.upstream_lost(self)

    def take_failed(self, tag: str, *, overdue: bool) -> FailedRequest | None:
        """The upstream refused a response, or is `overdue` to create it; `None` if it is there, or long over."""
        if tag in self._untagged:
            self._untagged.remove(tag)
        if tag in self._out_of_band:
            return FailedRequest(None, self._out_of_band.pop(tag))
        response = self.give_up_uncreated(tag) if overdue else self.refused(tag)
        return None if response is None else FailedRequest(response, response.client_event_id)

    def silence(self, now: float, reason: str) -> None:
        """No more sound of the response is forwarded; if the upstream goes on with it, its end is awaited."""
        if self.latest is not None:
            self.latest.heard = self.playback.heard(now)
        self.playback.clear()
        response = self.open
        if response is not None:
            response.interrupted, response.interrupted_by = True, reason
            if response.response_id is not None:  # else it is cancelled when it is created
                self.expect_done(response, now)

    def _send(self, body: Mapping[str, object]) -> str:
        tag = self._out.new_id("r")
        metadata = body.get("metadata")
        if isinstance(metadata, dict) and len(metadata) >= METADATA_PAIRS_MAX:
            self._untagged.append(tag)
        self._out.to_upstream(commands.CreateClientResponse(tag, {TAG: tag}, body))
        return tag
