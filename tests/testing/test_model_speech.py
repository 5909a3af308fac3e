"""How the scripted model hears speech: events and words in the recorded order, and at the recorded times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.recorded import ENDING

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.testing.conftest import FakeCaller
    from voice_trio.testing.model import ScriptedModel

BUFFER, ITEM, STT = "input_audio_buffer.", "conversation.item.", "conversation.item.input_audio_transcription."


async def test_a_turn_comes_in_the_recorded_order(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.answers_with("Thirty three", audio_ms=200, pace=1.0, first_audio_after=0.15)
    await model.hear_speech("how warm should it be for chicks", lasts=2.0)
    await caller.sends("response.create")
    await caller.hears("rate_limits.updated")
    assert caller.types() == [
        BUFFER + "speech_started",
        *[STT + "delta"] * 5,
        BUFFER + "speech_stopped",
        BUFFER + "committed",
        ITEM + "added",
        ITEM + "done",
        "response.created",
        "response.output_item.added",
        ITEM + "added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        STT + "delta",
        STT + "delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        *ENDING,
    ]
    assert (await caller.hears(STT + "completed")).event["transcript"] == "how warm should it be for chicks"


async def test_words_come_as_far_behind_the_speech_as_recorded(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    began = caller.recorder.now
    await model.hear_speech("how warm should it be for chicks", lasts=2.0)
    committed = caller.recorder.now - began
    await caller.hears(STT + "completed")
    times = [round(entry.at - began, 6) for entry in caller.recorder.heard(STT + "delta")]
    assert committed == pytest.approx(2.5)
    assert times == pytest.approx([1.2, 1.5, 1.8, 2.1, 2.4, 2.7, 2.7])
    assert caller.recorder.now - began == pytest.approx(3.0)


async def test_words_can_come_when_the_test_says(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    began = caller.recorder.now
    await model.hear_speech("how warm", words_at=[0.25, 4.0], lasts=1.0, silence=0.5)
    await caller.hears(STT + "delta")
    assert (await caller.hears(STT + "delta")).at - began == pytest.approx(4.0)
    await caller.hears(STT + "completed")


async def test_deltas_name_the_item_before_it_exists(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    item_id = await model.hear_speech("how warm")
    announced = (await caller.hears(BUFFER + "speech_started")).event["item_id"]
    committed = (await caller.hears(BUFFER + "committed")).event
    assert announced == committed["item_id"] == item_id == model.items[-1]["id"]
    assert committed["previous_item_id"] is None


async def test_silence_is_committed_without_words(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await model.hear_speech("")
    assert (await caller.hears(STT + "completed")).event["transcript"] == ""
    assert STT + "delta" not in caller.types()


async def test_a_model_that_transcribes_after_the_commit_does_so_in_a_burst(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await caller.sends(
        "session.update",
        session={"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}},
    )
    await caller.hears("session.updated")
    await model.hear_speech("how warm")
    await caller.hears(STT + "completed")
    assert caller.types()[-3:] == [STT + "delta", STT + "delta", STT + "completed"]
    assert caller.types().index(BUFFER + "committed") < caller.types().index(STT + "delta")


async def test_a_transcription_can_fail(autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller) -> None:
    model.fail_next_transcription("audio_unintelligible")
    await model.hear_speech("mumble")
    assert (await caller.hears(STT + "failed")).event["error"]["code"] == "audio_unintelligible"
