"""Budgets of a deployed gateway, as its clients meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.support.deployment import gateway, token, wait_until_empty
from tests.support.redis_servers import redis_server

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_session_that_has_spent_its_budget_is_over_for_good(tmp_path: Path) -> None:
    with trio.fail_after(15):
        async with gateway(tmp_path, SESSION_BUDGET_USD="0.00001") as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            ready = await client.hears("connection.ready")
            await client.type("how warm must it be")
            closed = await client.is_closed()
            assert (closed.code, closed.reason) == (4002, "Budget exhausted")
            assert client.heard_of("error")[-1].event["error"]["code"] == "budget_exhausted"
            await wait_until_empty(deployment)
            again = await deployment.join(nursery, f"{deployment.url}?resume={ready.event['resume_token']}")
            assert (await again.is_closed()).reason == "Resume not possible"
            other = await deployment.join(nursery)
            await other.hears("connection.ready")
            stats = (await deployment.get("/v1/voice/stats", token("root", is_admin=True))).json
            assert stats["sessions"]["by_ending"] == {"budget_exhausted": 1}
            assert stats["cost"]["today_usd"] > 0.00001
            assert stats["cost"]["session_budget_usd"] == 0.00001
            while not (spenders := stats["cost"]["top_users"]):  # shared within half a second
                await trio.sleep(0.05)
                stats = (await deployment.get("/v1/voice/stats", token("root", is_admin=True))).json
            (spender,) = spenders
            assert spender["usd"] > 0.00001
            for user, usd in (("ada", spender["usd"]), ("grace", 0.0)):
                asked = (await deployment.get(f"/v1/voice/stats?user={user}", token("root", is_admin=True))).json
                assert asked["cost"]["user"]["usd"] == usd
            nursery.cancel_scope.cancel()


async def test_once_the_day_is_spent_everybody_is_told_and_nobody_gets_in(tmp_path: Path) -> None:
    with trio.fail_after(15):
        async with gateway(tmp_path, DAILY_BUDGET_USD="0.00001") as deployment, trio.open_nursery() as nursery:
            idle = await deployment.join(nursery, shown=token("bob"))
            await idle.hears("connection.ready")
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            await client.type("how warm must it be")
            assert {(await each.is_closed()).code for each in (client, idle)} == {4002}
            late = await deployment.join(nursery, shown=token("carol"))
            refused = await late.is_closed()
            error = late.heard_of("error")[0].event["error"]
            assert (refused.code, error["code"]) == (4002, "budget_exhausted")
            assert 0 < error["retry_after"] <= 86_400
            metrics = (await deployment.get("/metrics")).body.decode()
            assert 'voice_trio_refusals_total{code="budget_exhausted",plan="elite"} 1.0' in metrics
            assert "voice_trio_daily_budget_usd 1e-05" in metrics
            nursery.cancel_scope.cancel()


async def test_four_fifths_warn(tmp_path: Path) -> None:
    with trio.fail_after(15):
        async with gateway(tmp_path, SESSION_BUDGET_USD="1", DAILY_BUDGET_USD="0.0000001") as nobody:
            status = await nobody.get("/v1/voice/stats", token("root", is_admin=True))
            assert status.json["cost"]["is_exhausted"] is False
        async with gateway(tmp_path, SESSION_BUDGET_USD="0.03") as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            while not client.heard_of("budget.warning"):
                before = len(client.heard_of("response.done"))
                await client.type("how warm must it be, and for how long, and why")
                while len(client.heard_of("response.done")) == before and client.closed_with is None:  # noqa: ASYNC110  # either
                    await trio.sleep(0.01)
                assert client.closed_with is None
            warning = client.heard_of("budget.warning")[0].event
            assert (warning["scope"], warning["limit_usd"]) == ("session", 0.03)
            assert 0.024 <= warning["spent_usd"] < 0.03
            nursery.cancel_scope.cancel()


async def test_a_users_budget_ends_their_sessions_on_every_instance_and_nobody_elses_F14(tmp_path: Path) -> None:
    with redis_server() as redis, trio.fail_after(30):
        variables = {"REDIS_URL": redis.url, "USER_DAILY_BUDGET_USD": "0.004", "DAILY_BUDGET_USD": "20"}
        async with (
            gateway(tmp_path, **variables) as here,
            gateway(tmp_path, **variables) as there,
            trio.open_nursery() as nursery,
        ):
            spender = await here.join(nursery)
            idle = await there.join(nursery)
            other = await there.join(nursery, shown=token("bob"))
            for client in (spender, idle, other):
                await client.hears("connection.ready")
            while spender.closed_with is None:
                await spender.type("how warm must it be")
                await trio.sleep(0.3)
            for client in (spender, idle):
                closed = await client.is_closed()
                error = client.heard_of("error")[-1].event["error"]
                assert (closed.code, error["code"]) == (4002, "budget_exhausted")
                assert 0 < error["retry_after"] <= 86_400
            assert [entry.event["scope"] for entry in idle.heard_of("budget.warning")] in (["user"], [])
            for instance in (here, there):
                late = await instance.join(nursery)
                assert (await late.is_closed()).code == 4002
                assert late.heard_of("error")[0].event["error"]["message"].startswith("Your budget")
            await other.type("how warm must it be")
            await other.hears("response.done")
            assert other.closed_with is None
            nursery.cancel_scope.cancel()
