"""A conversation by microphone and loudspeaker, on virtual time: a sound card with verbs, a gateway with verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pybase64
import pytest
import trio

from tests.support.fake_sound_card import BLOCK, FakeSoundCard
from voice_trio.client import (
    Ask,
    InterruptResponse,
    Leave,
    Ready,
    SoundCardUnavailable,
    UserAction,
    VoiceConnection,
    converse,
)
from voice_trio.client.audio_queues import PlaybackQueue
from voice_trio.client.sounds import BYTES_PER_MS
from voice_trio.errors import LinkClosed
from voice_trio.testing.links import MemoryLink, memory_link_pair
from voice_trio.testing.sounds import tone_pcm

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.client import Report

LOUD = b"\x11\x22" * (BLOCK // 2)


class Gateway:
    """The other end: says events, keeps what it was told with its times."""

    def __init__(self, link: MemoryLink) -> None:
        self.link = link
        self.told: list[tuple[float, dict[str, Any]]] = []
        self.sound: list[tuple[float, bytes]] = []

    async def says(self, kind: str, **fields: Any) -> None:
        await self.link.send(msgspec.json.encode({"type": kind, **fields}).decode())

    async def answers(self, milliseconds: int, item_id: str = "a", response_id: str = "r") -> None:
        """All of an answer's sound at once."""
        await self.says("response.created", response_id=response_id)
        for _ in range(milliseconds // 100):
            delta = pybase64.b64encode(b"\x01\x02" * (50 * BYTES_PER_MS)).decode()
            await self.says("response.audio.delta", delta=delta, item_id=item_id, response_id=response_id)

    def told_of(self, kind: str) -> list[tuple[float, dict[str, Any]]]:
        return [(round(at, 3), event) for at, event in self.told if event["type"] == kind]

    async def listen(self) -> None:
        try:
            while True:
                frame = await self.link.receive()
                now = trio.current_time()
                if isinstance(frame, bytes):
                    self.sound.append((now, frame))
                    continue
                event = msgspec.json.decode(frame)
                self.told.append((now, event))
                if event["type"] == "session.end":
                    await self.link.aclose(1000, "Session ended")
        except LinkClosed:
            pass


class Page:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.over: list[Report] = []
        self.session: list[dict[str, Any]] = []
        self.changes = 0

    def turn_changed(self, turn: Report) -> None:
        self.changes += 1

    def turn_over(self, turn: Report) -> None:
        self.over.append(turn)

    def told(self, event: dict[str, Any]) -> None:
        self.session.append(event)


class Desk:
    """Somebody who talks: a card, a screen, hands, and a gateway at the other end."""

    def __init__(self, nursery: trio.Nursery, *, delay: float = 0.0) -> None:
        self._ours, theirs = memory_link_pair()
        self.gateway = Gateway(theirs)
        self.card = FakeSoundCard(nursery, delay=delay)
        self.page = Page()
        self.hands, self._deeds = trio.open_memory_channel[UserAction](10)
        self.ended: str | Exception | None = None
        self.over = trio.Event()
        self.scope = trio.CancelScope()
        nursery.start_soon(self.gateway.listen)

    async def talks(self, *, muted: bool = False) -> None:
        voice = VoiceConnection(self._ours, Ready("s", "", 0.0))
        try:
            with self.scope:
                self.ended = await converse(
                    voice, self.card, self.page, self._deeds, muted=muted, speaker=PlaybackQueue(trio.current_time)
                )
        except SoundCardUnavailable as error:
            self.ended = error
        self.over.set()


@pytest.fixture
async def desk(autojump_clock: MockClock, nursery: trio.Nursery) -> Desk:
    """Sits down at second 0."""
    desk = Desk(nursery)
    nursery.start_soon(desk.talks)
    await trio.sleep(0.01)
    return desk


async def test_what_the_microphone_catches_goes_out_at_once(autojump_clock: MockClock, desk: Desk) -> None:
    await desk.card.catches(tone_pcm(0, 100))
    await trio.sleep(0.001)
    assert [round(at, 3) for at, _ in desk.gateway.sound] == [0.03, 0.05, 0.07, 0.09, 0.11]
    assert b"".join(pcm for _, pcm in desk.gateway.sound) == tone_pcm(0, 100)


async def test_when_the_connection_stands_still_the_newest_second_is_kept(
    autojump_clock: MockClock, desk: Desk
) -> None:
    desk.gateway.link.stall()
    for number in range(200):
        desk.card.catches_at_once(bytes([number]) * BLOCK)
        await trio.sleep(0.02)
    desk.gateway.link.resume()
    await trio.sleep(0.1)
    numbers = [pcm[0] for _, pcm in desk.gateway.sound]
    assert numbers[-50:] == list(range(150, 200))
    assert len(numbers) < 60


async def test_what_was_played_is_reported_four_times_a_second_and_at_the_end(
    autojump_clock: MockClock, desk: Desk
) -> None:
    await desk.gateway.answers(1000)
    await trio.sleep(3.0)
    positions = desk.gateway.told_of("playback.position")
    began = next(at for at, block in desk.card.played if block.strip(b"\0"))
    assert [at for at, _ in positions] == [0.25, 0.5, 0.75, 1.0, 1.25]
    played = [event["played_ms"] for _, event in positions]
    assert played == pytest.approx([min(1000.0, (at - began) * 1000) for at, _ in positions])
    assert played[-1] == 1000


async def test_a_flush_is_silence_within_a_block_and_the_last_word_is_exact(
    autojump_clock: MockClock, desk: Desk
) -> None:
    await desk.gateway.answers(5000)
    await trio.sleep(1.0)
    flushed_at = trio.current_time()
    await desk.gateway.says("playback.flush", item_id="a", played_ms=0)
    await trio.sleep(1.0)
    assert desk.card.sound(since=flushed_at + 0.02) == b""
    (_, last) = desk.gateway.told_of("playback.position")[-1]
    assert last["flushed"] is True
    heard = len(desk.card.sound()) / BYTES_PER_MS
    assert last["played_ms"] == pytest.approx(heard)


async def test_the_cards_own_delay_counts(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    desk = Desk(nursery, delay=0.1)
    nursery.start_soon(desk.talks)
    await trio.sleep(0.01)
    await desk.gateway.answers(2000)
    await trio.sleep(0.5)
    began = next(at for at, block in desk.card.played if block.strip(b"\0"))
    at, first = desk.gateway.told_of("playback.position")[0]
    assert first["played_ms"] == pytest.approx((at - began - 0.1) * 1000)


async def test_interrupting_is_heard_before_the_gateway_knows(autojump_clock: MockClock, desk: Desk) -> None:
    await desk.gateway.answers(5000)
    await trio.sleep(1.0)
    pressed_at = trio.current_time()
    await desk.hands.send(InterruptResponse())
    await trio.sleep(0.03)
    assert desk.card.sound(since=pressed_at + 0.02) == b""
    (_, interrupt) = desk.gateway.told_of("interrupt")[0]
    assert interrupt["item_id"] == "a"
    assert interrupt["played_ms"] == pytest.approx(len(desk.card.sound()) / BYTES_PER_MS)
    await desk.gateway.answers(300, response_id="r")  # it was on its way
    await trio.sleep(0.5)
    assert desk.card.sound(since=pressed_at + 0.02) == b""
    await desk.gateway.answers(300, item_id="b", response_id="r2")
    await trio.sleep(0.5)
    assert len(desk.card.sound(since=pressed_at + 0.02)) == 300 * BYTES_PER_MS


async def test_an_answer_that_is_only_due_is_interrupted_without_a_position(
    autojump_clock: MockClock, desk: Desk
) -> None:
    await desk.hands.send(InterruptResponse())
    await trio.sleep(0.01)
    assert [event for _, event in desk.gateway.told_of("interrupt")] == [{"type": "interrupt"}]


async def test_typed_text_is_asked_and_shown_as_a_turn(autojump_clock: MockClock, desk: Desk) -> None:
    await desk.hands.send(Ask("how warm?"))
    await trio.sleep(0.01)
    assert [event["text"] for _, event in desk.gateway.told_of("text.input")] == ["how warm?"]
    await desk.gateway.says("response.created", response_id="r")
    await desk.gateway.says("response.audio_transcript.delta", delta="Warm.", item_id="a", response_id="r")
    await desk.hands.send(Ask("and then?"))
    await trio.sleep(0.01)
    assert [(turn.transcript, turn.answer) for turn in desk.page.over] == [("how warm?", "Warm.")]


async def test_a_turns_latencies_run_from_the_last_loud_sound_to_the_first_that_is_heard(
    autojump_clock: MockClock, desk: Desk
) -> None:
    await desk.gateway.says("input_audio_buffer.speech_started", item_id="i")
    await desk.card.catches(LOUD * 5 + bytes(BLOCK) * 25)
    silent_since = 0.01 + 0.1
    await desk.gateway.says("input_audio_buffer.speech_stopped", item_id="i")
    await desk.gateway.says("input_audio_buffer.committed", item_id="i")
    await trio.sleep(0.3)
    await desk.gateway.answers(1000)
    await trio.sleep(2.0)
    began = next(at for at, block in desk.card.played if block.strip(b"\0"))
    await desk.hands.send(Leave())
    await desk.over.wait()
    (turn,) = desk.page.over
    assert turn.latency_ms()["sound_ended_to_heard"] == pytest.approx((began - silent_since) * 1000, abs=0.1)


async def test_what_still_comes_of_an_earlier_turn_is_not_shown_in_this_one(
    autojump_clock: MockClock, desk: Desk
) -> None:
    await desk.gateway.says("input_audio_buffer.speech_started", item_id="one")
    await desk.gateway.says("response.created", response_id="r1")
    await desk.gateway.says("input_audio_buffer.speech_started", item_id="two")
    await desk.gateway.says("conversation.item.input_audio_transcription.completed", item_id="one", transcript="Late.")
    await desk.gateway.says("response.done", response_id="r1", status="cancelled")
    await desk.gateway.says("conversation.item.input_audio_transcription.delta", item_id="two", delta="Now.")
    await trio.sleep(0.01)
    await desk.hands.send(Leave())
    await desk.over.wait()
    assert [(turn.transcript, turn.status) for turn in desk.page.over] == [("", ""), ("Now.", "")]


async def test_leaving_says_goodbye(autojump_clock: MockClock, desk: Desk) -> None:
    await desk.hands.send(Leave())
    await desk.over.wait()
    assert desk.ended == ""
    assert [event for _, event in desk.gateway.told] == [{"type": "session.end"}]
    assert not desk.card.is_open


async def test_so_does_whoever_is_cancelled(autojump_clock: MockClock, desk: Desk) -> None:
    desk.scope.cancel()
    await desk.over.wait()
    assert [event for _, event in desk.gateway.told] == [{"type": "session.end"}]
    assert not desk.card.is_open


async def test_a_gateway_that_takes_nothing_does_not_keep_anybody(autojump_clock: MockClock, desk: Desk) -> None:
    desk.gateway.link.stall()
    desk.card.catches_at_once(LOUD)
    await trio.sleep(0.5)
    left_at = trio.current_time()
    await desk.hands.send(Leave())
    await desk.over.wait()
    assert trio.current_time() - left_at == pytest.approx(1.0)


async def test_a_gateway_that_closes_ends_the_conversation_with_its_reason(
    autojump_clock: MockClock, desk: Desk
) -> None:
    await desk.gateway.says("error", error={"code": "idle", "message": "Nobody spoke."})
    await desk.gateway.link.aclose(1000, "Idle")
    await desk.over.wait()
    assert "Idle" in str(desk.ended)
    assert desk.page.session[0]["error"]["code"] == "idle"


async def test_a_card_that_comes_unplugged_ends_it_in_words(autojump_clock: MockClock, desk: Desk) -> None:
    desk.card.comes_unplugged()
    await desk.over.wait()
    assert str(desk.ended) == "the microphone was disconnected"
    assert desk.gateway.told_of("session.end")


async def test_without_a_card_nothing_begins(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    desk = Desk(nursery)
    desk.card.is_missing("no microphone found")
    await desk.talks()
    assert str(desk.ended) == "no microphone found"
    assert desk.gateway.told == []


async def test_muted_the_microphone_stays_closed(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    desk = Desk(nursery)
    nursery.start_soon(lambda: desk.talks(muted=True))
    await trio.sleep(0.1)
    assert desk.card.is_open
    assert not desk.card.is_microphone_open
