"""What a drop-in client asks for, and what is made of it. It knows requests; it does not know what the model says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.passthrough import requests
from voice_trio.conversation.passthrough.turn_flow import ALREADY_ACTIVE_SAID
from voice_trio.conversation.policy import ALREADY_ACTIVE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from voice_trio.conversation.passthrough.turn_flow import PassthroughTurnFlow

COMMIT_SECONDS_MAX = 3.0  # a held request waits no longer for the model's word on a commit
GIVEN_TEXTS_MAX = 8  # what the user wrote since the last answer, as far as it is searched for


class RequestHandlers:
    """One client's requests, and how it wants its session to behave."""

    def __init__(self, course: PassthroughTurnFlow) -> None:
        self._course = course
        self._given: dict[str, str] = {}  # what the user wrote since the last answer, by item
        self.manner = requests.TurnPolicyUpdated(automatic=True, interrupts=True, detects_turns=True)
        self.handlers: dict[type, Callable[[Any], object]] = {
            requests.TurnPolicyUpdated: self.manner_set,
            requests.ResponseRequested: self.answer_asked,
            requests.ResponseCancelRequested: self.answer_stopped,
            requests.ItemCreateRequested: self.item_given,
            requests.ItemTruncateRequested: self.item_cut,
            requests.ItemRetrieveRequested: self.item_fetched,
            requests.ItemDeleteRequested: self.item_dropped,
            requests.AudioCommitRequested: self.audio_committed,
            requests.ForwardedEvent: lambda event: course.pass_on(event.body, event.event_id),
        }

    def manner_set(self, event: requests.TurnPolicyUpdated) -> None:
        self.manner = event

    def item_given(self, event: requests.ItemCreateRequested) -> None:
        self._course.active_at = self._course.now
        if event.role == "assistant":
            self._given.clear()  # what was written before it has its answer
        elif event.role == "user" and event.text.strip():
            self._given[event.item_id or self._course.out.new_id("u")] = event.text
            if len(self._given) > GIVEN_TEXTS_MAX:
                self._given.pop(next(iter(self._given)))
        self._course.pass_on(self._without_forgotten(event.body), event.event_id)

    def audio_committed(self, event: requests.AudioCommitRequested) -> None:
        number = self._course.note_commit()
        self._course.out.add(
            commands.ScheduleEvent(self._course.now + COMMIT_SECONDS_MAX, events.CommitOverdue(number))
        )
        self._course.pass_on({"type": "input_audio_buffer.commit"}, event.event_id, is_commit=True)

    def answer_asked(self, event: requests.ResponseRequested) -> None:
        event = replace(event, body=self._without_forgotten(event.body))
        if event.aside:
            self._ask_aside(event)
            return
        if self._course.replies.is_active or self._course.held is not None:
            self._course.refuse(event, ALREADY_ACTIVE, ALREADY_ACTIVE_SAID)
            return
        self._course.active_at = self._course.now
        self._course.held = event
        given, self._given = self._given, {}
        if given:
            self._ask_in_writing(given)

    def _ask_aside(self, event: requests.ResponseRequested) -> None:
        self._course.active_at = self._course.now
        if not self._course.replies.ask_aside(event.body, event.event_id, self._course.now):
            message = "Too many responses outside of the conversation are running."
            self._course.refuse(event, "too_many_responses", message)

    def _ask_in_writing(self, given: dict[str, str]) -> None:
        """What was written is the question or, while the user is speaking, a part of theirs."""
        course, turn = self._course, self._course.turn
        if turn is not None and course.questions.is_listening:
            for item_id, text in given.items():
                turn.texts[item_id] = ""
                course.questions.hear(item_id, text, course.now, final=True)
            return
        turn = course.begin("typed", interrupts=False)
        turn.typed = True
        for item_id, text in given.items():
            course.questions.read(turn, item_id, text, course.now)
        course.questions.commit(turn, next(reversed(given)), course.now)

    def answer_stopped(self, event: requests.ResponseCancelRequested) -> None:
        """Always by id, where there is one: a late cancel without it can kill the next answer."""
        reply = self._course.replies.open
        meant = event.response_id or (reply.response_id if reply is not None else None)
        if self._course.held is not None and event.response_id is None:
            self._course.let_go_unheard()
            return
        if reply is not None and event.response_id in (None, reply.response_id):
            self._course.interrupt()
        elif event.response_id is None:
            self._course.drop_due_answer()
        if meant is not None or reply is None:
            body = {} if meant is None else {"response_id": meant}
            self._course.pass_on({"type": "response.cancel", **body}, event.event_id, overtakes=True)

    def item_cut(self, event: requests.ItemTruncateRequested) -> None:
        self._course.cuts.cut_by_client(event)
        reply = self._course.replies.latest
        if reply is not None and reply.heard is not None:
            reply.heard = [
                replace(item, heard_ms=min(float(event.audio_end_ms), item.sent_ms))
                if item.item_id == event.item_id
                else item
                for item in reply.heard
            ]

    def item_fetched(self, event: requests.ItemRetrieveRequested) -> None:
        if self._course.cuts.is_forgotten(event.item_id):
            self._course.out.to_client(commands.EmptyItemShown(event.item_id))
        else:
            self._course.pass_on({"type": "conversation.item.retrieve", "item_id": event.item_id}, event.event_id)

    def item_dropped(self, event: requests.ItemDeleteRequested) -> None:
        if self._course.cuts.is_forgotten(event.item_id):
            self._course.out.to_client(commands.DeleteAck(event.item_id))
        else:
            self._course.pass_on({"type": "conversation.item.delete", "item_id": event.item_id}, event.event_id)

    def _without_forgotten(self, body: requests.Body) -> requests.Body:
        """What is asked for, as if the items were still there that the model was made to forget."""
        kept = dict(body)
        if isinstance(previous := kept.get("previous_item_id"), str) and self._course.cuts.is_forgotten(previous):
            del kept["previous_item_id"]  # then it comes last
        if isinstance(items := kept.get("input"), list):
            kept["input"] = [item for item in items if not self._course.cuts.is_forgotten(str(item.get("id")))]
        return kept
