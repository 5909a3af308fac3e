"""Turns of an embedded session, in the order of events that was recorded of OpenAI's service."""

from __future__ import annotations

import math
import tracemalloc

from tests.support.embedded_fixture import CONTEXT, SessionDriver, error_in, only
from tests.support.fake_engines import FakeVoiceActivity, quiet, voice
from tests.support.recorded import BEGINNING, ENDING
from voice_trio.embedded.commands import (
    CancelRecognition,
    CancelSynthesis,
    FinishRecognition,
    StartRecognition,
    Synthesize,
)
from voice_trio.embedded.input_buffer import SpeechSegmenter

WHISPER = {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}
SPOKEN_TURN = ["input_audio_buffer.speech_stopped", "input_audio_buffer.committed"]
ITEM = ["conversation.item.added", "conversation.item.done"]
DELTAS = ["response.output_audio_transcript.delta", "response.output_audio.delta"]
DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"


def test_a_spoken_turn_has_the_recorded_order_of_events() -> None:
    driver = SessionDriver(session={"audio": WHISPER})
    driver.append(quiet(400) + voice(500))
    driver.words("how warm")
    driver.append(voice(300) + quiet(500))
    driver.words(" should it")
    driver.heard("how warm should it be")
    driver.say("I do")
    driver.say(" not know.")
    driver.finish()
    assert driver.fresh() == [
        "input_audio_buffer.speech_started",
        DELTA,
        *SPOKEN_TURN,
        *ITEM,
        "response.created",
        DELTA,
        DELTA,
        COMPLETED,
        *BEGINNING,
        *DELTAS,
        *DELTAS,
        *ENDING,
    ]


def test_words_come_under_the_id_that_speech_started_announced_before_the_item_exists() -> None:
    driver = SessionDriver(session={"audio": WHISPER})
    started = only(driver.append(quiet(400) + voice(500)))
    delta = only(driver.words("how warm"))
    stopped, committed, added, *_ = driver.append(quiet(500))
    assert started["item_id"] == delta["item_id"] == stopped["item_id"] == committed["item_id"] == added["item"]["id"]
    assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (100, 1400)
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert added["item"]["status"] == "completed"


def test_create_response_false_stops_after_the_item_until_the_client_asks() -> None:
    driver = SessionDriver(
        session={"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}}
    )
    driver.append(voice(400) + quiet(500))
    assert driver.fresh() == ["input_audio_buffer.speech_started", *SPOKEN_TURN, *ITEM]
    driver.send("response.create")
    assert driver.fresh() == ["response.created"]


def test_recognition_gets_the_padding_and_the_speech_and_no_silence() -> None:
    driver = SessionDriver()
    driver.append(quiet(2000))
    assert driver.commands == []
    driver.append(voice(1000) + quiet(1500))
    assert isinstance(driver.commands[0], StartRecognition)
    assert driver.last(FinishRecognition).recognition_id == 1
    assert 1800 <= driver.heard_bytes() / 48 <= 1900


def test_silence_duration_and_padding_are_the_sessions() -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 200, "prefix_padding_ms": 0, "create_response": False}
    driver = SessionDriver(session={"audio": {"input": {"turn_detection": detection}}})
    started, stopped, *_ = driver.append(quiet(400) + voice(500) + quiet(200))
    assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (400, 1100)


def test_semantic_vad_works_as_server_vad_does() -> None:
    driver = SessionDriver(session={"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    driver.append(voice(400) + quiet(500))
    assert driver.fresh()[:3] == ["input_audio_buffer.speech_started", *SPOKEN_TURN]


def test_barge_in_closes_what_is_open_and_keeps_the_item_as_incomplete() -> None:
    driver = SessionDriver()
    driver.say_in_text("how warm")
    driver.send("response.create")
    driver.say("One")
    driver.fresh()
    events = driver.append(voice(200))
    assert driver.fresh() == ["input_audio_buffer.speech_started", *ENDING]
    assert events[4]["item"]["status"] == "incomplete"
    done = events[6]["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["usage"]["output_token_details"] == {"text_tokens": 1, "audio_tokens": 2}
    assert driver.last(CancelSynthesis).response_id == done["id"]


def test_barge_in_before_any_sound_is_response_done_only() -> None:
    driver = SessionDriver()
    driver.say_in_text("how warm")
    driver.send("response.create")
    driver.fresh()
    driver.append(voice(200))
    assert driver.fresh() == ["input_audio_buffer.speech_started", "response.done", "rate_limits.updated"]


def test_sound_that_was_synthesised_too_late_is_not_sent() -> None:
    driver = SessionDriver()
    driver.say_in_text("how warm")
    driver.send("response.create")
    driver.send("response.cancel")
    assert driver.say("One") == []
    assert driver.finish() == []


def test_without_interrupt_response_the_answer_goes_on_and_the_next_one_is_refused() -> None:
    detection = {"type": "server_vad", "interrupt_response": False}
    driver = SessionDriver(session={"audio": {"input": {"turn_detection": detection}}})
    driver.say_in_text("how warm")
    driver.send("response.create")
    events = driver.append(voice(400) + quiet(500))
    assert events[-1]["error"]["code"] == "conversation_already_has_active_response"
    assert driver.say("One") != []


def test_the_answer_reads_the_context_item_after_the_question() -> None:
    driver = SessionDriver()
    driver.say_in_text("how warm should the brooder be")
    driver.say_in_text(CONTEXT, "system")
    driver.send("response.create")
    assert driver.last(Synthesize).text == (
        "According to Brooding chicks: The brooder should be 32 to 35 degrees Celsius in the first week."
    )


def test_context_that_comes_after_response_create_is_too_late() -> None:
    driver = SessionDriver()
    driver.append(voice(400) + quiet(500))
    driver.say_in_text(CONTEXT, "system")
    driver.heard("how warm should the brooder be")
    assert driver.last(Synthesize).text.startswith("I do not know")


def test_an_answer_waits_a_moment_for_the_last_words() -> None:
    driver = SessionDriver()
    driver.append(voice(400) + quiet(500))
    driver.words("how warm")
    assert driver.session.deadline == 0.2
    driver.wait(0.19)
    assert not any(isinstance(command, Synthesize) for command in driver.commands)
    driver.heard("how warm should it be")
    assert driver.last(Synthesize).text


def test_an_answer_does_not_wait_longer_than_that() -> None:
    driver = SessionDriver(
        session={"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}}
    )
    driver.append(voice(400) + quiet(500))
    driver.words("brooder warm")
    driver.say_in_text(CONTEXT, "system")
    driver.send("response.create")
    driver.wait(0.2)
    assert "32 to 35" in driver.last(Synthesize).text


def test_deltas_only_append_and_the_last_ones_complete_the_text() -> None:
    driver = SessionDriver(session={"audio": WHISPER})
    driver.append(voice(400))
    driver.words("how")
    driver.words(" warm")
    driver.append(quiet(500))
    delta, completed = driver.heard("how warm is it")
    assert delta["delta"] == " is it"
    assert completed["transcript"] == "how warm is it"
    assert completed["usage"] == {"type": "duration", "seconds": 1}


def test_a_final_text_that_disagrees_is_told_by_completed_alone() -> None:
    driver = SessionDriver(session={"audio": WHISPER})
    driver.append(voice(400))
    driver.words("cow warm")
    driver.append(quiet(500))
    assert only(driver.heard("how warm is it"))["transcript"] == "how warm is it"


def test_a_session_that_wants_no_transcripts_gets_none_and_is_answered_all_the_same() -> None:
    driver = SessionDriver(
        session={"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}}
    )
    driver.append(voice(400))
    assert driver.words("how warm") == []
    driver.append(quiet(500))
    assert driver.heard("how warm should the brooder be") == []
    driver.say_in_text(CONTEXT, "system")
    driver.send("response.create")
    assert "32 to 35" in driver.last(Synthesize).text


def test_busy_recognizers_fail_the_transcript_and_the_session_goes_on() -> None:
    driver = SessionDriver(session={"audio": WHISPER})
    driver.append(voice(400))
    driver.unheard("all 2 recognizers are in use")
    events = driver.append(quiet(500))
    failed = next(event for event in events if event["type"].endswith("transcription.failed"))
    assert failed["error"]["code"] == "ears_unavailable"
    assert driver.last(Synthesize).text == "I am sorry, I could not hear you: all 2 recognizers are in use."


def test_busy_recognizers_are_an_error_event_where_no_transcripts_are_wanted() -> None:
    driver = SessionDriver()
    driver.append(voice(400) + quiet(500))
    events = driver.unheard("all 2 recognizers are in use")
    assert error_in(events)["code"] == "ears_unavailable"


def test_a_server_without_a_recognizer_says_what_is_missing_once_and_serves_typed_input() -> None:
    driver = SessionDriver(deaf=True)
    assert error_in(driver.append(voice(100)))["message"] == "Install voice-trio[local]."
    assert driver.append(voice(400)) == []
    driver.send("input_audio_buffer.commit")
    driver.say_in_text("how warm should the brooder be")
    driver.say_in_text(CONTEXT, "system")
    driver.send("response.create", response={"output_modalities": ["text"]})
    assert driver.events[-2]["response"]["status"] == "completed"


def test_speech_without_end_is_recognised_a_minute_at_a_time() -> None:
    driver = SessionDriver(session={"audio": WHISPER})
    driver.append(voice(61_000))
    assert FinishRecognition(1) in driver.commands
    driver.heard("a very long", recognition_id=1)
    driver.append(quiet(500))
    completed = driver.heard("story", recognition_id=2)[-1]
    assert completed["transcript"] == "a very long story"


def test_clearing_the_buffer_in_the_middle_of_speech_forgets_it() -> None:
    driver = SessionDriver(session={"audio": WHISPER})
    driver.append(voice(400))
    assert only(driver.send("input_audio_buffer.clear"))["type"] == "input_audio_buffer.cleared"
    assert driver.last(CancelRecognition).recognition_id == 1
    assert driver.heard("too late", recognition_id=1) == []
    assert driver.append(quiet(600)) == []


def test_what_was_cleared_is_part_of_nothing_that_follows() -> None:
    driver = SessionDriver()
    first = driver.append(quiet(400) + voice(400))[0]
    driver.send("input_audio_buffer.clear")
    driver.commands.clear()
    second = driver.append(voice(200))[0]
    assert second["item_id"] != first["item_id"]
    assert driver.heard_bytes() == 200 * 48


def test_minutes_in_one_event_are_listened_to_in_stretches_and_before_whatever_follows() -> None:
    driver = SessionDriver()
    assert driver.append(quiet(5000) + voice(400) + quiet(600), piece_ms=6000) == []
    assert driver.session.is_behind
    driver.take(driver.session.catch_up(0.1))
    assert driver.fresh() == []
    driver.send("input_audio_buffer.clear")
    assert driver.fresh()[:2] == ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"]
    assert not driver.session.is_behind


def test_what_a_turn_took_cannot_be_committed_again() -> None:
    driver = SessionDriver()
    driver.append(voice(400) + quiet(500))
    assert error_in(driver.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


def test_an_item_deleted_before_it_was_heard_is_not_transcribed() -> None:
    detection = {"type": "server_vad", "create_response": False}
    driver = SessionDriver(session={"audio": {"input": {**WHISPER["input"], "turn_detection": detection}}})
    item_id = driver.append(voice(400) + quiet(500))[0]["item_id"]
    driver.send("conversation.item.delete", item_id=item_id)
    assert driver.last(CancelRecognition).recognition_id == 1
    assert driver.heard("how warm", recognition_id=1) == []


def test_an_item_with_the_id_of_a_deleted_one_has_words_of_its_own() -> None:
    driver = SessionDriver(
        session={"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}}
    )
    item_id = driver.append(voice(400) + quiet(500))[0]["item_id"]
    driver.heard("how warm should the brooder be")
    driver.send("conversation.item.delete", item_id=item_id)
    content = [{"type": "input_text", "text": "what about submarines"}]
    item = {"id": item_id, "type": "message", "role": "user", "content": content}
    driver.send("conversation.item.create", item=item)
    driver.say_in_text(CONTEXT, "system")
    driver.send("response.create")
    assert driver.last(Synthesize).text.startswith("I do not know")


def test_silence_is_not_kept() -> None:
    microphone = SpeechSegmenter(FakeVoiceActivity())
    second = quiet(1000)
    tracemalloc.start()
    try:
        for _ in range(60):
            assert list(microphone.feed(second)) == []
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < len(second) * 3


def test_a_session_ends_after_an_hour_with_the_apis_code() -> None:
    driver = SessionDriver()
    assert driver.wait(3599) == []
    assert error_in(driver.wait(1))["code"] == "session_expired"
    assert driver.session.deadline == math.inf
    assert driver.commands[-1].code == 1001  # type: ignore[union-attr]  # others have no code: that fails too
