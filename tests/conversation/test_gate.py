"""What the gate decides that no whole session needs to be set up for."""

from __future__ import annotations

from typing import TypeVar

from voice_trio.conversation import commands as do
from voice_trio.conversation import events as on
from voice_trio.conversation.gate import Gate, requests
from voice_trio.conversation.policy import Policy

C = TypeVar("C", bound=do.ModelCommand)

NEVER_FED = {
    # A drop-in client types, interrupts and reports by its own protocol's events …
    *(on.TextInput, on.PlaybackPosition, on.LanguageDetected),
    # … and these come back only to whoever asked for them, which the gate never does.
    *(on.ToolFinished, on.PositionOverdue, on.AnswerStalled, on.ForeignOverdue, on.SpeechOverdue),
}


def test_every_event_and_every_request_is_understood() -> None:
    events = {*on.ModelEvent.__args__, *on.ClientEvent.__args__, *on.SessionEvent.__args__} - NEVER_FED
    assert set(Gate(Policy())._handlers) == events | {*requests.Request.__args__}


def test_a_request_that_waits_for_a_commit_does_not_wait_for_ever() -> None:
    gate = Gate(Policy())
    gate.handle(requests.MannerSet(automatic=True, interrupts=True, detects_turns=False), 0.0)
    (timer,) = [c for c in gate.handle(requests.AudioCommitted(), 0.0) if isinstance(c, do.FeedAt)]
    assert asked(gate.handle(requests.AnswerAsked(), 0.0)) == 0
    assert asked(gate.handle(timer.event, timer.at)) == 1


def test_an_answer_that_does_not_begin_is_given_up_and_told_by_the_clients_id() -> None:
    gate = Gate(Policy())
    commands = gate.handle(requests.AnswerAsked(event_id="mine"), 0.0)
    (timer,) = [command for command in commands if isinstance(command, do.FeedAt)]
    told = [c.event for c in gate.handle(timer.event, timer.at) if isinstance(c, do.SendToClient)]
    assert told == [
        do.RequestRefused("server_error", "The model did not begin to answer in time.", "mine", is_ours=True)
    ]
    assert asked(gate.handle(requests.AnswerAsked(), 20.0)) == 1


def test_I1_a_silenced_response_that_is_never_done_is_cancelled_by_id_and_then_done_without() -> None:
    gate = Gate(Policy(wait_seconds_max=0))
    gate.handle(requests.AnswerAsked(), 0.0)
    gate.handle(on.ResponseCreated("r1"), 0.1)
    commands = gate.handle(on.SpeechStarted("i1"), 1.0)
    (timer,) = [c for c in commands if isinstance(c, do.FeedAt) and isinstance(c.event, on.DoneOverdue)]
    gate.handle(on.SpeechStopped("i1"), 2.0)
    gate.handle(on.SpeechCommitted("i1"), 2.0)
    commands = gate.handle(timer.event, timer.at)
    assert [cancel.response_id for cancel in to_model(commands, do.CancelResponse)] == ["r1"]
    assert asked(commands) == 0
    (timer,) = [command for command in commands if isinstance(command, do.FeedAt)]
    assert asked(gate.handle(timer.event, timer.at)) == 1


def test_too_many_responses_aside_are_refused() -> None:
    gate = Gate(Policy())
    for _ in range(16):
        assert asked(gate.handle(requests.AnswerAsked({}, aside=True), 0.0)) == 1
    commands = gate.handle(requests.AnswerAsked({}, aside=True, event_id="mine"), 0.0)
    (told,) = [c.event for c in commands if isinstance(c, do.SendToClient)]
    assert isinstance(told, do.RequestRefused)
    assert told.event_id == "mine"


def to_model(commands: list[do.Command], kind: type[C]) -> list[C]:
    return [c.command for c in commands if isinstance(c, do.SendToModel) and isinstance(c.command, kind)]


def asked(commands: list[do.Command]) -> int:
    return len(to_model(commands, do.AskAsClient))
