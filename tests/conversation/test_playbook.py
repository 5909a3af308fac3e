"""Whole conversations as playbooks: each event, and everything that follows from it, in order."""

from __future__ import annotations

import pytest

from tests.support.conversation_fixture import BROODING, PassthroughScene, Scene, as_injected
from tests.support.playbook import Playbook, anything, wait
from voice_trio.conversation import commands, events
from voice_trio.conversation.passthrough import requests
from voice_trio.conversation.policy import Policy
from voice_trio.conversation.response import TAG
from voice_trio.conversation.retrieval.context import render_context
from voice_trio.conversation.turn.record import Outcome

QUERY = "how warm must chicks be kept"
WORDS = events.TranscriptDelta("u1", QUERY + " at")
STARTED, STOPPED, COMMITTED = events.SpeechStarted("u1"), events.SpeechStopped("u1"), events.SpeechCommitted("u1")
STARTED_2, COMMITTED_2 = events.SpeechStarted("u2"), events.SpeechCommitted("u2")
DELTA = events.ResponseAudioDelta("r1", "a1", "AAAA", 500.0)
CANCELLED = events.ResponseDone("r1", "cancelled", "turn_detected")


def context_item(after: str) -> commands.CreateContextItem:
    context = render_context([BROODING], Policy().context_tokens_max)
    assert context is not None
    return commands.CreateContextItem(anything(), anything(), after, context.text)


def responding(playbook: Playbook) -> Playbook:
    """The managed policy: a question, its context, and the first half second of the response."""
    tag = anything()
    asked = (
        playbook
        >> STARTED
        << STARTED
        << commands.BeginTurn(1)
        << commands.StartSilence()
        >> WORDS
        << WORDS
        << commands.StartSearch(1, 1, QUERY)
        >> events.SearchFinished(1, (BROODING,))
        >> STOPPED
        << STOPPED
        >> COMMITTED
        << COMMITTED
        << commands.StopSilence()
        << context_item("u1")
        << commands.CreateResponse(tag, {TAG: tag})
        << commands.ContextInjected(Outcome.HIDDEN, 0, False, as_injected(BROODING))
    )
    created = events.ResponseCreated("r1", {TAG: tag()})
    return asked >> created << created >> DELTA << DELTA >> events.AudioSent("a1", 500.0)


def test_a_question_its_context_and_its_response() -> None:
    done = events.ResponseDone("r1", "completed")
    playbook = responding(Playbook(Scene())) >> done << done
    assert playbook >> wait(0.5) << commands.EndTurn(1, "completed") << commands.ReportTurn(anything())


def test_I5_I6_a_barge_in_and_what_the_upstream_is_told_of_it() -> None:
    playbook = (
        responding(Playbook(Scene()))
        >> wait(0.3)
        >> STARTED_2
        << STARTED_2
        << commands.PlaybackFlush("a1", 300)
        << commands.EndTurn(1, "barge-in")
        << commands.BeginTurn(2)
        << commands.StartSilence()
        >> DELTA
    )
    assert (
        playbook
        >> CANCELLED
        << CANCELLED
        << commands.TruncateItem(anything(), "a1", 300)
        << commands.ReportTurn(anything())
    )


def test_I1_an_unsolicited_response_holds_the_next_question_back() -> None:
    tag, over = anything(), events.ResponseDone("stranger", "cancelled")
    assert (
        Playbook(Scene())
        >> events.ResponseCreated("stranger")
        << commands.CancelResponse(anything(), "stranger")
        >> events.TextInput("hi")
        << commands.BeginTurn(1)
        << commands.CreateUserItem(anything(), anything(), "hi")
        >> over
        << commands.CreateResponse(tag, {TAG: tag})
        << commands.ContextInjected(Outcome.NONE, 0, False, ())
    )


def test_I1_passthrough_holds_a_request_until_an_unsolicited_response_is_done() -> None:
    stranger, over = events.ResponseCreated("stranger"), events.ResponseDone("stranger", "cancelled")
    assert (
        Playbook(PassthroughScene())
        >> stranger
        << commands.CancelResponse(anything(), "stranger")
        << stranger
        >> requests.ResponseRequested(event_id="mine")
        >> over
        << over
        << commands.BeginTurn(1)
        << commands.CreateClientResponse(anything(), anything())
    )


def test_I1_passthrough_answers_a_request_whose_response_stalls_with_an_error() -> None:
    created = events.ResponseCreated("r1")
    playbook = (
        Playbook(PassthroughScene())
        >> requests.ResponseRequested(event_id="mine")
        << commands.BeginTurn(1)
        << commands.CreateClientResponse(anything(), anything())
        >> created
        << created
        >> DELTA
        << DELTA
        >> events.AudioSent("a1", 500.0)
        >> wait(29.9)
    )
    message = "The model stopped in the middle of its answer."
    assert (
        playbook
        >> wait(0.2)
        << commands.CancelResponse(anything(), "r1")
        << events.ResponseDone("r1", "incomplete", "stalled")
        << commands.RequestRefused("server_error", message, "mine", is_ours=True)
        << commands.EndTurn(1, "incomplete")
        << commands.ReportTurn(anything())
        >> CANCELLED
    )


def test_passthrough_written_output_is_a_sign_of_life() -> None:
    created, written = events.ResponseCreated("r1"), events.OtherUpstreamEvent("response.output_text.delta")
    assert (
        Playbook(PassthroughScene())
        >> requests.ResponseRequested()
        << commands.BeginTurn(1)
        << commands.CreateClientResponse(anything(), anything())
        >> created
        << created
        >> wait(29)
        >> written
        << written
        >> wait(29)
        >> written
        << written
        >> wait(29)
    )


def test_a_playbook_shows_where_it_differs() -> None:
    with pytest.raises(
        AssertionError, match=r"<< SpeechStarted.*\n-  BeginTurn\(turn_id=2\)\n\+  BeginTurn\(turn_id=1\)"
    ):
        assert Playbook(Scene()) >> STARTED << STARTED << commands.BeginTurn(2)
    with pytest.raises(AssertionError, match=r"\+  StartSilence\(\)"):
        assert Playbook(Scene()) >> STARTED << STARTED << commands.BeginTurn(1)
