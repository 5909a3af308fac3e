"""The scripted model on real sockets: what it was asked for, and the ways in which it goes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
from trio_websocket import open_websocket_url

from voice_trio.errors import LinkClosed, ModelRefused
from voice_trio.protocols.realtime import RealtimeConfig, append_audio, session_update
from voice_trio.testing.model import ScriptedModel
from voice_trio.testing.model_server import serve_scripted_model
from voice_trio.testing.rule_based import UNKNOWING, RuleBasedModel
from voice_trio.testing.sounds import tone
from voice_trio.upstreams.dial import make_dial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio_websocket import WebSocketConnection

CONFIG = RealtimeConfig(model="scripted", instructions="Be kind.", silence_ms=200)


@pytest.fixture
def model(nursery: trio.Nursery) -> ScriptedModel:
    # The nursery only makes sure that Trio runs: a model has a clock from the start.
    return ScriptedModel()


@pytest.fixture
async def url(model: ScriptedModel, nursery: trio.Nursery) -> AsyncIterator[str]:
    with trio.fail_after(10):
        address: str = await nursery.start(serve_scripted_model, model)
        yield address


async def hears(socket: WebSocketConnection, kind: str) -> dict[str, object]:
    while True:
        event: dict[str, object] = msgspec.json.decode(await socket.get_message())
        if event["type"] == kind:
            return event


async def test_a_client_is_greeted_and_its_handshake_kept(model: ScriptedModel, url: str) -> None:
    with trio.fail_after(5):
        async with open_websocket_url(
            f"{url}?model=m", extra_headers=[(b"Authorization", b"Bearer x")], subprotocols=["realtime"]
        ) as socket:
            await hears(socket, "session.created")
            assert socket.subprotocol == "realtime"
    assert model.handshakes[0].path == "/v1/realtime?model=m"
    assert model.handshakes[0].headers["authorization"] == "Bearer x"


async def test_an_upgrade_may_be_refused(model: ScriptedModel, url: str, nursery: trio.Nursery) -> None:
    model.refuse_upgrade(401, "invalid_api_key")
    with trio.fail_after(5), pytest.raises(ModelRefused, match="401 invalid_api_key"):
        await make_dial(url, "m", "key", "user")(nursery)
    assert model.connections == 0


async def test_a_dropped_connection_sends_no_close(model: ScriptedModel, url: str, nursery: trio.Nursery) -> None:
    with trio.fail_after(5):
        link = await make_dial(url, "m", "key", "user")(nursery)
        await link.receive()
        await model.drop()
        with pytest.raises(LinkClosed) as closed:
            await link.receive()
        await link.aclose()
    assert closed.value.code is None


async def test_a_polite_close_says_why(model: ScriptedModel, url: str, nursery: trio.Nursery) -> None:
    with trio.fail_after(5):
        link = await make_dial(url, "m", "key", "user")(nursery)
        await link.receive()
        nursery.start_soon(model.close, 1001, "expired")
        with pytest.raises(LinkClosed) as closed:
            await link.receive()
        await link.aclose()
    assert (closed.value.code, closed.value.reason) == (1001, "expired")


async def test_several_clients_are_served_at_once(model: ScriptedModel, url: str) -> None:
    with trio.fail_after(5):
        async with open_websocket_url(url) as one, open_websocket_url(url) as other:
            for socket in (one, other):
                await socket.send_message('{"type":"response.create"}')
            for socket in (one, other):
                await hears(socket, "response.done")
    assert model.connections == 2


async def test_left_alone_it_hears_sound_and_answers_from_the_context(nursery: trio.Nursery) -> None:
    model = RuleBasedModel(["how warm should the brooder be"], answer_ms=200)
    with trio.fail_after(10):
        url: str = await nursery.start(serve_scripted_model, model)
        async with open_websocket_url(url) as socket:
            await socket.send_message(session_update(CONFIG))
            await hears(socket, "session.updated")
            for start_ms in range(0, 1600, 40):
                await socket.send_message(append_audio(tone(start_ms, 40)))
            await hears(socket, "input_audio_buffer.speech_started")
            assert (await hears(socket, "conversation.item.input_audio_transcription.delta"))["delta"] == " how"
            for _ in range(6):
                await socket.send_message(append_audio("A" * 2560))
            await hears(socket, "input_audio_buffer.committed")
            passage = '<passage title="Brooding" source="b.md">Keep it at 33 &lt;degrees&gt;.</passage>'
            text = f"<context>\n{passage}\n</context>"
            item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}
            await socket.send_message(msgspec.json.encode({"type": "conversation.item.create", "item": item}).decode())
            await socket.send_message('{"type":"response.create"}')
            said = await hears(socket, "response.output_audio_transcript.done")
            assert said["transcript"] == "Brooding says: Keep it at 33 <degrees>."


async def test_without_context_it_says_so(nursery: trio.Nursery) -> None:
    model = RuleBasedModel(["how warm"], answer_ms=100)
    with trio.fail_after(10):
        url: str = await nursery.start(serve_scripted_model, model)
        async with open_websocket_url(url) as socket:
            await socket.send_message('{"type":"response.create"}')
            assert (await hears(socket, "response.output_audio_transcript.done"))["transcript"] == UNKNOWING
