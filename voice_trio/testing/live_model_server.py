"""The scripted GPT-Live server on TCP: sessions, and forks of stored ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

from voice_trio.testing.model_server import SocketLink, handshake_of, serve_connections

if TYPE_CHECKING:
    from trio_websocket import WebSocketRequest

    from voice_trio.testing.live_model import ScriptedLiveModel

PATH = "/v1/live/sessions"
_SESSIONS = re.compile(r".*/live/sessions(?:/(?P<fork_of>[^/]+)/fork)?")


async def serve_scripted_live_model(
    model: ScriptedLiveModel,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `model` on TCP until cancelled; `await nursery.start(…)` returns the URL to connect to.

    Port 0 means any free one. `URL/ID/fork` goes on with the stored session `ID`; any other path gets a 404.
    """

    async def answer(request: WebSocketRequest, stream: trio.SocketStream) -> None:
        model.handshakes.append(handshake_of(request))
        asked = _SESSIONS.fullmatch(urlsplit(request.path).path)
        if asked is None:
            await request.reject(404)
            return
        await model.serve(SocketLink.over(await request.accept(), stream), asked["fork_of"] or "")

    await serve_connections(answer, PATH, host, port, task_status=task_status)
