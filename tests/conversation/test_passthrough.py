"""What the passthrough conversation decides, where no whole session is needed to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import pytest

from tests.support.conversation_fixture import sample
from voice_trio.conversation import commands, events
from voice_trio.conversation.passthrough import PassthroughConversation, requests
from voice_trio.conversation.policy import Policy

if TYPE_CHECKING:
    from voice_trio.conversation.passthrough.conversation import PassthroughInput

C = TypeVar("C", bound=commands.UpstreamCommand)

NEVER_FED = {
    # A client of OpenAI's protocol types, interrupts and reports by its own protocol's events …
    *(events.TextInput, events.PlaybackPosition, events.LanguageDetected),
    # … and these only follow commands that this policy never issues.
    *(events.ToolFinished, events.PositionOverdue, events.SpeechOverdue),
}


def test_every_event_and_every_request_is_understood() -> None:
    given = {*events.UpstreamEvent.__args__, *events.ClientEvent.__args__, *events.InternalEvent.__args__} - NEVER_FED
    for kind in given | {*requests.Request.__args__}:
        PassthroughConversation(Policy()).handle(sample(kind), 0.0)
    for kind in NEVER_FED:
        with pytest.raises(AssertionError):
            PassthroughConversation(Policy()).handle(sample(kind), 0.0)


def test_a_thousand_responses_without_a_question_keep_nothing_of_each_other() -> None:
    conversation = PassthroughConversation(Policy())
    for number in range(1000):
        issued = conversation.handle(requests.ResponseRequested(), float(number))
        (created,) = to_upstream(issued, commands.CreateClientResponse)
        conversation.handle(events.ResponseCreated(f"r{number}", created.metadata), float(number))
        conversation.handle(events.ResponseDone(f"r{number}", "completed"), float(number))
    question = requests.ItemCreateRequested({}, item_id="u1", text="How warm must the brooder be?", role="user")
    conversation.handle(question, 1000.0)
    issued = conversation.handle(requests.ResponseRequested(), 1000.0)
    assert any(isinstance(command, commands.StartSearch) for command in issued)


def test_a_request_that_waits_for_a_commit_does_not_wait_for_ever() -> None:
    conversation = PassthroughConversation(Policy())
    conversation.handle(requests.TurnPolicyUpdated(automatic=True, interrupts=True, detects_turns=False), 0.0)
    (timer,) = [
        c for c in conversation.handle(requests.AudioCommitRequested(), 0.0) if isinstance(c, commands.ScheduleEvent)
    ]
    assert asked(conversation.handle(requests.ResponseRequested(), 0.0)) == 0
    assert asked(fire(conversation, timer)) == 1


def test_an_answer_that_does_not_begin_is_given_up_and_told_by_the_clients_id() -> None:
    conversation = PassthroughConversation(Policy())
    issued = conversation.handle(requests.ResponseRequested(event_id="mine"), 0.0)
    timers = [command for command in issued if isinstance(command, commands.ScheduleEvent)]
    (timer,) = [timer for timer in timers if isinstance(timer.event, events.CreationOverdue)]
    told = [c.event for c in fire(conversation, timer) if isinstance(c, commands.SendToClient)]
    assert told == [
        commands.RequestRefused("server_error", "The model did not begin to answer in time.", "mine", is_ours=True)
    ]
    assert asked(conversation.handle(requests.ResponseRequested(), 40.0)) == 1


def test_I1_an_interrupted_response_that_is_never_done_is_cancelled_by_id_and_then_given_up() -> None:
    conversation = PassthroughConversation(Policy(wait_seconds_max=0))
    conversation.handle(requests.ResponseRequested(), 0.0)
    conversation.handle(events.ResponseCreated("r1"), 0.1)
    issued = conversation.handle(events.SpeechStarted("i1"), 1.0)
    (timer,) = [c for c in issued if isinstance(c, commands.ScheduleEvent) and isinstance(c.event, events.DoneOverdue)]
    conversation.handle(events.SpeechStopped("i1"), 2.0)
    conversation.handle(events.SpeechCommitted("i1"), 2.0)
    issued = fire(conversation, timer)
    assert [cancel.response_id for cancel in to_upstream(issued, commands.CancelResponse)] == ["r1"]
    assert asked(issued) == 0
    (timer,) = [command for command in issued if isinstance(command, commands.ScheduleEvent)]
    assert asked(fire(conversation, timer)) == 1


def test_too_many_responses_out_of_band_are_refused() -> None:
    conversation = PassthroughConversation(Policy())
    for _ in range(4):
        assert asked(conversation.handle(requests.ResponseRequested({}, out_of_band=True), 0.0)) == 1
    issued = conversation.handle(requests.ResponseRequested({}, out_of_band=True, event_id="mine"), 0.0)
    (told,) = [c.event for c in issued if isinstance(c, commands.SendToClient)]
    assert isinstance(told, commands.RequestRefused)
    assert told.event_id == "mine"


@pytest.mark.parametrize("out_of_band", [False, True])
def test_a_response_that_the_session_denies_is_refused_under_the_clients_event_id_F13(out_of_band: bool) -> None:
    conversation = PassthroughConversation(Policy())
    wanted = requests.ResponseRequested({}, out_of_band=out_of_band, event_id="mine")
    (create,) = to_upstream(conversation.handle(wanted, 0.0), commands.CreateClientResponse)
    issued = conversation.handle(events.ResponseDenied(create.event_id), 0.0)
    (told,) = [c.event for c in issued if isinstance(c, commands.SendToClient)]
    assert isinstance(told, commands.RequestRefused)
    assert (told.code, told.event_id) == ("budget_exhausted", "mine")
    assert not conversation.is_answering(0.0)
    assert asked(conversation.handle(wanted, 1.0)) == 1


def fire(conversation: PassthroughConversation, timer: commands.ScheduleEvent) -> list[commands.Command]:
    return conversation.handle(cast("PassthroughInput", timer.event), timer.at)


def to_upstream(issued: list[commands.Command], kind: type[C]) -> list[C]:
    return [c.command for c in issued if isinstance(c, commands.SendToUpstream) and isinstance(c.command, kind)]


def asked(issued: list[commands.Command]) -> int:
    return len(to_upstream(issued, commands.CreateClientResponse))
