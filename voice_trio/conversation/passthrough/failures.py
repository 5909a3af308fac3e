"""What goes wrong with an upstream, and how the client's request that it was about is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import (
    BUDGET_EXHAUSTED,
    BUDGET_RESERVED_MESSAGE,
    FATAL_CODES,
    RESPONSE_ATTEMPTS_MAX,
    SESSION_EXPIRED,
)
from voice_trio.conversation.turn.turn import TurnState
from voice_trio.conversation.upstream_errors import ErrorKind, cause_of, kind_of

if TYPE_CHECKING:
    from voice_trio.conversation.passthrough.responses import FailedRequest
    from voice_trio.conversation.passthrough.turn_flow import PassthroughTurnFlow


class PassthroughFailures:
    """Errors, refusals and delays."""

    def __init__(self, flow: PassthroughTurnFlow) -> None:
        self._flow = flow
        self._out = flow.out
        self._responses = flow.responses

    def on_event(self, event: events.UpstreamError | events.ResponseDenied) -> None:
        match event:
            case events.UpstreamError():
                self._on_upstream_error(event)
            case events.ResponseDenied():
                self._on_denied(event)
            case _:
                assert_never(event)

    def _on_upstream_error(self, event: events.UpstreamError) -> None:
        self._out.warn(event.code or "error", event.message)
        if event.code in FATAL_CODES:
            self._out.issued.append(commands.EndSession(event.code))
            return
        if event.code == SESSION_EXPIRED:
            self._out.issued.append(commands.ReplaceUpstream(event.code))
            return
        kind = kind_of(event)
        match cause_of(event, kind, self._out, self._responses.asked_tag):
            case commands.ForwardClientEvent() as forwarded:
                if forwarded.is_commit:
                    self._flow.commit_over()
                self._out.to_client(commands.UpstreamErrorForwarded(event, forwarded.client_event_id))
            case commands.CreateClientResponse(event_id=tag):
                self._on_response_refused(event, tag, kind)
            case commands.CancelResponse(response_id=response_id):
                self._responses.not_active(response_id)
            case None if kind.heals and not self._out.is_ours(event.event_id):
                pass  # about nothing that the client waits for
            case None:
                self._out.to_client(event)
            case _:
                pass  # about something the client knows nothing of

    def _on_response_refused(self, event: events.UpstreamError, tag: str, kind: ErrorKind) -> None:
        if kind is ErrorKind.ALREADY_ACTIVE and self._ask_again_later(tag):
            return
        failed = self._responses.take_failed(tag, overdue=False)
        if failed is not None:
            self._out.to_client(commands.UpstreamErrorForwarded(event, failed.client_event_id))
            self._finish_turn_of(failed, "failed")

    def _on_denied(self, event: events.ResponseDenied) -> None:
        """The session did not send a `response.create`: its budget is reserved by other responses."""
        failed = self._responses.take_failed(event.tag, overdue=False)
        if failed is not None:
            refusal = commands.RequestRefused(BUDGET_EXHAUSTED, BUDGET_RESERVED_MESSAGE, failed.client_event_id)
            self._out.to_client(refusal)
            self._finish_turn_of(failed, "failed")

    def _ask_again_later(self, tag: str) -> bool:
        """A response that the session promised waits until the one in its way is done; a client asks again itself."""
        response = self._responses.open
        if response is None or response.tag != tag or response.is_requested or response.interrupted:
            return False
        if response.turn is not self._flow.turn or response.turn.attempts >= RESPONSE_ATTEMPTS_MAX:
            return False
        if self._responses.refused(tag) is None:
            return False
        response.turn.state, self._flow.response_is_due = TurnState.READY, True
        self._responses.block(tag, self._flow.now)
        return True

    def on_creation_overdue(self, event: events.CreationOverdue) -> None:
        if self._responses.unblock(event.tag):
            return
        failed = self._responses.take_failed(event.tag, overdue=True)
        if failed is not None:
            message = "The model did not begin to answer in time."
            refusal = commands.RequestRefused("server_error", message, failed.client_event_id, is_ours=True)
            self._out.to_client(refusal)
            self._finish_turn_of(failed, "unanswered")

    def on_response_stalled(self, event: events.ResponseStalled) -> None:
        """The client's request is answered with an error, and its turn ends with what was heard."""
        aside = self._responses.out_of_band_stalled(event.tag, self._flow.now)
        response = self._responses.stalled(event.tag, self._flow.now)
        stalled = aside or response
        if stalled is not None:
            message = "The model stopped in the middle of its answer."
            self._out.to_client(commands.RequestRefused("server_error", message, stalled.client_event_id, is_ours=True))
        if response is None:
            return
        if response.turn is self._flow.turn and response.turn.is_open:
            response.turn.status = "incomplete"
            self._flow.check_playback(response.turn)

    def _finish_turn_of(self, failed: FailedRequest, status: str) -> None:
        response = failed.response
        if response is not None and not response.interrupted and response.turn is self._flow.turn:
            self._flow.finish(status)
