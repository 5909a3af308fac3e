"""The routes of live sessions and barred users (F18): what they answer, and every wrong argument."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.gateway_fixture import SECRET as JWT_SECRET
from tests.support.gateway_fixture import make_gateway, settings, token
from voice_trio import limits
from voice_trio.auth.tokens import User, issue_token, user_hash
from voice_trio.state.rollout import rollout_as_json
from voice_trio.state.session_directory import LiveSession
from voice_trio.state.session_record import RecordedItem, RecordedTurn, SessionRecord
from voice_trio.web.routes import make_http_app

if TYPE_CHECKING:
    import trio
    from trio.testing import MockClock

    from voice_trio.web.gateway import Gateway

ADMIN = issue_token(settings().tokens, User("root", is_admin=True))
SECRET = settings().signing_secret
ROUTES = [
    ("GET", "/v1/voice/sessions"),
    ("GET", "/v1/voice/sessions/vs_1"),
    ("DELETE", "/v1/voice/sessions/vs_1"),
    ("PUT", "/v1/voice/rollout/barred?user=ann"),
    ("DELETE", "/v1/voice/rollout/barred?user=ann"),
    ("DELETE", "/v1/voice/limits?user=ann"),
]


@pytest.fixture
def gateway(autojump_clock: MockClock, nursery: trio.Nursery) -> Gateway:
    return make_gateway(nursery)


async def ask(gateway: Gateway, method: str, path: str, bearer: str = ADMIN, body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    call = getattr(make_http_app(gateway).test_client(), method.lower())
    answer = await call(path, headers=headers, data=b"" if body is None else json.dumps(body).encode())
    return answer.status_code, json.loads(await answer.get_data(as_text=True))


def reported(number: int, user: str) -> LiveSession:
    return LiveSession(
        session_id=f"vs_{number}",
        user=user_hash(user, SECRET),
        plan="elite",
        since=1_800_000_000.0 + number,
        connected_seconds=12.5,
        cost_usd=0.25,
        state="answering",
        protocol="voice",
        instance="another",
        turns=3,
    )


async def in_force(gateway: Gateway) -> dict[str, Any]:
    return rollout_as_json(await gateway.state.rollout())


async def test_the_list_has_the_sessions_of_other_instances_and_filters_by_id_or_hash_F18(gateway: Gateway) -> None:
    await gateway.state.directory.report([reported(2, "ann"), reported(1, "bob")], {})
    for prefix in ("", "/api"):
        status, body = await ask(gateway, "GET", f"{prefix}/v1/voice/sessions")
        assert (status, body["complete"], body["left_out"]) == (200, True, 0)
        assert [one["session_id"] for one in body["sessions"]] == ["vs_1", "vs_2"]
    for user in ("ann", user_hash("ann", SECRET)):
        _, body = await ask(gateway, "GET", f"/v1/voice/sessions?user={user}")
        assert [one["session_id"] for one in body["sessions"]] == ["vs_2"]
        assert body["sessions"][0].keys() == {*LiveSession.__struct_fields__}
    assert (await ask(gateway, "GET", "/v1/voice/sessions?user=carl"))[1]["sessions"] == []


@pytest.mark.parametrize(("query", "has_words"), [("", False), ("?words=false", False), ("?words=true", True)])
async def test_a_session_is_shown_with_its_words_only_where_they_are_wanted_F18(
    gateway: Gateway, query: str, has_words: bool
) -> None:
    said = RecordedItem(item_id="i1", text="how warm")
    turns = (RecordedTurn(said=(said,), heard=()), RecordedTurn(status="cancelled"))
    record = SessionRecord(
        session_id="vs_9",
        user_id="ann",
        instance="a",
        started=time.time(),
        duration_seconds=60.0,
        connected_seconds=31.0,
        turns=turns,
        cost_micro_usd=20_000,
        end_reason="idle",
        revision=1,
    )
    await gateway.state.put_record(record)
    status, body = await ask(gateway, "GET", f"/v1/voice/sessions/vs_9{query}")
    assert (status, body["live"], body["record"]["user"]) == (200, None, user_hash("ann", SECRET))
    shown = body["record"]
    assert (shown["turns"], shown["turns_by_status"]) == (2, {"completed": 1, "cancelled": 1})
    assert (shown["cost_usd"], shown["end_reason"], shown["connected_seconds"]) == (0.02, "idle", 31.0)
    assert ("how warm" in json.dumps(body)) is has_words
    assert "ann" not in json.dumps(shown["user"])


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(("bearer", "status"), [("", 401), ("rubbish", 401), (token(), 403)])
async def test_only_administrators_pass_F18(gateway: Gateway, method: str, path: str, bearer: str, status: int) -> None:
    await gateway.state.directory.report([reported(1, "bob")], {})
    before = await in_force(gateway)
    for prefix in ("", "/api"):
        answer = await ask(gateway, method, prefix + path, bearer)
        assert (answer[0], set(answer[1])) == (status, {"error"})
    assert await in_force(gateway) == before


HUGE = "x" * (limits.ID_CHARS_MAX + 1)


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/voice/sessions?user=", 400, "user: "),
        ("GET", f"/v1/voice/sessions?user={HUGE}", 400, "user: "),
        ("GET", "/v1/voice/sessions/vs_1?words=maybe", 400, "words: "),
        ("GET", "/v1/voice/sessions/vs_1", 404, "No session"),
        ("GET", f"/v1/voice/sessions/{HUGE * 20}", 404, "No session"),
        ("GET", "/v1/voice/sessions/%00%1b%f0%9f%98%80", 404, "No session"),
        ("DELETE", "/v1/voice/sessions/vs_1", 404, "No live session"),
        ("DELETE", "/v1/voice/sessions/*", 404, "No live session"),
        ("PUT", "/v1/voice/rollout/barred", 400, "user: "),
        ("PUT", "/v1/voice/rollout/barred?user=", 400, "user: "),
        ("PUT", f"/v1/voice/rollout/barred?user={HUGE}", 400, "user: "),
        ("DELETE", "/v1/voice/rollout/barred?id=ann", 400, "user: "),
        ("DELETE", "/v1/voice/limits", 400, "user: "),
        ("DELETE", f"/v1/voice/limits?user={HUGE}", 400, "user: "),
    ],
)
async def test_a_wrong_argument_gets_one_clear_line_and_changes_nothing_F18(
    gateway: Gateway, method: str, path: str, status: int, words: str
) -> None:
    before = await in_force(gateway)
    answered, body = await ask(gateway, method, path)
    assert (answered, body["error"]["message"][: len(words)]) == (status, words)
    assert "\n" not in body["error"]["message"]
    assert len(body["error"]["message"]) < 120
    assert await in_force(gateway) == before


async def test_a_user_is_barred_once_by_hash_and_admitted_again_F18(gateway: Gateway) -> None:
    hashed = user_hash("ann", SECRET)
    status, body = await ask(gateway, "PUT", "/v1/voice/rollout/barred?user=ann")
    assert (status, body["changed"], body["users"]) == (200, True, [hashed])
    assert (body["rollout"]["barred"], body["rollout"]["version"]) == ([hashed], 1)
    for same in ("ann", "ann"):
        _, again = await ask(gateway, "PUT", f"/v1/voice/rollout/barred?user={same}")
        assert (again["changed"], again["rollout"]["version"]) == (False, 1)
    _, body = await ask(gateway, "DELETE", "/v1/voice/rollout/barred?user=ann")
    assert (body["changed"], body["rollout"]["barred"]) == (True, [])
    _, body = await ask(gateway, "DELETE", "/v1/voice/rollout/barred?user=ann")
    assert (body["changed"], body["rollout"]["version"]) == (False, 2)


async def test_a_hash_bars_its_user_and_an_id_that_looks_like_one_is_barred_as_both_F18(gateway: Gateway) -> None:
    hashed = user_hash("ann", SECRET)
    _, body = await ask(gateway, "PUT", f"/v1/voice/rollout/barred?user={hashed}")
    assert body["rollout"]["barred"] == [user_hash(hashed, SECRET), hashed]
    _, body = await ask(gateway, "DELETE", f"/v1/voice/rollout/barred?user={hashed}")
    assert body["rollout"]["barred"] == []


async def test_a_bar_by_the_secret_before_is_taken_away_by_id_F18(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    before = settings().hashing_secrets[0]
    rotated = make_gateway(nursery, JWT_SECRET=f"the next secret of more than thirty-two bytes,{JWT_SECRET}")
    old, new = (user_hash("ann", secret) for secret in (before, rotated.settings.signing_secret))
    document = await in_force(rotated) | {"barred": [old]}
    assert (await ask(rotated, "PUT", "/v1/voice/rollout", body=document))[0] == 200
    _, body = await ask(rotated, "PUT", "/v1/voice/rollout/barred?user=ann")
    assert (body["users"], body["rollout"]["barred"]) == ([new], [new])
    _, body = await ask(rotated, "PUT", "/v1/voice/rollout", body=body["rollout"] | {"barred": [old]})
    _, body = await ask(rotated, "DELETE", "/v1/voice/rollout/barred?user=ann")
    assert (body["users"], body["rollout"]["barred"]) == ([old], [])


async def test_a_full_list_bars_nobody_else_F18(gateway: Gateway) -> None:
    document = await in_force(gateway) | {"barred": [f"{number:032x}" for number in range(limits.ROLLOUT_ENTRIES_MAX)]}
    assert (await ask(gateway, "PUT", "/v1/voice/rollout", body=document))[0] == 200
    before = await in_force(gateway)
    status, body = await ask(gateway, "PUT", "/v1/voice/rollout/barred?user=ann")
    assert (status, body["error"]["message"]) == (400, "barred: at most 10000 users can be barred")
    assert await in_force(gateway) == before


async def test_a_document_that_says_nothing_of_barred_users_unbars_none_F18(gateway: Gateway) -> None:
    await ask(gateway, "PUT", "/v1/voice/rollout/barred?user=ann")
    document = await in_force(gateway)
    del document["barred"]
    status, body = await ask(gateway, "PUT", "/v1/voice/rollout", body=document | {"percent": 50})
    assert (status, body["percent"], body["barred"]) == (200, 50, [user_hash("ann", SECRET)])
    status, body = await ask(gateway, "PUT", "/v1/voice/rollout", body=document | {"version": 7})
    assert (status, body["rollout"]["version"]) == (409, 2)
    status, body = await ask(gateway, "PUT", "/v1/voice/rollout", body=document | {"version": 2, "barred": []})
    assert (status, body["barred"]) == (200, [])
