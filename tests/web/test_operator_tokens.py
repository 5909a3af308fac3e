"""Wrong tokens on an operator's route are counted, limited by address, and logged once, without the token (F9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog.testing
import trio

from tests.support.gateway_fixture import make_gateway, settings, token
from voice_trio import limits
from voice_trio.auth.tokens import User, issue_token
from voice_trio.web.routes import make_http_app

if TYPE_CHECKING:
    from trio.testing import MockClock

STATS = "/v1/voice/stats"
WRONG = "guess-guess-guess"
METRICS_TOKEN = "a bearer of Prometheus"


@pytest.mark.parametrize(("path", "kind"), [(STATS, "administrator"), ("/metrics", "metrics")])
async def test_F9_wrong_tokens_are_counted_limited_and_logged_once(
    autojump_clock: MockClock, nursery: trio.Nursery, path: str, kind: str
) -> None:
    gateway = make_gateway(nursery, METRICS_TOKEN=METRICS_TOKEN)
    client = make_http_app(gateway).test_client()
    with structlog.testing.capture_logs() as logs:
        answers = [await client.get(path, headers=bearer(WRONG)) for _ in range(200)]
    allowed = limits.FAILED_TOKENS_PER_MINUTE
    assert [answer.status_code for answer in answers] == [401] * allowed + [429] * (200 - allowed)
    assert [answer.headers.get("Retry-After") for answer in answers] == [None] * allowed + ["60"] * (200 - allowed)
    counted = f'voice_trio_failed_operator_tokens_total{{kind="{kind}"}} 200.0'
    assert counted in gateway.statistics.metrics.exposition().decode()
    assert [(entry["event"], entry["kind"]) for entry in logs] == [("operator_token_refused", kind)]
    assert WRONG not in str(logs)


async def test_a_right_token_passes_meanwhile_and_a_wrong_one_is_refused_with_401_after_a_minute(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    client = make_http_app(make_gateway(nursery, METRICS_TOKEN=METRICS_TOKEN)).test_client()
    for _ in range(50):
        await client.get(STATS, headers=bearer(WRONG))
    administrator = issue_token(settings().tokens, User("root", is_admin=True))
    right = [
        await client.get(STATS, headers=bearer(administrator)),
        await client.get("/metrics", headers=bearer(METRICS_TOKEN)),
    ]
    assert [answer.status_code for answer in right] == [200, 200]
    assert (await client.get(STATS, headers=bearer(token()))).status_code == 403
    expired = issue_token(settings().tokens, User("root", is_admin=True), seconds_valid=-5.0)
    assert (await client.get(STATS, headers=bearer(expired))).status_code == 401
    await trio.sleep(limits.MINUTE_SECONDS)
    assert (await client.get(STATS, headers=bearer(WRONG))).status_code == 401


async def test_the_log_has_the_network_of_the_client_and_other_addresses_are_not_limited(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    client = make_http_app(make_gateway(nursery, TRUSTED_PROXY_HOPS="1")).test_client()
    with structlog.testing.capture_logs() as logs:
        for _ in range(50):
            await client.get(STATS, headers=bearer(WRONG) | {"X-Forwarded-For": "203.0.113.77"})
        other = await client.get(STATS, headers=bearer(WRONG) | {"X-Forwarded-For": "2001:db8:1:2::5"})
    assert other.status_code == 401
    assert [entry["client"] for entry in logs] == ["203.0.113.0", "2001:db8:1::"]


async def test_wrong_tokens_from_any_number_of_addresses_are_120_lines_a_minute(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    client = make_http_app(make_gateway(nursery, TRUSTED_PROXY_HOPS="1")).test_client()
    with structlog.testing.capture_logs() as logs:
        for number in range(200):
            address = {"X-Forwarded-For": f"2001:db8:{number:x}::1"}
            assert (await client.get(STATS, headers=bearer(WRONG) | address)).status_code == 401
    assert len(logs) == limits.UNKNOWN_REFUSALS_LOGGED_PER_MINUTE


def bearer(shown: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {shown}"}
