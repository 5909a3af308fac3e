"""A turn, from its first word to `response.create`."""

from __future__ import annotations

import pytest

from tests.support.conversation_fixture import BROODING, LAYERS, Scene, as_injected
from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import Policy
from voice_trio.conversation.turn.record import Outcome


def injected(scene: Scene) -> commands.ContextInjected:
    return scene.to_client(commands.ContextInjected)[-1]


def test_nothing_is_searched_before_the_fifth_word_which_may_be_half_a_word() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks")
    assert scene.queries() == []
    scene.words(item, "li")
    assert scene.queries() == ["how warm must chicks"]


def test_a_result_that_is_in_at_commit_costs_no_time_at_all() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live")
    scene.until(1.0)
    scene.found(1, BROODING)
    scene.until(3.0)
    scene.commit(item)
    assert scene.times(commands.CreateResponse) == [3.0]
    assert injected(scene) == commands.ContextInjected(Outcome.HIDDEN, 0, False, as_injected(BROODING))


def test_I2_the_context_item_leaves_before_response_create_and_after_the_commit() -> None:
    scene = Scene()
    item = scene.ask()
    assert scene.upstream_log() == ["CreateContextItem", "CreateResponse"]
    context = scene.last(commands.CreateContextItem)
    assert context.previous_item_id == item
    assert "Start chicks at 34 degrees." in context.text
    assert context.item_id.startswith("vt_")
    assert len(context.item_id) <= 32


def test_context_injected_is_told_right_after_response_create() -> None:
    scene = Scene()
    scene.ask()
    kinds = [
        type(command.command if isinstance(command, commands.SendToUpstream) else command.event).__name__
        for _, command in scene.commands
        if isinstance(command, commands.SendToUpstream | commands.SendToClient)
    ]
    at = kinds.index("CreateResponse")
    assert kinds[at + 1] == "ContextInjected"


def test_I3_response_create_leaves_200_ms_after_the_commit_when_no_result_comes() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live")
    scene.until(3.0)
    scene.commit(item)
    scene.until(3.1999)
    assert scene.times(commands.CreateResponse) == []
    scene.until(5.0)
    assert scene.times(commands.CreateResponse) == [pytest.approx(3.2)]
    assert injected(scene).outcome is Outcome.LATE
    assert injected(scene).waited_ms == 200
    assert scene.to_upstream(commands.CreateContextItem) == []


def test_a_result_during_the_wait_ends_it_at_once() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live?")
    scene.until(3.0)
    scene.commit(item)
    scene.until(3.07)
    scene.found(1, BROODING)
    assert scene.times(commands.CreateResponse) == [3.07]
    assert injected(scene) == commands.ContextInjected(Outcome.WAITED, 70, False, as_injected(BROODING))


def test_words_that_change_the_question_are_searched_again() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live")
    scene.words(item, "please uh")
    scene.words(item, "in winter?")
    assert scene.queries() == [
        "how warm must chicks",
        "how warm must chicks live",
    ]
    scene.found(1, BROODING)
    assert scene.queries()[-1] == "how warm must chicks live please in winter?"


def test_at_most_two_searches_run_during_speech_and_the_newest_words_go_next() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live")
    scene.words(item, "during hard winter nights outside")
    assert len(scene.queries()) == 2
    scene.found(1, BROODING)
    assert len(scene.queries()) == 3
    assert scene.queries()[-1].endswith("nights")


def test_at_commit_whatever_words_are_in_are_asked() -> None:
    scene = Scene()
    item = scene.speak("chick temperature")
    assert scene.queries() == []
    scene.commit(item)
    assert scene.queries() == ["chick temperature"]
    scene.until(0.05)
    scene.found(1, BROODING)
    assert injected(scene).outcome is Outcome.WAITED
    assert scene.times(commands.CreateResponse) == [0.05]


def test_words_that_arrive_during_the_wait_count() -> None:
    scene = Scene()
    item = scene.speak()
    scene.until(1.0)
    scene.commit(item)
    scene.until(1.1)
    scene.words(item, "chick temperature")
    scene.until(1.15)
    for search in list(scene.searches()):
        scene.found(search.search_id, BROODING)
    assert scene.times(commands.CreateResponse) == [1.15]
    assert injected(scene).outcome is Outcome.WAITED


def test_an_older_result_serves_when_the_newest_is_still_out_and_is_called_stale() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live")
    scene.found(1, BROODING)
    scene.words(item, "outside")
    scene.until(2.0)
    scene.commit(item)
    scene.until(3.0)
    assert injected(scene) == commands.ContextInjected(Outcome.HIDDEN, 200, True, as_injected(BROODING))


def test_a_commit_without_words_is_answered_all_the_same() -> None:
    scene = Scene()
    item = scene.speak()
    scene.until(1.0)
    scene.commit(item)
    scene.until(2.0)
    assert scene.times(commands.CreateResponse) == [1.2]
    assert injected(scene).outcome is Outcome.NONE
    assert scene.queries() == []


def test_an_empty_transcript_is_not_waited_for_any_longer() -> None:
    scene = Scene()
    item = scene.speak()
    scene.until(1.0)
    scene.commit(item)
    scene.until(1.05)
    scene.feed(events.TranscriptCompleted(item, ""))
    assert scene.times(commands.CreateResponse) == [1.05]


def test_a_failed_transcription_is_told_and_answered_without_context() -> None:
    scene = Scene()
    item = scene.speak()
    scene.commit(item)
    scene.feed(events.TranscriptFailed(item, "boom"))
    assert scene.errors() == ["transcription_failed"]
    assert scene.times(commands.CreateResponse) == [0.0]
    assert injected(scene).outcome is Outcome.NONE


def test_the_final_transcript_overrules_the_deltas() -> None:
    scene = Scene()
    item = scene.speak("how worm must chicks live")
    scene.feed(events.TranscriptCompleted(item, "How warm must chicks live?"))
    scene.commit(item)
    assert scene.queries()[-1] == "How warm must chicks live?"


def test_a_failed_search_lets_the_turn_go_on_at_once() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live?")
    scene.commit(item)
    scene.until(0.02)
    scene.feed(events.SearchFailed(1))
    assert scene.times(commands.CreateResponse) == [0.02]
    assert injected(scene).outcome is Outcome.NONE


def test_speech_during_the_wait_gets_no_answer_to_the_first_part_and_its_words_join() -> None:
    scene = Scene()
    first = scene.speak("how warm must chicks live")
    scene.commit(first)
    scene.until(0.1)
    second = scene.speak("in winter?")
    assert scene.queries()[-1] == "how warm must chicks live in winter?"
    scene.until(2.0)
    assert scene.times(commands.CreateResponse) == []
    scene.commit(second)
    scene.until(2.5)
    assert scene.times(commands.CreateResponse) == [2.2]
    assert [record.status for record in scene.records()] == ["joined"]


def test_late_words_of_the_first_part_still_join_the_question() -> None:
    scene = Scene()
    first = scene.speak("how warm must chicks")
    scene.commit(first)
    scene.until(0.1)
    scene.speak("in winter?")
    scene.words(first, "live")
    scene.found(scene.of(commands.StartSearch)[-1].search_id, BROODING)
    assert scene.queries()[-1] == "how warm must chicks live in winter?"


def test_I4_a_result_of_one_turn_never_reaches_the_next() -> None:
    scene = Scene()
    scene.commit(scene.speak("how warm must chicks live"))
    scene.until(0.3)
    response, _ = scene.begin_response(audio_ms=100)
    scene.done(response)
    scene.until(5.0)
    second = scene.speak("hello")
    scene.found(1, BROODING)
    scene.commit(second)
    scene.until(6.0)
    assert len(scene.to_upstream(commands.CreateResponse)) == 2
    assert scene.to_upstream(commands.CreateContextItem) == []


def test_a_typed_question_runs_its_200_ms_from_its_arrival() -> None:
    scene = Scene()
    scene.until(4.0)
    scene.feed(events.TextInput("opening hours?"))
    scene.until(5.0)
    assert scene.times(commands.CreateUserItem) == [4.0]
    assert scene.times(commands.CreateResponse) == [4.2]
    assert scene.records() == []


def test_a_typed_question_gets_its_context_after_its_own_item() -> None:
    scene = Scene()
    scene.feed(events.TextInput("light for layers"))
    scene.until(0.01)
    scene.found(1, LAYERS)
    assert scene.upstream_log() == ["CreateUserItem", "CreateContextItem", "CreateResponse"]
    assert scene.last(commands.CreateContextItem).previous_item_id == scene.last(commands.CreateUserItem).item_id


def test_text_typed_into_open_speech_is_answered_200_ms_after_it_came() -> None:
    scene = Scene()
    item = scene.speak("how warm")
    scene.until(1.0)
    scene.feed(events.TextInput("chicks in winter"))
    scene.until(1.5)
    assert scene.times(commands.CreateResponse) == [1.2]
    assert scene.queries()[-1] == "how warm chicks in winter"
    response, _ = scene.begin_response(audio_ms=3000)
    scene.until(2.0)
    scene.commit(item)  # the speech that was open is the next question
    scene.done(response, "cancelled")
    scene.until(3.0)
    assert len(scene.to_upstream(commands.CreateResponse)) == 2


def test_a_commit_that_is_told_twice_changes_nothing() -> None:
    scene = Scene()
    item = scene.ask()
    scene.begin_response(audio_ms=500)
    scene.feed(events.SpeechCommitted(item))
    assert scene.to_upstream(commands.CancelResponse) == []
    assert scene.to_client(commands.PlaybackFlush) == []


def test_a_question_that_is_never_answered_does_not_grow_without_bound() -> None:
    scene = Scene()
    for number in range(300):
        scene.feed(events.TextInput(f"question {number} " + "x" * 1000))
    turn = scene.conversation._flow.turn
    assert turn is not None
    assert sum(len(text) for text in turn.texts.values()) < 6_000
    assert "question 299" in turn.said


def test_an_interrupt_of_nothing_does_not_count_as_activity() -> None:
    scene = Scene()
    scene.until(50.0)
    scene.feed(events.Interrupt())
    assert scene.conversation.quiet_since(50.0) == 0.0


def test_the_full_text_is_history_even_if_it_comes_after_the_turn() -> None:
    scene = Scene()
    item = scene.ask("how warm")
    scene.begin_response(audio_ms=2000)
    scene.until(1.0)
    scene.speak("stop")
    scene.feed(events.TranscriptCompleted(item, "How warm must chicks be?"))
    scene.done("resp_1", "cancelled")
    assert "How warm must chicks be?" in [said.text for said in scene.conversation.history]


def test_a_wait_of_zero_asks_at_once() -> None:
    scene = Scene(Policy(wait_seconds_max=0.0))
    scene.commit(scene.speak("how warm must chicks live"))
    assert scene.times(commands.CreateResponse) == [0.0]


def test_speed_is_raised_for_chinese_and_only_between_answers() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=100)
    scene.feed(events.LanguageDetected("zh-CN"))
    assert scene.to_upstream(commands.ChangeSpeed) == []
    scene.done(response)
    assert scene.last(commands.ChangeSpeed).speed == 1.15
    scene.feed(events.LanguageDetected("en"))
    assert scene.last(commands.ChangeSpeed).speed == 1.0


def test_a_chosen_speed_is_left_alone_for_chinese() -> None:
    scene = Scene(Policy(speed=0.9))
    scene.feed(events.LanguageDetected("zh"))
    assert scene.to_upstream(commands.ChangeSpeed) == []


def test_quiet_counts_from_the_end_of_the_answer_as_it_is_heard() -> None:
    scene = Scene()
    assert scene.conversation.quiet_since(0.0) == 0.0
    scene.ask()
    response, _ = scene.begin_response(audio_ms=4000)
    scene.done(response)
    scene.until(3.0)
    assert scene.conversation.quiet_since(3.0) is None
    scene.until(10.0)
    assert scene.conversation.quiet_since(10.0) == pytest.approx(4.0)


def test_a_finished_turn_is_reported_once_with_its_stages() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live?")
    scene.found(1, BROODING)
    scene.until(2.0)
    scene.commit(item)
    scene.until(2.1)
    response, _ = scene.begin_response(audio_ms=1500)
    scene.until(2.5)
    scene.done(response)
    scene.until(9.0)
    (record,) = scene.records()
    assert (record.status, record.outcome, record.queries) == ("completed", Outcome.HIDDEN, 1)
    assert (record.heard_ms, record.received_ms) == (1500, 1500)
    assert record.said == "how warm must chicks live?"
    assert record.stages.committed == record.stages.asked == 2.0
    assert record.stages.first_audio_in == record.stages.first_audio_out == 2.1
    assert record.stages.response_done == 2.5
