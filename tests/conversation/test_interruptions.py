"""Barge-in, interrupt, and what the model is told of what was heard."""

from __future__ import annotations

import pytest

from tests.support.conversation_fixture import Scene
from voice_trio.conversation import commands, events


def truncated(scene: Scene) -> list[tuple[str, str, int | None]]:
    """(command, item, ms) of every truncation and deletion, in order."""
    return [
        (type(command).__name__, command.item_id, getattr(command, "audio_end_ms", None))
        for command in (sent.command for sent in scene.of(commands.SendToUpstream))
        if isinstance(command, commands.TruncateItem | commands.DeleteItem)
    ]


def test_barge_in_while_generating_flushes_and_truncates_at_what_was_heard() -> None:
    scene = Scene()
    scene.ask()
    scene.until(1.0)
    response, item = scene.begin_response(audio_ms=4000)
    scene.until(2.5)
    scene.speak("stop")
    assert scene.to_client(commands.PlaybackFlush) == [commands.PlaybackFlush(item, 1500)]
    assert truncated(scene) == []
    scene.done(response, "cancelled", reason="turn_detected")
    assert truncated(scene) == [("TruncateItem", item, 1500)]


def test_speech_started_never_sends_response_cancel_because_the_server_cancels_by_itself() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=4000)
    scene.until(1.0)
    scene.speak("stop")
    scene.until(2.0)
    scene.done(response, "cancelled")
    assert scene.to_upstream(commands.CancelResponse) == []


def test_the_client_is_told_of_speech_before_it_is_told_to_flush() -> None:
    scene = Scene()
    scene.ask()
    scene.begin_response(audio_ms=4000)
    scene.until(1.0)
    issued = scene.feed(events.SpeechStarted("item_next"))
    told = [type(command.event).__name__ for command in issued if isinstance(command, commands.SendToClient)]
    assert told == ["SpeechStarted", "PlaybackFlush"]


def test_I5_nothing_of_an_interrupted_answer_is_forwarded_any_more() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=1000)
    scene.until(0.5)
    scene.speak("stop")
    before = len(scene.to_client(events.ResponseAudioDelta)), len(scene.to_client(events.ResponseTranscriptDelta))
    scene.audio(response, item, 1000)
    scene.feed(events.ResponseAudioDone(response, item))
    scene.feed(events.ResponseTranscriptDone(response, item, "all of it"))
    assert (
        len(scene.to_client(events.ResponseAudioDelta)),
        len(scene.to_client(events.ResponseTranscriptDelta)),
    ) == before
    assert scene.to_client(events.ResponseAudioDone) == []
    scene.done(response, "cancelled")
    assert len(scene.to_client(events.ResponseDone)) == 1


def test_I6_audio_that_arrives_after_the_interruption_counts_as_received_but_not_as_heard() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=500)
    scene.until(0.5)  # all that was sent has been heard
    scene.speak("stop")
    scene.audio(response, item, 800)
    scene.done(response, "cancelled")
    assert truncated(scene) == [("TruncateItem", item, 500)]


def test_barge_in_on_an_answer_that_is_generated_but_still_playing() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=3000)
    scene.done(response)
    scene.until(1.25)
    scene.speak("stop")
    assert scene.to_client(commands.PlaybackFlush) == [commands.PlaybackFlush(item, 1250)]
    assert truncated(scene) == [("TruncateItem", item, 1250)]


def test_I6_fully_heard_is_neither_truncated_nor_deleted() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=3000)
    scene.done(response)
    scene.until(3.5)
    scene.speak("thanks")
    assert truncated(scene) == []
    assert scene.to_client(commands.PlaybackFlush) == []


def test_barge_in_before_the_first_audio_deletes_the_item() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response()
    scene.until(0.2)
    scene.speak("wait")
    scene.done(response, "cancelled")
    assert truncated(scene) == [("DeleteItem", item, None)]
    assert scene.to_client(commands.PlaybackFlush) == []


def test_audio_that_never_left_for_the_client_was_not_heard() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=2000, sent=False)
    scene.until(1.0)
    scene.speak("stop")
    scene.done(response, "cancelled")
    assert truncated(scene) == [("DeleteItem", item, None)]
    assert scene.to_client(commands.PlaybackFlush) == [commands.PlaybackFlush(item, 0)]


def test_speech_between_response_create_and_response_created_cancels_by_id_when_it_appears() -> None:
    scene = Scene()
    scene.ask()
    scene.until(0.1)
    second = scene.speak("no wait")
    response, item = scene.begin_response()
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == [response]
    scene.audio(response, item, 500)
    scene.commit(second)
    scene.until(1.0)
    assert len(scene.to_upstream(commands.CreateResponse)) == 1
    scene.done(response, "cancelled")
    assert len(scene.to_upstream(commands.CreateResponse)) == 2
    assert scene.to_client(events.ResponseCreated) == []
    assert scene.to_client(events.ResponseAudioDelta) == []
    assert scene.to_client(events.ResponseDone) == []
    assert scene.upstream_log()[2:] == ["CancelResponse", "DeleteItem", "CreateResponse"]


def test_words_of_a_question_whose_answer_nobody_heard_join_the_next() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    scene.until(0.1)
    second = scene.speak("in winter")
    response, _ = scene.begin_response()
    scene.done(response, "cancelled")
    scene.commit(second)
    assert scene.queries()[-1] == "how warm must chicks live in winter"


def test_words_of_an_answered_question_do_not_join_the_next() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    scene.begin_response(audio_ms=2000)
    scene.until(1.0)
    scene.commit(scene.speak("do ducks swim"))
    assert scene.queries()[-1] == "do ducks swim"


def test_I1_the_next_answer_is_asked_for_only_when_the_interrupted_one_is_done() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=4000)
    scene.until(1.0)
    second = scene.speak("stop")
    scene.until(1.5)
    scene.commit(second)
    scene.until(2.5)
    assert len(scene.to_upstream(commands.CreateResponse)) == 1
    scene.done(response, "cancelled")
    assert scene.times(commands.CreateResponse)[-1] == 2.5
    log = scene.upstream_log()
    assert log.index("TruncateItem") < len(log) - 1 - log[::-1].index("CreateResponse")
    assert truncated(scene) == [("TruncateItem", item, 1000)]


def test_a_done_that_never_comes_is_asked_for_by_id_and_then_done_without() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=4000)
    scene.until(1.0)
    scene.commit(scene.speak("stop"))
    scene.until(3.9)
    assert scene.to_upstream(commands.CancelResponse) == []
    scene.until(4.1)
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == [response]
    scene.until(7.1)
    assert len(scene.to_upstream(commands.CreateResponse)) == 2


def test_a_cancel_that_meets_nothing_active_frees_the_model() -> None:
    scene = Scene()
    scene.ask()
    scene.begin_response(audio_ms=4000)
    scene.until(1.0)
    scene.feed(events.TextInput("stop it"))
    cancel = scene.last(commands.CancelResponse)
    scene.feed(events.UpstreamError("response_cancel_not_active", "", cancel.event_id))
    scene.until(1.3)
    assert len(scene.to_upstream(commands.CreateResponse)) == 2
    assert scene.errors() == []


def test_interrupt_cancels_by_id_flushes_and_asks_nothing_new() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=4000)
    scene.until(2.0)
    scene.feed(events.Interrupt())
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == [response]
    scene.done(response, "cancelled", reason="client_cancelled")
    assert truncated(scene) == [("TruncateItem", item, 2000)]
    scene.until(9.0)
    assert len(scene.to_upstream(commands.CreateResponse)) == 1
    assert [record.status for record in scene.records()] == ["cancelled"]


def test_interrupt_believes_the_client_about_what_was_played() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=4000)
    scene.until(2.0)
    scene.feed(events.Interrupt(item, 1700))
    scene.done(response, "cancelled")
    assert truncated(scene) == [("TruncateItem", item, 1700)]
    assert scene.to_client(commands.PlaybackFlush) == [commands.PlaybackFlush(item, 1700)]


def test_interrupt_of_nothing_does_nothing() -> None:
    scene = Scene()
    assert scene.feed(events.Interrupt()) == []
    scene.speak("hello")
    assert scene.feed(events.Interrupt()) == []


def test_interrupt_during_the_wait_takes_the_question_back() -> None:
    scene = Scene()
    scene.commit(scene.speak("how warm must chicks live"))
    scene.until(0.1)
    scene.feed(events.Interrupt())
    scene.until(2.0)
    assert scene.to_upstream(commands.CreateResponse) == []
    assert [record.status for record in scene.records()] == ["unanswered"]


def test_a_reporting_client_has_300_ms_to_say_where_the_flush_met_it() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=4000)
    scene.until(1.0)
    scene.feed(events.PlaybackPosition(item, 900))
    scene.until(2.0)
    scene.speak("stop")
    scene.done(response, "cancelled")
    scene.until(2.2)
    assert truncated(scene) == []
    scene.feed(events.PlaybackPosition(item, 1850))
    scene.until(2.31)
    assert truncated(scene) == [("TruncateItem", item, 1850)]


def test_a_report_marked_as_following_the_flush_settles_at_once() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=4000)
    scene.feed(events.PlaybackPosition(item, 0))
    scene.until(2.0)
    scene.speak("stop")
    scene.done(response, "cancelled")
    scene.until(2.05)
    scene.feed(events.PlaybackPosition(item, 1850, flushed=True))
    assert truncated(scene) == [("TruncateItem", item, 1850)]


def test_a_position_that_is_never_reported_falls_back_to_the_clock() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=4000)
    scene.until(1.0)
    scene.feed(events.PlaybackPosition(item, 900))  # 100 ms behind our clock
    scene.until(2.0)
    scene.speak("stop")
    scene.done(response, "cancelled")
    scene.until(2.5)
    assert truncated(scene) == [("TruncateItem", item, 1900)]


def test_I6_a_client_that_claims_too_much_is_held_to_what_was_sent() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=1000)
    scene.feed(events.PlaybackPosition(item, 99_999_999))
    scene.until(0.2)
    scene.speak("stop")
    scene.audio(response, item, 1000)
    scene.feed(events.PlaybackPosition(item, 99_999_999, flushed=True))
    scene.done(response, "cancelled")
    assert truncated(scene) == [("TruncateItem", item, 1000)]


def test_several_audio_items_are_settled_one_by_one() -> None:
    scene = Scene()
    scene.ask()
    response, first = scene.begin_response(audio_ms=1000)
    for item, ms in (("second", 1000), ("third", 1000)):
        scene.feed(events.OutputItemAdded(response, item))
        scene.audio(response, item, ms)
    scene.until(1.4)
    scene.speak("stop")
    assert scene.to_client(commands.PlaybackFlush) == [commands.PlaybackFlush("second", 400)]
    scene.done(response, "cancelled")
    assert truncated(scene) == [("TruncateItem", "second", 400), ("DeleteItem", "third", None)]
    assert first not in [item for _, item, _ in truncated(scene)]


def test_a_report_on_a_later_item_means_the_earlier_ones_were_heard() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=1000)
    scene.feed(events.OutputItemAdded(response, "second"))
    scene.audio(response, "second", 1000)
    scene.feed(events.PlaybackPosition("second", 100))
    scene.until(0.1)
    scene.speak("stop")
    scene.feed(events.PlaybackPosition("second", 250, flushed=True))
    scene.done(response, "cancelled")
    assert truncated(scene) == [("TruncateItem", "second", 250)]


def test_typed_input_interrupts_cancels_by_id_and_settles_before_it_asks() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=4000)
    scene.feed(events.PlaybackPosition(item, 0))
    scene.until(1.0)
    scene.feed(events.TextInput("and for ducks"))
    assert scene.last(commands.CancelResponse).response_id == response
    scene.done(response, "cancelled")
    scene.until(1.2)  # the position is waited for until 1.3, but response.create is due now
    assert scene.times(commands.CreateResponse)[-1] == pytest.approx(1.2)
    assert scene.upstream_log()[-2:] == ["TruncateItem", "CreateResponse"]
    assert truncated(scene) == [("TruncateItem", item, 1000)]


def test_an_underrun_does_not_count_as_heard() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=200)
    scene.until(1.0)
    scene.audio(response, item, 1000)
    scene.until(1.3)
    scene.speak("stop")
    scene.done(response, "cancelled")
    assert truncated(scene) == [("TruncateItem", item, 500)]


def test_speech_again_while_an_interruption_is_being_settled_changes_nothing() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response(audio_ms=4000)
    scene.until(1.0)
    scene.commit(scene.speak("stop"))
    scene.until(1.1)
    last = scene.speak("really")
    assert len(scene.to_client(commands.PlaybackFlush)) == 1
    scene.done(response, "cancelled")
    scene.commit(last)
    scene.until(3.0)
    assert truncated(scene) == [("TruncateItem", item, 1000)]
    assert len(scene.to_upstream(commands.CreateResponse)) == 2


def test_an_interrupted_turn_is_reported_with_what_was_heard_of_it() -> None:
    scene = Scene()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=4000)
    scene.until(1.5)
    scene.speak("stop")
    scene.done(response, "cancelled")
    (record,) = scene.records()
    assert (record.status, record.heard_ms, record.received_ms) == ("cancelled", 1500, 4000)
    assert record.stages.interrupted == 1.5
