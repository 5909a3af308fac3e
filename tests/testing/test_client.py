"""The fake client sends every event of the voice protocol, and knows how much audio was played."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from voice_trio.conversation import commands, events
from voice_trio.errors import LinkClosed
from voice_trio.protocols.audio import AudioAppended, silence
from voice_trio.protocols.voice import client_events, writer
from voice_trio.testing.client import FakeClient
from voice_trio.testing.links import MemoryLink, memory_link_pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock


class Gateway:
    """The other end of the client's link: it hears by the voice protocol and says what it is told to."""

    def __init__(self, link: MemoryLink) -> None:
        self.link = link

    async def hears(self) -> client_events.FromClient:
        return client_events.read_client(await self.link.receive())

    async def says(self, event: Any) -> None:
        frame = writer.write(event)
        assert frame is not None
        await self.link.send(frame)
        await trio.testing.wait_all_tasks_blocked()

    async def plays(self, item_id: str, audio_ms: int, response_id: str = "resp_1") -> None:
        await self.says(events.ResponseAudioDelta(response_id, item_id, silence(audio_ms), audio_ms))


@pytest.fixture
def links() -> tuple[MemoryLink, MemoryLink]:
    return memory_link_pair()


@pytest.fixture
def gateway(links: tuple[MemoryLink, MemoryLink]) -> Gateway:
    return Gateway(links[0])


@pytest.fixture
async def client(links: tuple[MemoryLink, MemoryLink], nursery: trio.Nursery) -> AsyncIterator[FakeClient]:
    client = FakeClient(links[1], reports_flush=True)
    nursery.start_soon(client.run)
    yield client
    links[0].reset()


async def test_it_speaks_in_real_time(autojump_clock: MockClock, client: FakeClient, gateway: Gateway) -> None:
    began = trio.current_time()
    await client.speak(0.2)
    assert trio.current_time() - began == pytest.approx(0.2)
    assert [await gateway.hears() for _ in range(5)] == [AudioAppended(silence(40), 40.0)] * 5


async def test_it_speaks_in_binary_too(autojump_clock: MockClock, client: FakeClient, gateway: Gateway) -> None:
    await client.speak(0.04, binary=True)
    assert await gateway.hears() == AudioAppended(silence(40), 40.0)


async def test_everything_it_says_belongs_to_the_protocol(
    autojump_clock: MockClock, client: FakeClient, gateway: Gateway
) -> None:
    await client.type("How warm?")
    await client.interrupt()
    await client.interrupt("item_1", 250)
    await client.report("item_1", 300.5)
    await client.report("item_1", 301, flushed=True)
    await client.authenticate("token")
    await client.detect_language("zh")
    await client.ping()
    await client.ping(3)
    await client.end_session()
    assert [await gateway.hears() for _ in range(10)] == [
        events.TextInput("How warm?"),
        events.Interrupt(),
        events.Interrupt("item_1", 250.0),
        events.PlaybackPosition("item_1", 300.5),
        events.PlaybackPosition("item_1", 301.0, flushed=True),
        client_events.Auth("token"),
        events.LanguageDetected("zh"),
        client_events.Ping(),
        client_events.Ping(3),
        client_events.SessionEnd(),
    ]


async def test_it_keeps_what_it_heard_with_its_time(
    autojump_clock: MockClock, client: FakeClient, gateway: Gateway
) -> None:
    await trio.sleep(1.25)
    await gateway.says(events.SpeechStarted("item_1", 10))
    heard = await client.hears("input_audio_buffer.speech_started")
    assert heard.at == pytest.approx(1.25)
    assert client.types() == ["input_audio_buffer.speech_started"]


async def test_it_plays_what_arrives_in_order_and_in_real_time(
    autojump_clock: MockClock, client: FakeClient, gateway: Gateway
) -> None:
    await gateway.plays("item_1", 400)
    await gateway.plays("item_2", 400)
    await trio.sleep(0.5)
    assert client.audio_heard_ms("item_1") == pytest.approx(400)
    assert client.audio_heard_ms("item_2") == pytest.approx(100)
    assert client.audio_received_ms("item_2") == 400


async def test_a_flush_stops_playback_and_is_answered_with_where_it_was(
    autojump_clock: MockClock, client: FakeClient, gateway: Gateway
) -> None:
    await gateway.plays("item_1", 1000)
    await trio.sleep(0.25)
    await gateway.says(commands.PlaybackFlush("item_1", 200))
    await trio.sleep(5)
    assert client.audio_heard_ms("item_1") == pytest.approx(250)
    report = await gateway.hears()
    assert isinstance(report, events.PlaybackPosition)
    assert report.flushed
    assert report.played_ms == pytest.approx(250)


async def test_audio_of_a_flushed_answer_is_noticed(
    autojump_clock: MockClock, client: FakeClient, gateway: Gateway
) -> None:
    await gateway.plays("item_1", 100)
    await gateway.says(commands.PlaybackFlush("item_1", 0))
    assert client.audio_after_flush == []
    await gateway.plays("item_2", 100, response_id="resp_1")
    await gateway.plays("item_3", 100, response_id="resp_2")
    assert [late.event["item_id"] for late in client.audio_after_flush] == ["item_2"]


async def test_it_learns_how_it_was_closed(autojump_clock: MockClock, client: FakeClient, gateway: Gateway) -> None:
    await gateway.link.aclose(1000, "Session ended")
    closed = await client.is_closed()
    assert (closed.code, closed.reason) == (1000, "Session ended")


async def test_it_hangs_up(autojump_clock: MockClock, client: FakeClient, gateway: Gateway) -> None:
    await client.hang_up(1001, "going away")
    with pytest.raises(LinkClosed, match="1001 going away"):
        await gateway.hears()


async def test_it_loses_its_connection(autojump_clock: MockClock, client: FakeClient, gateway: Gateway) -> None:
    client.lose_connection()
    with pytest.raises(LinkClosed, match="connection lost"):
        await gateway.hears()


async def test_it_vanishes_without_a_word(autojump_clock: MockClock, client: FakeClient, gateway: Gateway) -> None:
    client.vanish()
    await client.speak(1.0)
    with trio.move_on_after(30) as patience:
        await gateway.hears()
    assert patience.cancelled_caught
    with trio.move_on_after(30) as patience:
        await gateway.link.send(json.dumps({"type": "pong"}))
    assert patience.cancelled_caught


async def test_it_stops_reading_and_reads_again(
    autojump_clock: MockClock, client: FakeClient, gateway: Gateway, nursery: trio.Nursery
) -> None:
    client.stop_reading()
    nursery.start_soon(gateway.link.send, '{"type":"pong"}')
    await trio.sleep(10)
    assert client.types() == []
    client.read_again()
    await client.hears("pong")
