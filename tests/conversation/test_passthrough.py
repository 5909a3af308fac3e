"""What the gate decides that no whole session needs to be set up for."""

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
    # A drop-in client types, interrupts and reports by its own protocol's events …
    *(events.TextInput, events.PlaybackPosition, events.LanguageDetected),
    # … and these come back only to whoever asked for them, which the gate never does.
    *(events.ToolFinished, events.PositionOverdue, events.SpeechOverdue),
}


def test_every_event_and_every_request_is_understood() -> None:
    given = {*events.UpstreamEvent.__args__, *events.ClientEvent.__args__, *events.InternalEvent.__args__} - NEVER_FED
    for kind in given | {*requests.Request.__args__}:
        PassthroughConversation(Policy()).handle(sample(kind), 0.0)
    for kind in NEVER_FED:
        with pytest.raises(AssertionError):
            PassthroughConversation(Policy()).handle(sample(kind), 0.0)


def test_a_request_that_waits_for_a_commit_does_not_wait_for_ever() -> None:
    gate = PassthroughConversation(Policy())
    gate.handle(requests.TurnPolicyUpdated(automatic=True, interrupts=True, detects_turns=False), 0.0)
    (timer,) = [c for c in gate.handle(requests.AudioCommitRequested(), 0.0) if isinstance(c, commands.ScheduleEvent)]
    assert asked(gate.handle(requests.ResponseRequested(), 0.0)) == 0
    assert asked(fire(gate, timer)) == 1


def test_an_answer_that_does_not_begin_is_given_up_and_told_by_the_clients_id() -> None:
    gate = PassthroughConversation(Policy())
    issued = gate.handle(requests.ResponseRequested(event_id="mine"), 0.0)
    (timer,) = [command for command in issued if isinstance(command, commands.ScheduleEvent)]
    told = [c.event for c in fire(gate, timer) if isinstance(c, commands.SendToClient)]
    assert told == [
        commands.RequestRefused("server_error", "The model did not begin to answer in time.", "mine", is_ours=True)
    ]
    assert asked(gate.handle(requests.ResponseRequested(), 20.0)) == 1


def test_I1_a_silenced_response_that_is_never_done_is_cancelled_by_id_and_then_done_without() -> None:
    gate = PassthroughConversation(Policy(wait_seconds_max=0))
    gate.handle(requests.ResponseRequested(), 0.0)
    gate.handle(events.ResponseCreated("r1"), 0.1)
    issued = gate.handle(events.SpeechStarted("i1"), 1.0)
    (timer,) = [c for c in issued if isinstance(c, commands.ScheduleEvent) and isinstance(c.event, events.DoneOverdue)]
    gate.handle(events.SpeechStopped("i1"), 2.0)
    gate.handle(events.SpeechCommitted("i1"), 2.0)
    issued = fire(gate, timer)
    assert [cancel.response_id for cancel in to_upstream(issued, commands.CancelResponse)] == ["r1"]
    assert asked(issued) == 0
    (timer,) = [command for command in issued if isinstance(command, commands.ScheduleEvent)]
    assert asked(fire(gate, timer)) == 1


def test_too_many_responses_aside_are_refused() -> None:
    gate = PassthroughConversation(Policy())
    for _ in range(16):
        assert asked(gate.handle(requests.ResponseRequested({}, out_of_band=True), 0.0)) == 1
    issued = gate.handle(requests.ResponseRequested({}, out_of_band=True, event_id="mine"), 0.0)
    (told,) = [c.event for c in issued if isinstance(c, commands.SendToClient)]
    assert isinstance(told, commands.RequestRefused)
    assert told.event_id == "mine"


def fire(gate: PassthroughConversation, timer: commands.ScheduleEvent) -> list[commands.Command]:
    return gate.handle(cast("PassthroughInput", timer.event), timer.at)


def to_upstream(issued: list[commands.Command], kind: type[C]) -> list[C]:
    return [c.command for c in issued if isinstance(c, commands.SendToUpstream) and isinstance(c.command, kind)]


def asked(issued: list[commands.Command]) -> int:
    return len(to_upstream(issued, commands.CreateClientResponse))
