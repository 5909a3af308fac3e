"""A connection in virtual time: what the pure session decides, done by engines that keep exact times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.embedded_fixture import CONTEXT
from tests.support.fake_caller import LISTENING, calling
from tests.support.fake_engines import FakeRecognizer, FakeSynthesizer, fake_engines, quiet, voice
from voice_trio.embedded import queues
from voice_trio.embedded.connection import Pace
from voice_trio.embedded.engines import Engines
from voice_trio.errors import LinkClosed
from voice_trio.protocols.audio import encode_audio

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.fake_caller import FakeCaller

DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"
FAILED = "conversation.item.input_audio_transcription.failed"
SOUND = "response.output_audio.delta"


async def test_a_spoken_question_is_transcribed_while_it_is_spoken_and_answered_from_the_context(
    autojump_clock: MockClock,
) -> None:
    async with calling(fake_engines()) as caller:
        await caller.send("session.update", session=LISTENING)
        await caller.speak(quiet(400) + voice(2000) + quiet(600))
        deltas = [entry.event["delta"] for entry in caller.heard(DELTA)]
        assert "".join(deltas) == "how warm should the brooder be"
        assert len(deltas) >= 5
        committed = await caller.hears("input_audio_buffer.committed")
        assert sum(entry.at < committed.at for entry in caller.heard(DELTA)) == len(deltas) - 1
        completed = await caller.hears(COMPLETED)
        assert completed.at - committed.at == pytest.approx(0.015)
        await caller.type(CONTEXT, "system")
        asked_at = caller.now
        await caller.send("response.create")
        assert (await caller.hears(SOUND)).at - asked_at == pytest.approx(0.03)
        await caller.hears("response.done")
        assert "32 to 35 degrees" in caller.said()


async def test_text_comes_just_ahead_of_its_sound(autojump_clock: MockClock) -> None:
    async with calling(fake_engines()) as caller:
        await caller.send("response.create")
        await caller.hears("response.done")
        kinds = [kind for kind in caller.types() if kind.endswith(".delta")]
        assert kinds == ["response.output_audio_transcript.delta", SOUND] * (len(kinds) // 2)


async def test_sound_leaves_faster_than_it_plays_after_a_head_start(autojump_clock: MockClock) -> None:
    async with calling(fake_engines(), Pace(times_faster=4.0, head_start_ms=200.0)) as caller:
        await caller.send("response.create")
        await caller.hears("response.done")
        sounds = [entry.at for entry in caller.heard(SOUND)]
        since = [at - sounds[0] for at in sounds]
        assert since[:4] == pytest.approx([0.0, 0.0, 0.0, 0.025])
        assert since[-1] == pytest.approx((len(sounds) - 3) * 0.025)


async def test_barge_in_stops_synthesis_at_once(autojump_clock: MockClock) -> None:
    synthesizer = FakeSynthesizer(chunk_ms=1000)
    async with calling(fake_engines(synthesizer=synthesizer), Pace(1.0, 0.0)) as caller:
        await caller.send("response.create")
        await caller.hears(SOUND)
        await caller.speak(voice(400))
        done = await caller.hears("response.done")
        assert done.event["response"]["status_details"]["reason"] == "turn_detected"
        before = synthesizer.chunks_made
        await trio.sleep(5)
        assert synthesizer.chunks_made == before
        item = done.event["response"]["output"][0]["id"]
        await caller.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=700)
        assert (await caller.hears("conversation.item.truncated")).event["audio_end_ms"] == 700


async def test_audio_that_comes_at_once_is_heard_all_the_same(autojump_clock: MockClock) -> None:
    async with calling(fake_engines()) as caller:
        await caller.send("session.update", session=LISTENING)
        audio = encode_audio(quiet(400) + voice(2000) + quiet(900))
        await caller.send("input_audio_buffer.append", audio=audio)
        assert (await caller.hears(COMPLETED)).event["transcript"] == "how warm should the brooder be"
        kinds = caller.types()
        assert kinds.index("input_audio_buffer.speech_started") < kinds.index("input_audio_buffer.speech_stopped")


async def test_what_recognition_learnt_of_a_microphone_is_given_to_the_next(autojump_clock: MockClock) -> None:
    recognizer = FakeRecognizer()
    async with calling(fake_engines(recognizer)) as caller:
        await caller.send("session.update", session=LISTENING)
        for _ in range(2):
            await caller.speak(voice(400) + quiet(600))
            await caller.hears(COMPLETED)
        assert recognizer.microphones == [None, "m1"]
        assert recognizer.listening == 0


async def test_while_all_recognizers_are_busy_a_transcript_fails_and_the_next_succeeds(
    autojump_clock: MockClock,
) -> None:
    recognizer = FakeRecognizer(size=1)
    async with calling(fake_engines(recognizer)) as one, calling(fake_engines(recognizer)) as other:
        for caller in (one, other):
            await caller.send("session.update", session=LISTENING)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.speak, voice(600) + quiet(600))
            await trio.sleep(0.2)
            await other.speak(voice(200) + quiet(600))
        assert "busy" not in str(await one.hears(COMPLETED))
        assert (await other.hears(FAILED)).event["error"]["code"] == "ears_unavailable"
        await other.speak(voice(400) + quiet(600))
        await other.hears(COMPLETED)


async def test_a_recognizer_that_dies_fails_one_transcript(autojump_clock: MockClock) -> None:
    recognizer = FakeRecognizer(fails=True)
    async with calling(fake_engines(recognizer)) as caller:
        await caller.send("session.update", session=LISTENING)
        await caller.speak(voice(400) + quiet(600))
        assert "died" in (await caller.hears(FAILED)).event["error"]["message"]
        recognizer.fails = False
        await caller.speak(voice(400) + quiet(600))
        await caller.hears(COMPLETED)


async def test_clearing_the_buffer_frees_the_recognizer(autojump_clock: MockClock) -> None:
    recognizer = FakeRecognizer()
    async with calling(fake_engines(recognizer)) as caller:
        await caller.speak(voice(400))
        assert recognizer.listening == 1
        await caller.send("input_audio_buffer.clear")
        await caller.hears("input_audio_buffer.cleared")
        await trio.testing.wait_all_tasks_blocked()
        assert recognizer.listening == 0


async def test_a_client_that_leaves_frees_the_recognizer_and_stops_synthesis(autojump_clock: MockClock) -> None:
    recognizer = FakeRecognizer()
    async with calling(fake_engines(recognizer)) as caller:
        await caller.send("response.create")
        await caller.speak(voice(400))
        assert recognizer.listening == 1
        await caller.link.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert recognizer.listening == 0


async def test_more_audio_than_can_wait_fails_the_transcript(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "BYTES_QUEUED_MAX", 1000 * 48)
    async with calling(fake_engines()) as caller:
        await caller.send("session.update", session=LISTENING)
        await caller.send("input_audio_buffer.append", audio=encode_audio(voice(2000) + quiet(600)))
        assert "more audio" in (await caller.hears(FAILED)).event["error"]["message"]
        await caller.speak(voice(400) + quiet(600))
        await caller.hears(COMPLETED)


async def test_synthesis_that_fails_half_way_fails_its_response(autojump_clock: MockClock) -> None:
    synthesizer = FakeSynthesizer(fails_at_word=2)
    async with calling(fake_engines(synthesizer=synthesizer)) as caller:
        await caller.send("response.create")
        response = (await caller.hears("response.done")).event["response"]
        assert response["status"] == "failed"
        assert response["status_details"]["error"]["message"] == "espeak lost its voice"
        synthesizer.fails_at_word = None
        await caller.send("response.create")
        assert (await caller.hears("response.done")).event["response"]["status"] == "completed"


async def test_without_engines_typed_questions_are_answered_in_words(autojump_clock: MockClock) -> None:
    async with calling(Engines(missing="install voice-trio[local]"), missing="install voice-trio[local]") as caller:
        await caller.type("how warm should the brooder be")
        await caller.type(CONTEXT, "system")
        await caller.send("response.create")
        assert (await caller.hears("response.done")).event["response"]["status"] == "completed"
        assert "32 to 35" in caller.said()
        assert caller.heard(SOUND) == []
        await caller.send("input_audio_buffer.append", audio=encode_audio(voice(200)))
        assert "voice-trio[local]" in (await caller.hears("error")).event["error"]["message"]


async def test_a_client_that_reads_nothing_is_let_go(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "FRAMES_QUEUED_MAX", 100)
    async with calling(fake_engines()) as caller:
        caller.link.stall()  # type: ignore[attr-defined]  # a link in memory can
        with pytest.raises(LinkClosed):
            await clear_buffer_often(caller)


async def clear_buffer_often(caller: FakeCaller) -> None:
    for _ in range(300):
        await caller.send("input_audio_buffer.clear")
        await trio.testing.wait_all_tasks_blocked()


async def test_an_answer_waits_for_slow_recognition_no_longer_than_a_moment(autojump_clock: MockClock) -> None:
    async with calling(fake_engines(FakeRecognizer(finish_seconds=1.0))) as caller:
        await caller.speak(voice(1500) + quiet(600))
        created = await caller.hears("response.created")
        assert (await caller.hears(SOUND)).at - created.at == pytest.approx(0.23)


async def test_an_answer_to_a_slow_reader_waits_for_it_and_is_complete(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "FRAMES_QUEUED_MAX", 30)
    monkeypatch.setattr(queues, "FRAMES_TO_WAIT_AT", 20)
    async with calling(fake_engines(synthesizer=FakeSynthesizer(chunk_ms=1)), Pace(1000.0, 0.0)) as caller:
        text = " ".join(f"The brooder has {number} degrees." for number in range(12))
        await caller.type("brooder degrees")
        await caller.type(text, "system")
        caller.link.stall()  # type: ignore[attr-defined]  # a link in memory can
        await caller.send("response.create")
        await trio.sleep(60)
        caller.link.resume()  # type: ignore[attr-defined]  # the same
        assert (await caller.hears("response.done")).event["response"]["status"] == "completed"


async def test_a_session_ends_after_an_hour_with_1001(autojump_clock: MockClock) -> None:
    async with calling(fake_engines()) as caller:
        await trio.sleep(3599)
        assert caller.types() == ["session.created"]
        assert (await caller.hears("error")).event["error"]["code"] == "session_expired"
        await trio.sleep(1)
        assert caller.lost is not None
        assert caller.lost.code == 1001


async def test_sessions_do_not_disturb_each_other(autojump_clock: MockClock) -> None:
    async with calling(fake_engines()) as one, calling(fake_engines()) as other:
        await one.send("response.create")
        await other.type("anything")
        await other.hears("conversation.item.done")
        await one.hears("response.done")
        assert "response.created" not in other.types()
