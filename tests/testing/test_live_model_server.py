"""The scripted GPT-Live server on real sockets."""

from __future__ import annotations

import msgspec
import trio
from trio_websocket import open_websocket_url

from voice_trio.testing.live_model import ScriptedLiveModel
from voice_trio.testing.live_model_server import serve_scripted_live_model


async def test_a_session_and_its_fork_have_paths_of_their_own(nursery: trio.Nursery) -> None:
    model = ScriptedLiveModel()
    with trio.fail_after(10):
        url: str = await nursery.start(serve_scripted_live_model, model)
        settings = {"model": "gpt-live-1", "store": True}
        async with open_websocket_url(url, extra_headers=[(b"Authorization", b"Bearer x")]) as socket:
            await socket.send_message(msgspec.json.encode({"type": "session.start", "session": settings}).decode())
            started = msgspec.json.decode(await socket.get_message())["session"]
        async with open_websocket_url(f"{url}/{started['id']}/fork") as socket:
            await socket.send_message('{"type": "session.start", "session": {}}')
            forked = msgspec.json.decode(await socket.get_message())["session"]
    assert (started["id"], forked["id"], forked["model"]) == ("live_0", "live_1", "gpt-live-1")
    assert [asked.path for asked in model.handshakes][1] == "/v1/live/sessions/live_0/fork"
    assert model.handshakes[0].headers["authorization"] == "Bearer x"
