"""Refusals at the voice endpoint: their form for one client, and that its neighbours see nothing of them (F10)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import structlog.testing
import trio

from tests.support.asgi_server import AsgiClient, AsgiServer
from tests.support.gateway_fixture import make_gateway, settings, token
from voice_trio import limits
from voice_trio.auth.signed_tokens import ResumeTokens
from voice_trio.auth.tokens import User, issue_token, user_hash
from voice_trio.web.application import Application
from voice_trio.web.routes import make_http_app

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.web.gateway import Gateway

AWAY = {"OPENAI_REALTIME_URL": "wss://api.openai.com/v1/realtime"}
"""Without a key: who is admitted is told `upstream_unavailable`, without a socket."""


class Door:
    """A gateway that refuses everybody for one reason or another."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._application = Application(gateway)

    async def connect(self, shown: str, query: str = "", *, late: bool = True, **scope: Any) -> AsgiClient:
        """A client that has been refused; it shows its token in the first message, unless it is not `late`."""
        client = AsgiClient(query if late else f"token={shown}&{query}", **scope)
        if late:
            client.says(json.dumps({"type": "auth", "token": shown}))
        client.is_left()  # it answers the close frame at once
        await client.run(self.gateway, self._application)
        return client


def error(client: AsgiClient) -> dict[str, Any]:
    [frame] = [message["text"] for message in client.sent if message["type"] == "websocket.send"]
    told: dict[str, Any] = json.loads(frame)["error"]
    return told


def resume_of(user: str) -> str:
    return ResumeTokens(settings().signing_secret).issue(user, "vs_1", 600)


@pytest.mark.parametrize("kind", ["plan", "rollout"])
async def test_two_refused_neighbours_do_not_keep_a_third_out_F10(
    autojump_clock: MockClock, nursery: trio.Nursery, kind: str
) -> None:
    variables = AWAY if kind == "plan" else AWAY | {"VOICE_ROLLOUT_PERCENT": "10"}
    door = Door(make_gateway(nursery, **variables))
    included = (await door.gateway.state.rollout()).includes_user
    good = next(user for user in (f"user-{number}" for number in range(99)) if included(user, ""))
    others = [f"other-{number}" for number in range(9) if kind == "plan" or not included(f"other-{number}", "")]
    for user in others[:5]:
        refused = await door.connect(token(user, plan="free" if kind == "plan" else "elite"))
        assert error(refused)["code"] == ("plan_required" if kind == "plan" else "not_in_rollout")

    third = await door.connect(token(good))
    assert error(third)["code"] == "upstream_unavailable"  # admitted: what refuses it now is the upstream
    resumed = await door.connect(token(good), f"resume={resume_of(good)}")
    assert error(resumed)["code"] in ("resume_invalid", "upstream_unavailable")


async def test_a_repeated_refusal_after_the_upgrade_closes_two_seconds_after_its_error_F10(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    door = Door(make_gateway(nursery))
    took, waits = [], []
    for _ in range(4):
        began = trio.current_time()
        client = await door.connect(token(plan="free"))
        took.append(trio.current_time() - began)
        waits.append(error(client).get("retry_after"))
        assert client.closed == (4003, "Voice is reserved for plans elite, intelia")

    assert took == [0.0, 0.0, 2.0, 2.0]
    assert waits == [None, None, 60, 58]


async def test_only_some_refusals_wait_at_a_time_F10(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    door = Door(make_gateway(nursery))
    for _ in range(2):
        await door.connect(token(plan="free"))
    ended: list[float] = []

    async def refused() -> None:
        await door.connect(token(plan="free"))
        ended.append(trio.current_time())

    for began in (0.0, 2.0):
        ended.clear()
        async with trio.open_nursery() as crowd:
            for _ in range(limits.REPEATED_REFUSALS_HELD_MAX + 10):
                crowd.start_soon(refused)
        assert ended.count(began) == 10
        assert ended.count(began + 2.0) == limits.REPEATED_REFUSALS_HELD_MAX


@pytest.mark.parametrize("late", [False, True])
async def test_a_resume_is_refused_after_the_upgrade_however_often_F10(
    autojump_clock: MockClock, nursery: trio.Nursery, late: bool
) -> None:
    door = Door(make_gateway(nursery, ALLOWED_ORIGINS="https://a.example"))
    elsewhere = [(b"origin", b"https://b.example")]
    for _ in range(4):
        client = await door.connect(token(), f"resume={resume_of('ada')}", late=late)
        assert client.sent[0]["type"] == "websocket.accept"
        assert client.closed == (1008, "Resume not possible")
    client = await door.connect(token(), f"resume={resume_of('ada')}", late=late, headers=elsewhere)
    assert client.closed == (1008, "Origin not allowed")
    client = await door.connect(token(), "resume=x", late=late, headers=elsewhere)
    assert client.sent[0]["status"] == 403


@pytest.mark.parametrize("around", ["{}\n", " {} ", "\r\n{}\t", "\u00a0{}"])
async def test_blanks_around_a_token_do_not_matter_in_the_first_message_F19(
    autojump_clock: MockClock, nursery: trio.Nursery, around: str
) -> None:
    door = Door(make_gateway(nursery, **AWAY))
    assert error(await door.connect(around.format(token())))["code"] == "upstream_unavailable"


async def test_what_happened_to_a_user_is_in_the_log_and_their_plan_in_the_metrics_F20(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    door = Door(make_gateway(nursery, TRUSTED_PROXY_HOPS="1"))
    behind = [(b"x-forwarded-for", b"198.51.100.77")]
    key = user_hash("ada", settings().signing_secret)
    with structlog.testing.capture_logs() as logs:
        await door.connect(token(plan="free"), headers=behind)
        await door.connect(issue_token(settings().tokens, User("ada"), seconds_valid=-5.0), headers=behind)
        realtime = [*behind, (b"authorization", b"Bearer " + token(plan="free").encode())]
        await door.connect("", path="/v1/realtime", headers=realtime)
        await door.connect("", path="/v1/realtime", headers=behind)
        http = make_http_app(door.gateway).test_client()
        await http.post("/v1/realtime/client_secrets", headers={"Authorization": f"Bearer {token(plan='free')}"})
    told = [(line["request"], line["code"], line["user"], line["plan"], line["client"]) for line in logs]

    assert told == [
        ("voice", "plan_required", key, "free", "198.51.100.0"),
        ("voice", "token_invalid", key, "", "198.51.100.0"),
        ("realtime", "plan_required", key, "free", "198.51.100.0"),
        ("realtime", "token_invalid", None, None, "198.51.100.0"),
        ("client_secret", "plan_required", key, "free", "unknown"),
    ]
    metrics = door.gateway.statistics.metrics.exposition().decode()
    assert 'voice_trio_refusals_total{code="plan_required",plan="other"} 3.0' in metrics
    assert 'voice_trio_refusals_total{code="token_invalid",plan="unknown"} 2.0' in metrics


async def test_one_warning_says_that_a_proxy_is_not_trusted_F10(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    forwarded = [(b"X-Forwarded-For", b"203.0.113.9")]
    for hops, warnings in (("0", 1), ("1", 0)):
        door = Door(make_gateway(nursery, TRUSTED_PROXY_HOPS=hops))
        with structlog.testing.capture_logs() as logs:
            for path in ("/v1/ws/voice", "/v1/realtime"):
                await door.connect("rubbish", path=path)
                await door.connect("rubbish", path=path, headers=forwarded)
                await door.connect("rubbish", path=path, headers=forwarded)
        told = [entry for entry in logs if entry["event"] == "forwarded_for_ignored"]
        assert [(entry["log_level"], entry["client"]) for entry in told] == [("warning", "10.0.0.0")] * warnings


async def test_a_forwarded_request_of_the_http_routes_is_warned_of_too_F10(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    head = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "root_path": ""}
    where = {"path": "/livez", "raw_path": b"/livez", "query_string": b"", "client": ("10.0.0.1", 5)}
    scope = head | where | {"headers": [(b"host", b"x"), (b"x-forwarded-for", b"203.0.113.9")]}
    server = AsgiServer()
    with structlog.testing.capture_logs() as logs, trio.move_on_after(1):  # the client stays, and so does its handler
        await Application(make_gateway(nursery))(scope, server.receive, server.send)
    assert [entry["event"] for entry in logs] == ["forwarded_for_ignored"]
    assert server.sent[0]["status"] == 200


async def test_an_expired_token_is_told_so_behind_an_address_that_guesses_F10(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    door = Door(make_gateway(nursery))
    for number in range(40):
        await door.connect(f"guess-{number}")
    expired = issue_token(settings().tokens, User("ada"), seconds_valid=-5.0)
    assert error(await door.connect(expired)) == {"code": "token_invalid", "message": "The token has expired."}
    assert error(await door.connect("guess-again"))["code"] == "rate_limited"
