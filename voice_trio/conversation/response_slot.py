"""The response slot: one response at a time in the upstream's conversation (I1), under both turn policies.

It knows nothing of context, clients or the words of a response.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from voice_trio.conversation import commands, events
from voice_trio.conversation.announced import AnnouncedResponses
from voice_trio.conversation.policy import ANSWERS_UNASKED, UNASKED_MAX
from voice_trio.conversation.response import CLIENT_CANCELLED, STALLED, UPSTREAM_LOST, Response, ResponseState
from voice_trio.conversation.turn.playback import CLOCK_SLACK_SECONDS, Playback

if TYPE_CHECKING:
    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.policy import Policy

R = TypeVar("R", bound=Response)


# How a response passes through the slot
#
# The upstream refuses a second active response, and a `response.cancel` without an id cancels whatever is active by
# then. So one slot decides when the next `response.create` may leave, and a cancel always names its response.
#
#     response.create ─► ASKED ──response.created──► ACTIVE ──response.done──► DONE, the slot is free
#                          │ creation overdue           │ done overdue (interrupted): cancel again, then give up
#                          ▼                            │ stalled: cancel, give up
#                       given up: cancelled             │ nothing to cancel: its response.done was lost
#                       if it still appears             ▼
#
# **Tag.** `response.create` carries a tag in its metadata, and `response.created` returns it. A created response
# without our tag is ours only while one is outstanding: some compatible servers drop metadata. Any other is
# unsolicited.
#
# **Unsolicited.** Such a response was not requested, or it came after it had been given up: it is ungrounded, or late.
# It is cancelled, and the slot stays busy until its `response.done`, at most `done_seconds_max`: a `response.create`
# sent before that would be refused.
#
# **Interrupted.** After a barge-in the server cancels by itself (`interrupt_response`), so a cancel sent at once would
# arrive late and could end the next response. Only after `done_seconds_max` is it cancelled by id; after as long again
# the slot is free without its `response.done`.
#
# **Silent, stalled.** While nothing comes of its response, the client gets a notice each `silent_seconds`. An active
# one without any event for `stall_seconds_max` is cancelled by id and not waited for. A function that the gateway runs
# for it is no silence.
#
# **Given up.** Where the slot waits no longer for a `response.done`, the client still does. It gets one from the
# gateway then, and nothing of that response afterwards (I14): `AnnouncedResponses`.
#
# Event names and rules: https://platform.openai.com/docs/api-reference/realtime-server-events


class ResponseSlot(Generic[R]):
    """`open` is the response that is asked for or active; `latest` stays until the next one is asked for."""

    def __init__(self, policy: Policy, out: Outbound) -> None:
        self._policy = policy
        self._out = out
        self._unsolicited: set[str] = set()  # response ids: cancelled, not yet done
        self._given_up: set[str] = set()  # tags: never created in time
        self._blocked = False
        self._unasked = 0
        self.open: R | None = None
        self.latest: R | None = None
        self.announced = AnnouncedResponses(out)
        self.playback = Playback()
        """The sound of `latest`, as far as it was forwarded."""

    @property
    def is_free(self) -> bool:
        """Whether `response.create` may leave: nothing asked for, nothing active, nothing in the way."""
        return self.open is None and not self._unsolicited and not self._blocked

    @property
    def asked_tag(self) -> str | None:
        """The tag of the response that is asked for and not created yet."""
        response = self.open
        return response.tag if response is not None and response.state is ResponseState.ASKED else None

    def find(self, response_id: str) -> R | None:
        """The open response of that id."""
        response = self.open
        return response if response is not None and response.response_id == response_id else None

    # Asking

    def occupy(self, response: R, now: float) -> None:
        """The response's `response.create` leaves at `now`."""
        self.open = self.latest = response
        response.active_at = now
        self.expect_creation(response.tag, now)
        self._expect_event(response)

    def expect_creation(self, tag: str, now: float) -> None:
        at = now + self._policy.creation_seconds_max
        self._out.issued.append(commands.ScheduleEvent(at, events.CreationOverdue(tag)))

    def refused(self, tag: str) -> R | None:
        """The upstream refused a `response.create`; the response it was for, if it is still outstanding."""
        response = self.open
        if response is None or response.tag != tag or response.state is not ResponseState.ASKED:
            return None
        self._close(response)
        return response

    def give_up_uncreated(self, tag: str) -> R | None:
        """No `response.created` in all this time; the response, if it is still outstanding."""
        response = self.refused(tag)
        if response is not None:
            self._given_up.add(tag)
        return response

    def block(self, tag: str, now: float) -> None:
        """The upstream refused the response with that tag, because another one is active that is unknown to us.

        Any `response.done` frees the slot; else the `CreationOverdue` that is scheduled here does.
        """
        self._blocked = True
        at = now + self._policy.done_seconds_max
        self._out.issued.append(commands.ScheduleEvent(at, events.CreationOverdue(tag)))

    def unblock(self, tag: str) -> bool:
        """Wait no longer for the unknown response that was in the way of this one; whether the slot was blocked."""
        if self.latest is None or self.latest.tag != tag:
            return False
        was_blocked, self._blocked = self._blocked, False
        return was_blocked

    # What the upstream says

    def created(self, response_id: str, tag: str | None, now: float) -> R | None:
        """The open response that now becomes active; `None` for a repeated event or an unsolicited response.

        One that was interrupted before it was created is cancelled here.
        """
        response = self.open
        if response is not None and response.response_id == response_id:
            return None
        if response is None or response.state is not ResponseState.ASKED or tag not in (None, response.tag):
            self._cancel_unsolicited(response_id, tag, now)
            return None
        response.state, response.response_id, response.active_at = ResponseState.ACTIVE, response_id, now
        if response.interrupted:
            self.cancel(response_id)
        else:
            self._watch(response)
        return response

    def identified(self, event: events.ResponseDone) -> events.ResponseDone:
        """The event, of the active response if its own id could not be read: no other can be meant."""
        response = self.open
        if event.response_id or response is None or response.response_id is None:
            return event
        return replace(event, response_id=response.response_id)

    def done(self, response_id: str) -> R | None:
        """`response.done` came; the open response it ends, `None` for an unsolicited one or one given up."""
        self._unsolicited.discard(response_id)
        self._blocked = False
        return self._close_by_id(response_id)

    def not_active(self, response_id: str) -> None:
        """There was nothing to cancel: its `response.done` was lost, or is not coming."""
        self._unsolicited.discard(response_id)
        self._close_by_id(response_id)
        self.announced.give_up(response_id, "cancelled", CLIENT_CANCELLED)

    # What takes too long

    def expect_done(self, response: R, now: float) -> None:
        """The response was interrupted and created: `done_overdue` follows."""
        at = now + self._policy.done_seconds_max
        self._out.issued.append(commands.ScheduleEvent(at, events.DoneOverdue(response.tag)))

    def done_overdue(self, tag: str, now: float) -> None:
        """An interrupted response is still not done: cancel it by id, and the next time do without."""
        response = self.open
        if response is None or response.tag != tag or not response.interrupted:
            return
        if response.response_id is not None and not response.cancel_resent:
            response.cancel_resent = True
            self.cancel(response.response_id)
            self.expect_done(response, now)
            return
        if response.response_id is None:
            self._given_up.add(tag)
        self._out.warn("done_missing", "an interrupted response was never reported done")
        self._close(response)
        self.announced.give_up(response.response_id, "cancelled", response.interrupted_by)

    def unsolicited_overdue(self, response_id: str) -> None:
        """It was cancelled and its `response.done` did not come: the slot waits no longer."""
        if response_id in self._unsolicited:
            self._unsolicited.discard(response_id)
            self.announced.give_up(response_id, "cancelled", CLIENT_CANCELLED)

    def silent(self, tag: str, now: float) -> None:
        """Send a notice if nothing has come of this response for `silent_seconds`, and again after as long."""
        response = self.open
        if response is None or response.tag != tag or response.interrupted:
            return
        if self.awaits_us(response):
            response.active_at = now
        silent_seconds = now - response.active_at
        if silent_seconds < self._policy.silent_seconds - CLOCK_SLACK_SECONDS:
            self._expect_event(response)
            return
        self._out.to_client(commands.WaitingForUpstream(round(silent_seconds)))
        at = now + self._policy.silent_seconds
        self._out.issued.append(commands.ScheduleEvent(at, events.ResponseSilent(tag)))

    def awaits_us(self, response: R) -> bool:
        """Whether the upstream waits for something of the gateway's before it goes on."""
        return False

    def note_life(self, event: events.OtherUpstreamEvent, now: float) -> None:
        """Written output and arguments of functions come as other events; they show that a response goes on."""
        response = self.find(event.response_id) if event.response_id else self.open
        if response is not None and event.type.startswith("response."):
            response.active_at = now

    def stalled(self, tag: str, now: float) -> R | None:
        """The response that has come to a standstill, if it is this one: cancelled by id, and not waited for."""
        response = self.open
        if response is None or response.tag != tag or response.interrupted or response.response_id is None:
            return None
        if self.awaits_us(response):
            response.active_at = now
        if now - response.active_at < self._policy.stall_seconds_max - CLOCK_SLACK_SECONDS:
            self._watch(response)
            return None
        self.cancel(response.response_id)
        self._close(response)
        self.announced.give_up(response.response_id, "incomplete", STALLED)
        self._out.warn("answer_stalled", "an active response said nothing for long; cancelled")
        return response

    def upstream_lost(self) -> R | None:
        """All that the upstream was doing is gone; the response it was working on, unless it was interrupted."""
        response, self.open = self.open, None
        for response_id in self.announced.open_ids:
            if response is not None and response.response_id == response_id and response.interrupted:
                self.announced.give_up(response_id, "cancelled", response.interrupted_by)
            else:
                self.announced.give_up(response_id, "incomplete", UPSTREAM_LOST)
        self._unsolicited.clear()
        self._blocked = False
        if self.latest is not None:
            self.latest.state = ResponseState.DONE
        return None if response is None or response.interrupted else response

    def cancel(self, response_id: str) -> None:
        """Always by id: a late cancel without one can end the next response."""
        self._out.to_upstream(commands.CancelResponse(self._out.new_id("c"), response_id))

    def _cancel_unsolicited(self, response_id: str, tag: str | None, now: float) -> None:
        if tag in self._given_up:
            self._given_up.discard(tag)
        else:
            self._unasked += 1
            self._out.warn("unasked_response", "the model answered unasked; cancelled")
            if self._unasked == UNASKED_MAX:
                notice = commands.ErrorNotice(
                    "model_error", "The model answers without being asked: it cannot be used."
                )
                self._out.to_client(notice)
                self._out.issued.append(commands.EndSession(ANSWERS_UNASKED))
        self._unsolicited.add(response_id)
        self.cancel(response_id)
        at = now + self._policy.done_seconds_max
        self._out.issued.append(commands.ScheduleEvent(at, events.UnsolicitedOverdue(response_id)))

    def _expect_event(self, response: R) -> None:
        at = response.active_at + self._policy.silent_seconds
        self._out.issued.append(commands.ScheduleEvent(at, events.ResponseSilent(response.tag)))

    def _watch(self, response: R) -> None:
        at = response.active_at + self._policy.stall_seconds_max
        self._out.issued.append(commands.ScheduleEvent(at, events.ResponseStalled(response.tag)))

    def _close_by_id(self, response_id: str) -> R | None:
        response = self.open
        if response is None or response.response_id != response_id:
            return None
        self._close(response)
        return response

    def _close(self, response: R) -> None:
        response.state = ResponseState.DONE
        self.open = None
