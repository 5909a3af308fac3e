"""Connecting to the upstream: what it must confirm, what is tried again, and audio that comes before it is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.session_fixture import UNIX_TIME, SessionFixture
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from trio.testing import MockClock


QUESTION = "how warm must the brooder be in winter"


async def test_a_client_is_ready_once_the_model_has_promised_not_to_answer_by_itself(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    assert session.told() == ["connection.ready", "session.created", "session.updated"]
    assert session.last_told("connection.ready") == {
        "type": "connection.ready",
        "session_id": "sess_test",
        "resume_token": "resume-me",
        "expires_at": UNIX_TIME + 600,
        "protocol": 1,
    }
    update = session.model.heard("session.update")[0].event["session"]
    assert update["audio"]["input"]["turn_detection"]["create_response"] is False
    assert "instructions" not in session.last_told("session.updated")["session"]


async def test_audio_before_ready_is_kept_and_sent_when_ready(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = SessionFixture(nursery)
    session.model.never_ready()
    await session.client.speak(2.0, binary=True)
    assert session.model.heard("input_audio_buffer.append") == []
    session.model.behave()  # the first attempt times out, the next is answered
    await session.ready()
    await trio.sleep(0.01)
    audio = session.model.heard("input_audio_buffer.append")
    assert len(audio) == 50


async def test_of_audio_before_ready_the_newest_five_seconds_are_kept(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery)
    session.model.never_ready()
    await session.client.speak(7.0)
    session.model.behave()
    await session.ready()
    await trio.sleep(0.01)
    assert len(session.model.heard("input_audio_buffer.append")) == 125


async def test_a_server_that_refuses_the_streaming_transcription_gets_another_once(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.refuse_transcription_model()
    await session.ready()
    assert session.under_test.summary.transcription_fallback is True
    models = [
        entry.event["session"]["audio"]["input"]["transcription"]["model"]
        for entry in session.model.heard("session.update")
    ]
    assert models == ["gpt-realtime-whisper", "gpt-transcribe"]


async def test_a_server_that_insists_on_answering_by_itself_is_refused(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.ignore_create_response_false()
    closed = await session.client.is_closed()
    assert (closed.code, closed.reason) == (1011, "OpenAI connection failed")
    assert session.model.connections == 1
    assert session.model.heard("input_audio_buffer.append") == []


@pytest.mark.parametrize("trouble", ["refuse_key", "quota"])
async def test_a_wrong_key_or_an_empty_account_is_not_tried_twice(
    autojump_clock: MockClock, session: SessionFixture, trouble: str
) -> None:
    getattr(session.model, trouble)()
    closed = await session.client.is_closed()
    assert closed.code == 1011
    assert session.model.connections == 1
    await session.over.wait()
    assert session.summary.was_ready is False


async def test_a_server_that_never_gets_ready_is_tried_three_times(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.never_ready()
    await session.over.wait()
    assert session.model.connections == 3
    assert session.summary.ending is Ending.UPSTREAM_UNAVAILABLE
    assert session.now == pytest.approx(12 + 1.5, abs=0.8)


async def test_a_setting_the_server_refuses_is_named_and_is_no_matter_of_transcription(
    autojump_clock: MockClock, session: SessionFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    session.model.behaviour.refused_transcription_models = {"gpt-realtime-whisper", "gpt-transcribe"}
    await session.over.wait()
    assert session.summary.ending is Ending.UPSTREAM_UNAVAILABLE
    assert session.model.connections == 1
    assert "session.audio.input.transcription.model" in capsys.readouterr().out


async def test_an_error_of_the_servers_own_during_the_handshake_is_no_refusal(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.never_ready()
    await session.model.hears("session.update")
    session.model.send_error("server_error")
    session.model.behave()  # the attempt times out, the next one is answered
    await session.ready()
    assert session.under_test.summary.transcription_fallback is False
