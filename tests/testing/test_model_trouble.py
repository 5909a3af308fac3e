"""The scripted model misbehaves as its script says, and records what it received."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio.errors import ModelRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

    from tests.testing.conftest import FakeCaller
    from voice_trio.testing.model import ScriptedModel

BUFFER = "input_audio_buffer."


async def test_an_impatient_model_answers_by_itself(
    autojump_clock: MockClock, model: ScriptedModel, connect: Callable[[], FakeCaller]
) -> None:
    model.ignore_create_response_false()
    caller = connect()
    await caller.is_ready()
    assert model.said[-1].event["session"]["audio"]["input"]["turn_detection"]["create_response"] is True
    await model.hear_speech("how warm")
    await caller.hears("response.created")


async def test_a_model_may_refuse_to_transcribe_with_a_model(
    autojump_clock: MockClock, model: ScriptedModel, connect: Callable[[], FakeCaller]
) -> None:
    model.refuse_transcription_model("gpt-realtime-whisper")
    caller = connect()
    await caller.sends(
        "session.update",
        event_id="vt_session",
        session={"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}},
    )
    await caller.is_refused(param="session.audio.input.transcription.model", event_id="vt_session")
    await caller.sends(
        "session.update",
        session={"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}},
    )
    await caller.hears("session.updated")


async def test_a_model_may_never_become_ready(
    autojump_clock: MockClock, model: ScriptedModel, connect: Callable[[], FakeCaller]
) -> None:
    model.never_ready()
    caller = connect()
    await caller.sends("session.update", session={"type": "realtime"})
    await trio.sleep(60)
    assert caller.types() == ["session.created"]


async def test_a_wrong_key_is_told_and_shown_out(
    autojump_clock: MockClock, model: ScriptedModel, connect: Callable[[], FakeCaller]
) -> None:
    model.refuse_key()
    caller = connect()
    await caller.is_refused(code="invalid_api_key")
    await caller.gone.wait()
    model.behave()
    model.quota()
    caller = connect()
    await caller.is_refused(code="insufficient_quota")
    await caller.gone.wait()
    assert model.connections == 2


async def test_a_connection_may_be_refused_outright(
    autojump_clock: MockClock, model: ScriptedModel, connect: Callable[[], FakeCaller]
) -> None:
    model.refuse_next_connection(ModelRefused("wrong key"))
    with pytest.raises(ModelRefused):
        connect()
    await connect().is_ready()


async def test_a_stalled_model_says_nothing_until_it_resumes(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.stall()
    with trio.move_on_after(2) as patience:
        await caller.sends("response.create")
    assert patience.cancelled_caught
    model.start_speech()
    await caller.hears_nothing_more()
    model.resume()
    await caller.hears(BUFFER + "speech_started")


async def test_a_dropped_connection_says_no_code(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await model.drop()
    await caller.gone.wait()
    assert caller.closed_with is not None
    assert caller.closed_with.code is None


async def test_a_closing_model_says_what_it_had_to_say(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.send_error("session_expired", message="Your session hit the maximum duration of 60 minutes.")
    await model.close(1001, "Your session hit the maximum duration of 60 minutes.")
    await caller.is_refused(code="session_expired")
    await caller.gone.wait()
    assert caller.closed_with is not None
    assert caller.closed_with.code == 1001


async def test_an_error_can_blame_an_event_of_ours(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.send_error("server_error", "vt_5")
    await caller.is_refused(code="server_error", event_id="vt_5")


async def test_a_second_connection_is_a_new_conversation(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller, connect: Callable[[], FakeCaller]
) -> None:
    await model.hear_speech("how warm")
    await model.drop()
    again = connect()
    await again.is_ready()
    assert model.items == []
    await model.hear_speech("and for layers")
    assert (await again.hears(BUFFER + "committed")).event["previous_item_id"] is None
    assert {entry.session for entry in model.received} == {0, 1}


async def test_what_was_received_is_kept_with_its_time(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await trio.sleep(0.75)
    await caller.sends("response.create", event_id="first")
    await trio.sleep(0.5)
    await caller.sends("response.cancel", event_id="second")
    first, second = await model.hears("response.create"), await model.hears("response.cancel")
    assert first.event["event_id"] == "first"
    assert first.at == pytest.approx(0.75)
    assert second.at - first.at == pytest.approx(0.5)
    with trio.move_on_after(10) as patience:
        await model.hears("response.create")
    assert patience.cancelled_caught
