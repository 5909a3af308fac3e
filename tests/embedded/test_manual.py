"""Sessions without turn detection, where the client commits, and sessions that only transcribe."""

from __future__ import annotations

import pytest

from tests.support.embedded_fixture import SessionDriver, error_in
from tests.support.fake_engines import quiet, voice

COMPLETED = "conversation.item.input_audio_transcription.completed"
PUSH_TO_TALK = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}}


def test_a_commit_by_hand_makes_an_item_and_no_response() -> None:
    driver = SessionDriver(session=PUSH_TO_TALK)
    assert driver.append(quiet(200) + voice(500) + quiet(100)) == []
    driver.words("how warm")
    driver.send("input_audio_buffer.commit")
    driver.heard("how warm is it")
    assert driver.fresh() == [
        "conversation.item.input_audio_transcription.delta",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        COMPLETED,
    ]


def test_pauses_in_manual_mode_end_no_turn_and_lose_no_words() -> None:
    driver = SessionDriver(session=PUSH_TO_TALK)
    driver.append(voice(400) + quiet(900))
    driver.words("how warm")
    driver.append(voice(400))
    driver.words("is it")
    driver.send("input_audio_buffer.commit")
    driver.heard("how warm", recognition_id=1)
    assert [event["delta"] for event in driver.events if "delta" in event] == ["how warm", " is it"]
    assert driver.heard("is it now", recognition_id=2)[-1]["transcript"] == "how warm is it now"


@pytest.mark.parametrize("duration_ms", [0, 20, 99])
def test_less_than_100_ms_cannot_be_committed(duration_ms: int) -> None:
    driver = SessionDriver(session=PUSH_TO_TALK)
    driver.append(voice(duration_ms))
    error = error_in(driver.send("input_audio_buffer.commit", event_id="mine"))
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert error["event_id"] == "mine"
    driver.append(voice(100 - duration_ms))
    assert driver.send("input_audio_buffer.commit")[0]["type"] == "input_audio_buffer.committed"


def test_what_was_committed_or_cleared_does_not_count_again() -> None:
    driver = SessionDriver(session=PUSH_TO_TALK)
    driver.append(voice(300))
    driver.send("input_audio_buffer.commit")
    assert error_in(driver.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"
    driver.append(voice(300))
    driver.send("input_audio_buffer.clear")
    assert error_in(driver.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


def test_silence_is_committed_as_an_item_without_words() -> None:
    driver = SessionDriver(session=PUSH_TO_TALK)
    driver.append(quiet(300))
    assert driver.send("input_audio_buffer.commit")[-1]["transcript"] == ""
    assert driver.commands == []


def test_a_transcription_session_transcribes_and_answers_nothing() -> None:
    driver = SessionDriver(transcription=True)
    update = {"type": "transcription", "audio": {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}}
    shown = driver.send("session.update", session=update)[0]["session"]
    assert shown["object"] == "realtime.transcription_session"
    assert shown["audio"]["input"]["turn_detection"] is None
    driver.append(voice(500))
    driver.words("how warm")
    driver.send("input_audio_buffer.commit")
    assert driver.heard("how warm is it")[-1]["transcript"] == "how warm is it"
    assert error_in(driver.send("response.create"))["param"] == "type"


def test_streaming_models_refuse_turn_detection_in_transcription_sessions() -> None:
    driver = SessionDriver(transcription=True)
    heard = {"transcription": {"model": "gpt-live-transcribe"}, "turn_detection": {"type": "server_vad"}}
    error = error_in(driver.send("session.update", session={"type": "transcription", "audio": {"input": heard}}))
    assert error["param"] == "session.audio.input.turn_detection"
    assert error["message"] == "Turn detection is not supported for this transcription model."


def test_a_transcription_session_with_an_older_model_may_have_turn_detection() -> None:
    driver = SessionDriver(transcription=True)
    heard = {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": {"type": "server_vad"}}
    driver.send("session.update", session={"type": "transcription", "audio": {"input": heard}})
    driver.fresh()
    driver.append(voice(400) + quiet(500))
    assert driver.fresh()[0] == "input_audio_buffer.speech_started"
