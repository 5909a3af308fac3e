"""An upstream that goes away and comes back, through real sockets: nobody is closed, nobody is blamed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from tests.support.deployment import gateway, token
from voice_trio.net.listeners import open_listener
from voice_trio.testing import FakeClient, ScriptedModel, serve_scripted_model

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.deployment import Deployment


class UpstreamOnTcp:
    """A scripted model behind one port, which can be switched off: its connections end, new ones are refused."""

    def __init__(self, nursery: trio.Nursery) -> None:
        with open_listener("127.0.0.1:0") as listener:
            self._port = listener.getsockname()[1]
        self.model = ScriptedModel()
        self.url = f"ws://127.0.0.1:{self._port}/v1/realtime"
        self._nursery = nursery
        self._serving = trio.CancelScope()

    async def begin(self) -> None:
        self._serving = trio.CancelScope()
        await self._nursery.start(self._serve)

    def end(self) -> None:
        self._serving.cancel(reason="away")

    async def accept_and_drop(self, *, for_seconds: float) -> int:
        """Accept every connection meanwhile, and drop it at once; returns their number."""
        count = 0

        async def drop(stream: trio.SocketStream) -> None:
            nonlocal count
            count += 1
            await stream.aclose()

        with trio.move_on_after(for_seconds):
            await trio.serve_tcp(drop, self._port, host="127.0.0.1")
        return count

    async def _serve(self, task_status: trio.TaskStatus[str]) -> None:
        with self._serving:
            await serve_scripted_model(self.model, port=self._port, task_status=task_status)


async def answered(client: FakeClient) -> None:
    await client.type("how warm must the brooder be")
    await client.hears("response.done")


async def all_answered(clients: list[FakeClient]) -> None:
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(answered, client)


async def test_F59_an_upstream_that_is_away_for_six_seconds_closes_none_of_twenty_sessions(tmp_path: Path) -> None:
    with trio.fail_after(40):
        async with trio.open_nursery() as nursery:
            upstream = UpstreamOnTcp(nursery)
            await upstream.begin()
            async with gateway(tmp_path, OPENAI_REALTIME_URL=upstream.url) as deployment:
                clients = [await deployment.join(nursery, shown=token(f"user{number}")) for number in range(20)]
                for client in clients:
                    await client.hears("session.updated")
                upstream.end()
                await trio.sleep(6.0)
                await upstream.begin()
                back_at = trio.current_time()
                for client in clients:
                    await client.hears("session.recovered")
                assert trio.current_time() - back_at < 4.0 + 2.0
                await all_answered(clients)
                assert [client.closed_with for client in clients] == [None] * 20
                assert not any("error" in client.types() for client in clients)
            nursery.cancel_scope.cancel()


async def test_F65_an_upstream_that_accepts_and_drops_at_once_is_not_stormed_and_is_found_when_it_is_back(
    tmp_path: Path,
) -> None:
    with trio.fail_after(40):
        async with trio.open_nursery() as nursery:
            upstream = UpstreamOnTcp(nursery)
            await upstream.begin()
            async with gateway(tmp_path, OPENAI_REALTIME_URL=upstream.url) as deployment:
                clients = [await deployment.join(nursery, shown=token(f"user{number}")) for number in range(10)]
                for client in clients:
                    await client.hears("session.updated")
                upstream.end()
                dropped = await upstream.accept_and_drop(for_seconds=5.0)
                assert dropped <= 3 * 10 + 10  # a few a session, then one probe at a time
                assert (await deployment.get("/v1/voice/health")).json["status"] == "degraded"
                newcomer = await deployment.join(nursery, shown=token("newcomer"))
                error = (await newcomer.hears("error")).event["error"]
                assert error["code"] == "upstream_unavailable"
                await upstream.begin()
                for client in clients:
                    await client.hears("session.recovered")
                await all_answered(clients)
            nursery.cancel_scope.cancel()


async def test_F59_a_session_that_its_upstream_ended_is_resumed_at_once(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            upstream = UpstreamOnTcp(nursery)
            await upstream.begin()
            away = {"UPSTREAM_RECOVERY_SECONDS": "1", "UPSTREAM_MAX_ATTEMPTS": "1"}
            async with gateway(tmp_path, OPENAI_REALTIME_URL=upstream.url, **away) as deployment:
                client = await deployment.join(nursery)
                resume = (await client.hears("connection.ready")).event["resume_token"]
                await client.hears("session.updated")
                upstream.end()
                assert (await client.is_closed()).code == 1011
                join = partial(resumed, deployment, nursery, resume)
                for _ in range(3):  # in vain, which counts against nobody
                    assert (await (await join()).is_closed()).code == 1011
                await upstream.begin()
                for client in (await join(), await deployment.join(nursery, shown=token("neighbour"))):
                    await client.hears("session.updated")
                    await answered(client)
            nursery.cancel_scope.cancel()


async def resumed(deployment: Deployment, nursery: trio.Nursery, resume_token: str) -> FakeClient:
    return await deployment.join(nursery, f"{deployment.url}?resume={resume_token}")
