"""Turns with an upstream that decides by itself when to answer: recognised from words and sound."""

from __future__ import annotations

import pytest

from tests.support.conversation_fixture import BROODING, LAYERS, as_injected
from tests.support.full_duplex_scene import FullDuplexScene
from voice_trio.conversation import commands, events
from voice_trio.conversation.full_duplex.context_feed import GIVEN, GIVEN_BEFORE, NOTHING_FOUND, REPLACED
from voice_trio.conversation.full_duplex.events import AssistantWords, DelegationCreated, OutputAudio, UserWords
from voice_trio.conversation.full_duplex.turn_flow import TYPED
from voice_trio.conversation.turn.record import Outcome

QUESTION = "how warm must the brooder be"


def test_a_client_sees_the_events_of_any_other_conversation() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    scene.wait(0.3)
    scene.answers("Thirty-four", loud_ms=500)
    scene.silence(30)

    assert scene.seen() == [
        *("SpeechStarted", "TranscriptDelta", "SpeechStopped", "SpeechCommitted"),
        *("ResponseCreated", "ContextInjected", "ResponseTranscriptDelta", "ResponseAudioDelta"),
        *("TranscriptCompleted", "ResponseAudioDelta", "ResponseAudioDone", "ResponseTranscriptDone", "ResponseDone"),
    ]
    (record,) = scene.records()
    assert (record.said, record.answer, record.status) == (QUESTION, " Thirty-four", "completed")
    assert record.heard_ms == record.received_ms


def test_passages_go_in_while_the_user_speaks_and_count_as_hidden() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    scene.found(next(scene.searches()).search_id, BROODING)
    assert [append.content.startswith(GIVEN) for append in scene.appended()] == [True]
    assert "34 degrees" in scene.appended()[0].content

    scene.answers("Thirty-four")

    assert scene.to_client(commands.ContextInjected) == [
        commands.ContextInjected(Outcome.HIDDEN, 0, stale=True, passages=as_injected(BROODING))
    ]


def test_a_result_after_the_first_answer_word_is_late_and_goes_to_no_turn_I4() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    scene.answers("Thirty-four")
    scene.found(next(scene.searches()).search_id, BROODING)
    scene.silence(30)
    scene.says("and what about light")
    assert scene.appended() == []
    assert scene.to_client(commands.ContextInjected)[0].outcome is Outcome.LATE


def test_nothing_is_appended_before_the_upstream_has_heard_sound() -> None:
    scene = FullDuplexScene(hears=False)
    scene.says(QUESTION)
    scene.found(next(scene.searches()).search_id, BROODING)
    assert scene.appended() == []
    scene.silence(1)
    assert len(scene.appended()) == 1


def test_better_passages_say_that_they_replace_and_none_is_given_twice() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    first, *_ = scene.searches()
    scene.found(first.search_id, BROODING)
    scene.says("of the layers in winter")
    *_, last = scene.searches()
    scene.found(last.search_id, LAYERS, BROODING)

    given, replaced = scene.appended()
    assert replaced.content.startswith(REPLACED)
    assert "16 hours" in replaced.content
    assert "34 degrees" not in replaced.content

    scene.answers("Sixteen")
    scene.silence(30)
    scene.says("once more how warm is it")
    *_, again = scene.searches()
    scene.found(again.search_id, BROODING)
    assert scene.appended()[-1].content == GIVEN_BEFORE + "Brooding"
    assert given.content.startswith(GIVEN)


def test_the_silence_between_answers_is_not_sent_and_the_first_loud_frame_is_whole() -> None:
    scene = FullDuplexScene()
    scene.silence(20)
    scene.says(QUESTION)
    scene.silence(3)
    assert scene.to_client(events.ResponseAudioDelta) == []
    scene.answers("Thirty-four", loud_ms=200)
    scene.silence(20)
    sent = scene.to_client(events.ResponseAudioDelta)
    assert [delta.duration_ms for delta in sent] == [100.0] * 6  # two loud ones and the pause of 0.4 s


def test_a_pause_between_sentences_does_not_end_the_answer() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    scene.answers("Thirty-four degrees.")
    scene.silence(9)
    scene.answers("Then less.")
    scene.silence(20)
    assert len(scene.to_client(events.ResponseDone)) == 1
    assert scene.records()[0].answer == " Thirty-four degrees. Then less."


def test_a_barge_in_flushes_and_nothing_of_that_answer_follows_I5() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    scene.answers("Thirty-four degrees in the first week", loud_ms=1000)
    scene.feed(OutputAudio("AAAA", 100.0, is_loud=True))
    before = len(scene.to_client(events.ResponseAudioDelta))
    scene.feed(UserWords(" wait", round(scene.now * 1000), round(scene.now * 1000) + 100))

    assert len(scene.to_client(commands.PlaybackFlush)) == 1
    scene.sound(400)  # the upstream stops in its own time
    scene.feed(AssistantWords(" and", round(scene.now * 1000), round(scene.now * 1000)))
    assert len(scene.to_client(events.ResponseAudioDelta)) == before
    assert [done.status for done in scene.to_client(events.ResponseDone)] == ["cancelled"]
    assert [record.status for record in scene.records()] == ["cancelled"]

    scene.silence(2)
    scene.answers("Yes?")
    assert len(scene.to_client(events.ResponseAudioDelta)) > before


def test_an_upstream_that_speaks_on_for_a_second_is_heard_again() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    scene.answers("Thirty-four degrees in the first week", loud_ms=1000)
    scene.feed(OutputAudio("AAAA", 100.0, is_loud=True))
    scene.feed(UserWords(" yes", round(scene.now * 1000), round(scene.now * 1000) + 100))
    before = len(scene.to_client(events.ResponseAudioDelta))
    scene.sound(1500)
    heard = len(scene.to_client(events.ResponseAudioDelta)) - before
    assert heard == 4  # of fifteen pieces: those after the first second
    assert len(scene.to_client(events.ResponseCreated)) == 2


def test_the_last_words_of_a_question_that_come_after_its_answer_began_are_no_barge_in() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    scene.answers("Thirty-four", loud_ms=100)
    end_ms = round(scene.now * 1000) - 500
    scene.feed(UserWords(" today", end_ms - 200, end_ms))
    scene.silence(30)
    assert scene.to_client(commands.PlaybackFlush) == []
    assert scene.records()[0].said == QUESTION + " today"
    (completed,) = scene.to_client(events.TranscriptCompleted)
    assert completed.transcript == QUESTION + " today"


def test_a_question_of_two_words_is_searched_for_once_the_user_pauses() -> None:
    scene = FullDuplexScene()
    scene.says("brooder temperature")
    assert scene.queries() == []
    scene.wait(1.2)
    assert scene.queries() == ["brooder temperature"]
    assert scene.seen()[-3:] == ["SpeechStopped", "SpeechCommitted", "TranscriptCompleted"]


def test_words_after_a_pause_without_an_answer_are_part_of_the_same_question() -> None:
    scene = FullDuplexScene()
    scene.says("how warm must the")
    scene.wait(2.0)
    scene.says("brooder be")
    scene.answers("Thirty-four")
    scene.silence(30)
    assert [(record.status, record.said) for record in scene.records()] == [
        ("joined", "how warm must the"),
        ("completed", QUESTION),
    ]


def test_an_answer_without_a_question_is_a_turn_without_words() -> None:
    scene = FullDuplexScene()
    scene.answers("Hello!")
    scene.silence(30)
    (record,) = scene.records()
    assert (record.said, record.answer, record.outcome) == ("", " Hello!", Outcome.NONE)
    assert "SpeechStarted" not in scene.seen()


def test_a_typed_question_goes_in_after_its_context_within_the_wait_I2_I3() -> None:
    scene = FullDuplexScene()
    scene.feed(events.TextInput(QUESTION))
    began = scene.now
    scene.wait(0.1)
    scene.found(next(scene.searches()).search_id, BROODING)
    context, question = scene.appended()
    assert context.content.startswith(GIVEN)
    assert question.content == TYPED + QUESTION
    assert scene.now - began == pytest.approx(0.1)
    scene.answers("Thirty-four")
    assert scene.to_client(commands.ContextInjected)[0].outcome is Outcome.HIDDEN


def test_a_typed_question_waits_no_longer_than_allowed_and_an_error_says_that_no_answer_comes() -> None:
    scene = FullDuplexScene()
    scene.feed(events.TextInput(QUESTION))
    began = scene.now
    scene.wait(9.0)
    ((asked_at, _),) = [
        (at, command)
        for at, command in scene.commands
        if isinstance(command, commands.SendToUpstream) and command.command in scene.appended()
    ]
    assert asked_at - began == pytest.approx(0.2)
    assert scene.errors() == ["answer_failed"]
    assert scene.records()[0].status == "unanswered"


def test_an_interrupt_mutes_until_the_users_next_word() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    scene.answers("Thirty-four degrees", loud_ms=500)
    scene.feed(OutputAudio("AAAA", 100.0, is_loud=True))
    scene.feed(events.Interrupt())
    before = len(scene.to_client(events.ResponseAudioDelta))
    scene.sound(3000)
    scene.silence(10)
    scene.answers("still here", loud_ms=1000)
    assert len(scene.to_client(events.ResponseAudioDelta)) == before
    scene.silence(5)
    scene.says("and light")
    scene.answers("Sixteen hours")
    assert len(scene.to_client(events.ResponseAudioDelta)) > before


def test_a_delegation_is_answered_with_what_was_found_or_as_soon_as_it_is() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    scene.feed(DelegationCreated("d1"))
    assert scene.appended() == []
    scene.answers("Let me look", loud_ms=100)
    for search in scene.searches():
        scene.found(search.search_id, BROODING)
    (append,) = scene.appended()
    assert append.delegation_id == "d1"
    late, waited = scene.to_client(commands.ContextInjected)
    assert (late.outcome, waited.outcome, waited.passages) == (Outcome.LATE, Outcome.WAITED, as_injected(BROODING))


def test_a_delegation_for_which_nothing_comes_is_answered_so_after_two_seconds() -> None:
    scene = FullDuplexScene()
    scene.says(QUESTION)
    scene.feed(DelegationCreated("d1"))
    scene.wait(1.99)
    assert scene.appended() == []
    scene.wait(0.02)
    assert [(append.content, append.delegation_id) for append in scene.appended()] == [(NOTHING_FOUND, "d1")]
