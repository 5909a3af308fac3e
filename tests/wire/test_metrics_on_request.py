"""`?metrics=1` through a whole gateway: clients with it get each turn's metrics, others the events without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.browser_driver import running_gateway
from tests.support.deployment import token
from voice_trio.client import connect_voice

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_MS = 300


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), answer_ms=ANSWER_MS) as gateway:
        yield gateway.url


async def told_of_a_turn(url: str) -> list[dict[str, Any]]:
    """All events of one typed question, until a while after the response has been played."""
    events = []
    with trio.fail_after(20):
        async with connect_voice(url, token()) as voice:
            await voice.send_text("How warm must the brooder be in the first week?")
            with trio.CancelScope() as scope:
                async for event in voice:
                    events.append(event)
                    if event["type"] == "response.done":
                        scope.deadline = trio.current_time() + ANSWER_MS / 1000 + 0.7
    return events


async def test_who_asks_is_told_and_who_does_not_is_not(url: str) -> None:
    plain = {event["type"] for event in await told_of_a_turn(url)}
    events = await told_of_a_turn(f"{url}?metrics=1")
    assert {event["type"] for event in events} - plain == {"turn.metrics"}
    assert plain - {event["type"] for event in events} == set()
    (figures,) = [event for event in events if event["type"] == "turn.metrics"]
    assert figures["cost_usd"] > 0
    assert figures["session_cost_usd"] >= figures["cost_usd"]
    assert [query["outcome"] for query in figures["queries"]] == ["found"]


@pytest.mark.parametrize("asked", ["metrics=0", "metrics", "metrics=true"])
async def test_only_a_plain_one_asks(url: str, asked: str) -> None:
    assert "turn.metrics" not in {event["type"] for event in await told_of_a_turn(f"{url}?{asked}")}
