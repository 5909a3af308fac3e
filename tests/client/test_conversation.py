"""A recording and its report, on virtual time: what counts as the answer, and when to stop waiting for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pybase64
import pytest
import trio

from voice_trio.client import Ready, VoiceConnection, talk
from voice_trio.client.recording import SILENCE
from voice_trio.errors import LinkClosed
from voice_trio.testing import memory_link_pair
from voice_trio.testing.sounds import tone_pcm

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    from voice_trio.client import Report
    from voice_trio.testing import MemoryLink

Play = "Callable[[Gateway], Awaitable[None]]"


class Gateway:
    """The other end: says events, and keeps the sound it was sent with its times, and where playback was said to be."""

    def __init__(self, link: MemoryLink) -> None:
        self.link = link
        self.frames: list[tuple[float, bytes]] = []
        self.positions: list[dict[str, Any]] = []

    async def says(self, kind: str, **fields: Any) -> None:
        await self.link.send(msgspec.json.encode({"type": kind, **fields}).decode())

    async def hears_speech(self, words: str = "hello there") -> None:
        await self.says("input_audio_buffer.speech_started", item_id="i")
        await self.says("conversation.item.input_audio_transcription.delta", delta=words)
        await self.says("input_audio_buffer.committed", item_id="i")
        await self.says("conversation.item.input_audio_transcription.completed", transcript=words)

    async def answers(self, text: str, status: str = "completed") -> None:
        await self.says("response.created", response_id="r")
        await self.says("response.audio.delta", delta=pybase64.b64encode(SILENCE).decode(), item_id="a")
        await self.says("response.audio_transcript.delta", delta=text)
        await self.says("response.done", status=status)

    async def listen(self) -> None:
        try:
            while True:
                frame = await self.link.receive()
                if isinstance(frame, bytes):
                    self.frames.append((trio.current_time(), frame))
                else:
                    self.positions.append(msgspec.json.decode(frame))
        except LinkClosed:
            pass


async def report_of(play: Callable[[Gateway], Awaitable[None]], *, seconds: float = 1.0) -> tuple[Report, Gateway]:
    ours, theirs = memory_link_pair()
    gateway = Gateway(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.listen)
        nursery.start_soon(play, gateway)
        report = await talk(VoiceConnection(ours, Ready("s", "", 0.0)), tone_pcm(0, round(seconds * 1000)))
        nursery.cancel_scope.cancel()
    return report, gateway


async def test_frames_leave_in_real_time_and_are_followed_by_silence(autojump_clock: MockClock) -> None:
    async def play(gateway: Gateway) -> None:
        await trio.sleep(2.01)
        await gateway.hears_speech()
        await gateway.answers("Hello.")

    report, gateway = await report_of(play)
    assert report.was_answered
    assert [round(at, 3) for at, _ in gateway.frames[:3]] == [0.04, 0.08, 0.12]
    assert len(gateway.frames) == 50
    assert gateway.frames[24][1] != SILENCE
    assert gateway.frames[25][1] == SILENCE
    assert report.timestamps["sound_ended"] == pytest.approx(1.0, abs=0.01)


async def test_what_was_said_and_when_is_in_the_report(autojump_clock: MockClock) -> None:
    async def play(gateway: Gateway) -> None:
        await trio.sleep(1.5)
        await gateway.hears_speech("how warm")
        await gateway.says("context.injected", outcome="hidden", waited_ms=0, passages=[{"title": "T", "source": "S"}])
        await trio.sleep(0.3)
        await gateway.answers("Warm.")

    report, gateway = await report_of(play)
    assert (report.transcript, report.answer, report.status) == ("how warm", "Warm.", "completed")
    assert gateway.positions == [{"type": "playback.position", "item_id": "a", "played_ms": 0.0}], "so it is not paced"
    assert report.audio == SILENCE
    assert report.as_json()["context"] == {
        "outcome": "hidden",
        "waited_ms": 0,
        "passages": [{"title": "T", "source": "S"}],
    }
    assert report.latency_ms()["committed_to_first_audio"] == 300.0


async def test_an_answer_quicker_than_the_recordings_end_ends_the_call_there(autojump_clock: MockClock) -> None:
    async def play(gateway: Gateway) -> None:
        await trio.sleep(0.5)
        await gateway.hears_speech()
        await gateway.answers("Quick.")

    report, _ = await report_of(play, seconds=2.0)
    assert report.was_answered
    assert trio.current_time() == pytest.approx(2.0)


async def test_of_two_turns_the_last_is_reported(autojump_clock: MockClock) -> None:
    async def play(gateway: Gateway) -> None:
        await trio.sleep(0.3)
        await gateway.hears_speech("first")
        await gateway.answers("One.")
        await trio.sleep(1.0)
        await gateway.hears_speech("second")
        await trio.sleep(1.0)
        await gateway.answers("Two.")

    report, _ = await report_of(play, seconds=2.0)
    assert (report.transcript, report.answer) == ("second", "Two.")


async def test_an_answer_that_is_lost_with_its_model_and_goes_on_is_reported_whole_F60(
    autojump_clock: MockClock,
) -> None:
    async def play(gateway: Gateway) -> None:
        await trio.sleep(1.5)
        await gateway.hears_speech()
        await gateway.says("response.created", response_id="r1")
        await gateway.says("response.audio_transcript.delta", delta="Thirty-four", response_id="r1")
        await gateway.says("response.done", response_id="r1", status="incomplete", reason="upstream_lost")
        await trio.sleep(3.0)
        await gateway.says("response.created", response_id="r2")
        await gateway.says("response.audio_transcript.delta", delta="deg", response_id="r2")
        await gateway.says("response.audio_transcript.done", transcript="degrees.", response_id="r2")
        await gateway.says("response.done", response_id="r2", status="completed")

    report, _ = await report_of(play)
    assert (report.answer, report.status) == ("Thirty-four degrees.", "completed")


async def test_an_answer_that_does_not_go_on_ends_the_recording_F60(autojump_clock: MockClock) -> None:
    async def play(gateway: Gateway) -> None:
        await trio.sleep(1.5)
        await gateway.hears_speech()
        await gateway.says("response.created", response_id="r1")
        await gateway.says("error", error={"code": "answer_incomplete", "message": "The answer broke off."})
        await gateway.says("response.done", response_id="r1", status="incomplete", reason="upstream_lost")

    report, _ = await report_of(play)
    assert report.status == "incomplete"
    assert trio.current_time() < 3.0


async def test_an_interrupted_answer_is_not_the_last_word(autojump_clock: MockClock) -> None:
    async def play(gateway: Gateway) -> None:
        await trio.sleep(1.5)
        await gateway.hears_speech()
        await gateway.answers("Cut", status="cancelled")
        await trio.sleep(1.0)
        await gateway.answers("Whole.")

    report, _ = await report_of(play)
    assert report.status == "completed"
    assert trio.current_time() == pytest.approx(2.5)


async def test_without_an_answer_thirty_seconds_are_waited(autojump_clock: MockClock) -> None:
    async def play(gateway: Gateway) -> None:
        await trio.sleep_forever()

    report, _ = await report_of(play)
    assert not report.was_answered
    assert trio.current_time() == pytest.approx(31.0)


async def test_a_transcript_that_never_ends_costs_two_seconds(autojump_clock: MockClock) -> None:
    async def play(gateway: Gateway) -> None:
        await trio.sleep(1.5)
        await gateway.says("input_audio_buffer.speech_started", item_id="i")
        await gateway.answers("Done.")
        await trio.sleep_forever()

    report, _ = await report_of(play)
    assert report.was_answered
    assert trio.current_time() == pytest.approx(3.5)


async def test_a_gateway_that_closes_is_reported(autojump_clock: MockClock) -> None:
    async def play(gateway: Gateway) -> None:
        await trio.sleep(1.5)
        await gateway.says("error", error={"code": "upstream_unavailable", "message": "Lost."})
        await gateway.link.aclose(1011, "OpenAI connection failed")

    report, _ = await report_of(play)
    assert not report.was_answered
    assert "1011" in report.closed
    assert report.errors == [{"code": "upstream_unavailable", "message": "Lost."}]
