"""Several versions of the package beside one rollout document in Redis (F18): each keeps what it does not know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio

from tests.support.redis_fixture import ROLLOUT, instance
from tests.support.redis_servers import RedisServer, redis_server
from voice_trio.state.rollout import rollout_as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

ANN = "0f" * 16
KEY = "voice:rollout"


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


def stored(redis: RedisServer) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(redis.do("HGET", KEY, "json"))
    return document


async def test_a_document_of_a_later_version_is_followed_and_a_change_here_keeps_its_fields_F18(
    redis: RedisServer,
) -> None:
    later = rollout_as_json(ROLLOUT) | {"version": 7, "barred": [ANN], "percent": 40, "colour": {"name": "red"}}
    with trio.fail_after(10):
        async with instance(redis.url) as one:
            redis.do("HSET", KEY, "version", "7", "json", json.dumps(later))
            followed = await one.wait_rollout_change(ROLLOUT)
            assert (followed.percent, followed.barred, followed.version) == (40, (ANN,), 7)
            assert await one.replace_rollout(msgspec.structs.replace(followed, percent=50))
            assert stored(redis) == later | {"version": 8, "percent": 50}


async def test_an_earlier_version_reads_the_document_as_long_as_nobody_is_barred_F18(redis: RedisServer) -> None:
    async with instance(redis.url) as one:
        assert "barred" not in stored(redis)
        barring = await one.replace_rollout(msgspec.structs.replace(ROLLOUT, barred=(ANN,)))
        assert barring is not None
        assert stored(redis)["barred"] == [ANN]
        await one.replace_rollout(msgspec.structs.replace(barring, barred=()))
        assert "barred" not in stored(redis)
