"""Users who are refused do not keep their neighbours of the same address out, through real sockets (I13, F10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.support.deployment import UPGRADE, Deployment, gateway, http, token
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.state.rollout import Rollout
from voice_trio.testing import FakeClient

if TYPE_CHECKING:
    from pathlib import Path

PROXY = {"X-Forwarded-For": "203.0.113.9"}


async def join(deployment: Deployment, nursery: trio.Nursery, shown: str, query: str = "") -> FakeClient:
    """A client behind a proxy that shows its token in the first message, as the shipped one does."""
    client = FakeClient(await open_link(nursery, deployment.url + query, headers=PROXY))
    nursery.start_soon(client.run)
    await client.authenticate(shown)
    return client


async def test_refused_neighbours_behind_a_proxy_do_not_keep_a_third_out_F10_I13(tmp_path: Path) -> None:
    everybody = Rollout(enabled=True, percent=10, beta_users=(), plans=("elite",), version=0)
    names = [f"user-{number}" for number in range(99)]
    good = next(name for name in names if everybody.includes_user(name, ""))
    bad = [name for name in names if not everybody.includes_user(name, "")]
    with trio.fail_after(20):
        async with gateway(tmp_path, VOICE_ROLLOUT_PERCENT="10") as deployment, trio.open_nursery() as nursery:
            shown = [token(bad[0]), token(bad[1]), token(good, plan="free"), "rubbish", token(bad[2])]
            for number, each in enumerate([*shown, *(f"guess-{number}" for number in range(40))]):
                refused = await join(deployment, nursery, each)
                error = (await refused.hears("error")).event["error"]
                assert error["code"] in ("not_in_rollout", "plan_required", "token_invalid", "rate_limited"), number
            third = await join(deployment, nursery, token(good) + "\n")
            ready = (await third.hears("connection.ready")).event
            await third.hang_up(1001)
            again = await join(deployment, nursery, token(good), f"?resume={ready['resume_token']}%0A")
            assert (await again.hears("connection.ready")).event["session_id"] == ready["session_id"]
            await again.end_session()
            await again.is_closed()
            for _ in range(3):
                ended = f"/v1/ws/voice?token={token(good)}&resume={ready['resume_token']}"
                assert (await http(deployment.port, ended, UPGRADE | PROXY)).status == 101
            nursery.cancel_scope.cancel()


async def test_silent_connections_after_the_upgrade_make_room_for_a_newcomer_I13(tmp_path: Path) -> None:
    few = {"MAX_UNADMITTED_CONNECTIONS": "20"}
    with trio.fail_after(20):
        async with gateway(tmp_path, **few) as deployment, trio.open_nursery() as nursery:
            silent = [await deployment.join(nursery, shown=None) for _ in range(40)]
            began = trio.current_time()
            await (await join(deployment, nursery, token())).hears("connection.ready")
            assert trio.current_time() - began < 2
            closed = await silent[0].is_closed()
            assert (closed.code, closed.reason) == (1013, "At capacity")
            nursery.cancel_scope.cancel()
