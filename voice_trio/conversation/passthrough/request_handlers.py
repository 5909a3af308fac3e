"""What a client of OpenAI's protocol asks for, and what follows. It knows requests, not what the upstream says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from voice_trio.conversation import commands, events
from voice_trio.conversation.passthrough import requests
from voice_trio.conversation.passthrough.turn_flow import ALREADY_ACTIVE_MESSAGE
from voice_trio.conversation.policy import ALREADY_ACTIVE
from voice_trio.conversation.response import CLIENT_CANCELLED

if TYPE_CHECKING:
    from voice_trio.conversation.passthrough.turn_flow import PassthroughTurnFlow

COMMIT_SECONDS_MAX = 3.0  # a held request waits no longer for the upstream's answer to a commit
WRITTEN_TEXTS_MAX = 8  # what the user wrote since the last response, as far as it is searched for


class RequestHandlers:
    """One client's requests, and the turn policy that it wants for its session."""

    def __init__(self, flow: PassthroughTurnFlow) -> None:
        self._flow = flow
        self._written: dict[str, str] = {}  # what the user wrote since the last response, by item
        self.turn_policy = requests.TurnPolicyUpdated(automatic=True, interrupts=True, detects_turns=True)

    def handle(self, event: requests.Request) -> None:
        match event:
            case requests.TurnPolicyUpdated():
                self.turn_policy = event
            case requests.ResponseRequested():
                self._on_response_requested(event)
            case requests.ResponseCancelRequested():
                self._on_cancel_requested(event)
            case requests.ItemCreateRequested():
                self._on_item_create_requested(event)
            case requests.ItemTruncateRequested():
                self._on_truncate_requested(event)
            case requests.ItemRetrieveRequested():
                self._on_retrieve_requested(event)
            case requests.ItemDeleteRequested():
                self._on_delete_requested(event)
            case requests.AudioCommitRequested():
                self._on_commit_requested(event)
            case requests.ForwardedEvent():
                self._flow.forward(event.body, event.event_id)
            case _:
                assert_never(event)

    def _on_item_create_requested(self, event: requests.ItemCreateRequested) -> None:
        self._flow.active_at = self._flow.now
        if event.role == "assistant":
            self._written.clear()  # what was written before it has its response
        elif event.role == "user" and event.text.strip():
            self._written[event.item_id or self._flow.out.new_id("u")] = event.text
            if len(self._written) > WRITTEN_TEXTS_MAX:
                self._written.pop(next(iter(self._written)))
        self._flow.forward(self._without_deleted(event.body), event.event_id)

    def _on_commit_requested(self, event: requests.AudioCommitRequested) -> None:
        timer = events.CommitOverdue(self._flow.note_commit())
        self._flow.out.issued.append(commands.ScheduleEvent(self._flow.now + COMMIT_SECONDS_MAX, timer))
        self._flow.forward({"type": "input_audio_buffer.commit"}, event.event_id, is_commit=True)

    def _on_response_requested(self, event: requests.ResponseRequested) -> None:
        event = replace(event, body=self._without_deleted(event.body))
        if event.out_of_band:
            self._ask_out_of_band(event)
            return
        if self._flow.responses.is_active or self._flow.held is not None:
            self._flow.refuse(event, ALREADY_ACTIVE, ALREADY_ACTIVE_MESSAGE)
            return
        self._flow.active_at = self._flow.now
        self._flow.held = event
        written, self._written = self._written, {}
        if written:
            self._ask_in_writing(written)

    def _ask_out_of_band(self, event: requests.ResponseRequested) -> None:
        self._flow.active_at = self._flow.now
        if not self._flow.responses.ask_out_of_band(event.body, event.event_id, self._flow.now):
            message = "Too many responses outside of the conversation are running."
            self._flow.refuse(event, "too_many_responses", message)

    def _ask_in_writing(self, written: dict[str, str]) -> None:
        """What was written is the question or, while the user is speaking, a part of theirs."""
        flow, turn = self._flow, self._flow.turn
        if turn is not None and flow.user_input.is_listening:
            for item_id, text in written.items():
                turn.texts[item_id] = ""
                flow.user_input.hear(item_id, text, flow.now, final=True)
            return
        turn = flow.begin("typed", interrupts=False)
        turn.typed = True
        for item_id, text in written.items():
            flow.user_input.read(turn, item_id, text, flow.now)
        flow.user_input.commit(turn, next(reversed(written)), flow.now)

    def _on_cancel_requested(self, event: requests.ResponseCancelRequested) -> None:
        """Always by id, where there is one: a late cancel without it can end the next response."""
        response = self._flow.responses.open
        meant = event.response_id or (response.response_id if response is not None else None)
        if self._flow.held is not None and event.response_id is None:
            self._flow.drop_held()
            return
        if response is not None and event.response_id in (None, response.response_id):
            self._flow.interrupt(CLIENT_CANCELLED)
        elif event.response_id is None:
            self._flow.drop_due_response()
        if meant is not None or response is None:
            body = {} if meant is None else {"response_id": meant}
            self._flow.forward({"type": "response.cancel", **body}, event.event_id, overtakes=True)

    def _on_truncate_requested(self, event: requests.ItemTruncateRequested) -> None:
        self._flow.truncation.truncated_by_client(event)
        response = self._flow.responses.latest
        if response is not None and response.heard is not None:
            response.heard = [
                replace(item, heard_ms=min(float(event.audio_end_ms), item.sent_ms))
                if item.item_id == event.item_id
                else item
                for item in response.heard
            ]

    def _on_retrieve_requested(self, event: requests.ItemRetrieveRequested) -> None:
        if self._flow.truncation.is_deleted(event.item_id):
            self._flow.out.to_client(commands.EmptyItemShown(event.item_id))
        else:
            self._flow.forward({"type": "conversation.item.retrieve", "item_id": event.item_id}, event.event_id)

    def _on_delete_requested(self, event: requests.ItemDeleteRequested) -> None:
        if self._flow.truncation.is_deleted(event.item_id):
            self._flow.out.to_client(commands.DeleteAck(event.item_id))
        else:
            self._flow.forward({"type": "conversation.item.delete", "item_id": event.item_id}, event.event_id)

    def _without_deleted(self, body: requests.Body) -> requests.Body:
        """What is asked for, as if the items were still there that the upstream was made to forget."""
        kept = dict(body)
        if isinstance(previous := kept.get("previous_item_id"), str) and self._flow.truncation.is_deleted(previous):
            del kept["previous_item_id"]  # then it comes last
        if isinstance(items := kept.get("input"), list):
            kept["input"] = [item for item in items if not self._flow.truncation.is_deleted(str(item.get("id")))]
        return kept
