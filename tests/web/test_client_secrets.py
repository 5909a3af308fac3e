"""The route that exchanges a user's token for a client secret, as OpenAI's own clients ask for it and read it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import trio
from openai.types.realtime import ClientSecretCreateResponse, RealtimeSessionCreateResponse

from tests.support.gateway_fixture import make_gateway, settings, token
from voice_trio.auth.signed_tokens import ClientSecrets, SecretClaims
from voice_trio.auth.tokens import User, issue_token
from voice_trio.web.routes import make_http_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio.testing import MockClock
    from werkzeug.datastructures import Headers

PATH = "/v1/realtime/client_secrets"


async def ask(
    body: object = None,
    headers: dict[str, str] | None = None,
    *,
    shown: str | None = "",
    path: str = PATH,
    method: str = "POST",
    times: int = 1,
    variables: Mapping[str, str] | None = None,
) -> tuple[int, Headers, Any]:
    """The response to the last of `times` equal requests; `shown` is a valid token by default."""
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    usual = {} if shown is None else {"Authorization": f"Bearer {shown or token()}"}
    async with trio.open_nursery() as nursery:
        client = make_http_app(make_gateway(nursery, **(variables or {}))).test_client()
        for _ in range(times):
            answer = await getattr(client, method.lower())(path, headers=usual | (headers or {}), data=sent)
        text = await answer.get_data(as_text=True)
    return answer.status_code, answer.headers, json.loads(text) if text else None


def read_secret(value: str) -> SecretClaims:
    return ClientSecrets(settings().signing_secret).read(value)


@pytest.mark.parametrize("path", [PATH, f"/api{PATH}", f"/openai{PATH}"])
@pytest.mark.parametrize("body", [None, {}, {"session": None, "expires_after": None}])
async def test_a_users_token_buys_a_secret_for_ten_minutes(autojump_clock: MockClock, path: str, body: object) -> None:
    status, headers, answer = await ask(body, path=path)

    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert answer["value"].startswith("ek_")
    assert abs(answer["expires_at"] - time.time() - 600) < 5
    assert read_secret(answer["value"]) == SecretClaims(User("ada", plan="elite"))


@pytest.mark.parametrize("left", [2, 300])
async def test_a_secret_ends_with_the_token_that_it_was_made_from_F17(autojump_clock: MockClock, left: int) -> None:
    asked = {"expires_after": {"anchor": "created_at", "seconds": 7200}}
    short = issue_token(settings().tokens, User("ada", plan="elite"), seconds_valid=left)
    _, _, answer = await ask(asked, {"Authorization": f"Bearer {short}"})
    assert left - 2 <= answer["expires_at"] - time.time() <= left


async def test_azures_header_does_as_well(autojump_clock: MockClock) -> None:
    status, _, answer = await ask(shown=None, headers={"api-key": token()})
    assert status == 200
    assert read_secret(answer["value"]).user.id == "ada"


@pytest.mark.parametrize("header", ["Authorization", "api-key"])
async def test_blanks_around_the_token_do_not_matter_F19(autojump_clock: MockClock, header: str) -> None:
    shown = f"{token()} " if header == "api-key" else f"Bearer \t{token()} "
    assert (await ask(shown=None, headers={header: shown}))[0] == 200


async def test_a_token_in_the_address_is_none(autojump_clock: MockClock) -> None:
    assert (await ask(shown=None, path=f"{PATH}?token={token()}"))[0] == 401


async def test_openais_own_types_read_the_answer(autojump_clock: MockClock) -> None:
    preset = {
        "type": "realtime",
        "audio": {"output": {"voice": "cedar"}, "input": {"turn_detection": {"type": "semantic_vad"}}},
        "tools": [{"type": "function", "name": "look_up", "parameters": {"type": "object"}}],
    }
    asked = {"expires_after": {"anchor": "created_at", "seconds": 3000}, "session": preset}
    _, _, answer = await ask(asked)

    told = ClientSecretCreateResponse.model_validate(answer)
    assert isinstance(told.session, RealtimeSessionCreateResponse)
    assert told.session.audio is not None
    assert told.session.audio.output is not None
    assert (told.session.audio.output.voice, told.session.audio.output.speed) == ("cedar", 1.0)
    assert (told.session.model, told.session.instructions) == (settings().upstream.model, "")
    assert abs(told.expires_at - time.time() - 3000) < 5
    assert read_secret(told.value).session == preset


async def test_an_administrators_secret_is_one_too(autojump_clock: MockClock) -> None:
    shown = issue_token(settings().tokens, User("root", is_admin=True))
    _, _, answer = await ask(shown=shown)
    assert read_secret(answer["value"]).user == User("root", is_admin=True)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"{", None, "invalid_json"),
        (b"[]", None, "invalid_json"),
        (b"\xff", None, "invalid_json"),
        (b"[" * 100_000, None, "invalid_json"),
        ({"expires_after": 600}, "expires_after", "invalid_type"),
        ({"expires_after": {"anchor": "now"}}, "expires_after.anchor", "invalid_value"),
        *(
            ({"expires_after": {"seconds": seconds}}, "expires_after.seconds", "invalid_value")
            for seconds in (9, 7201, -1, 10.5, "600", True, None)
        ),
        ({"session": "x"}, "session", "invalid_type"),
        ({"session": {}}, "session.type", "missing_required_parameter"),
        ({"session": {"type": "transcription"}}, "session.type", "invalid_value"),
        ({"session": {"type": "realtime", "max_output_tokens": 0}}, "session.max_output_tokens", "invalid_value"),
        ({"session": {"type": "realtime", "instructions": "x" * 4096}}, "session", "invalid_value"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    autojump_clock: MockClock, body: object, param: str | None, code: str
) -> None:
    status, _, answer = await ask(body)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert answer["error"]["param"] == param
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]


async def test_a_body_that_nobody_would_read_is_refused(autojump_clock: MockClock) -> None:
    status, _, answer = await ask(b"x" * (1024 * 1024 + 1))
    assert (status, answer["error"]["type"]) == (413, "invalid_request_error")


@pytest.mark.parametrize(
    ("shown", "variables", "status", "code"),
    [
        (None, {}, 401, "invalid_api_key"),
        ("rubbish", {}, 401, "invalid_api_key"),
        (token(plan="free"), {}, 403, "plan_required"),
        ("", {"ENABLE_VOICE_REALTIME": "false"}, 403, "feature_disabled"),
        ("", {"VOICE_ROLLOUT_PERCENT": "0"}, 403, "not_in_rollout"),
        ("", {"VOICE_UPSTREAM": "flat"}, 403, "not_allowed"),
    ],
)
async def test_who_may_not_talk_gets_none_and_is_told_in_openais_words(
    autojump_clock: MockClock, shown: str | None, variables: dict[str, str], status: int, code: str
) -> None:
    got, headers, answer = await ask(shown=shown, variables=variables)
    assert (got, answer["error"]["code"]) == (status, code)
    assert answer["error"]["type"] == "invalid_request_error"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert (headers.get("WWW-Authenticate") == "Bearer") == (status == 401)


async def test_a_secret_buys_no_other(autojump_clock: MockClock) -> None:
    secret = ClientSecrets(settings().signing_secret).issue(User("ada", plan="elite"), seconds=600).value
    status, _, answer = await ask(shown=secret)
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


async def test_who_asks_too_often_is_told_when_to_come_again(autojump_clock: MockClock) -> None:
    status, headers, answer = await ask(times=21)
    assert (status, headers["Retry-After"]) == (429, "60")
    assert (answer["error"]["type"], answer["error"]["code"]) == ("rate_limit_exceeded", "rate_limit_exceeded")
    assert headers["Access-Control-Expose-Headers"] == "Retry-After"


async def test_failed_tokens_count_for_the_address_behind_the_proxy(autojump_clock: MockClock) -> None:
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}
    status, _, _ = await ask(headers=elsewhere, shown="rubbish", times=31, variables={"TRUSTED_PROXY_HOPS": "1"})
    assert status == 429


async def test_pages_of_named_origins_may_ask_and_no_others(autojump_clock: MockClock) -> None:
    named = {"ALLOWED_ORIGINS": "https://shop.example"}
    status, headers, _ = await ask(headers={"Origin": "https://shop.example"}, variables=named)
    assert (status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (200, "https://shop.example", "Origin")
    status, headers, answer = await ask(headers={"Origin": "https://evil.example"}, variables=named)
    assert (status, answer["error"]["code"]) == (403, "not_allowed")
    assert "Access-Control-Allow-Origin" not in headers
    assert (await ask(variables=named))[0] == 200  # no browser


async def test_a_browsers_preflight_is_answered_without_a_token(autojump_clock: MockClock) -> None:
    asking = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    status, headers, _ = await ask(headers=asking, shown=None, method="OPTIONS")
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Allow-Methods"] == "POST"
    assert headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type, *"
    named = {"ALLOWED_ORIGINS": "https://other.example"}
    _, headers, _ = await ask(headers=asking, shown=None, method="OPTIONS", variables=named)
    assert "Access-Control-Allow-Origin" not in headers


async def test_other_methods_are_not_there(autojump_clock: MockClock) -> None:
    assert (await ask(method="GET"))[0] == 405


async def test_who_is_refused_is_counted(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        gateway = make_gateway(nursery)
        answer = await make_http_app(gateway).test_client().post(PATH)
    assert answer.status_code == 401
    assert gateway.statistics.process_stats().refusals == {"token_invalid": 1}


async def test_a_preset_that_could_never_be_had_is_refused_when_it_is_asked_for() -> None:
    mcp = {"type": "realtime", "tools": [{"type": "mcp", "server_url": "https://example.org"}]}
    status, _, answer = await ask({"session": mcp})
    assert (status, answer["error"]["param"]) == (400, "session.tools[0].type")


async def test_only_what_holds_is_shown() -> None:
    wish = {
        "type": "realtime",
        "instructions": "Be merry.",
        "max_output_tokens": "inf",
        "audio": {"output": {"speed": 1.2}},
    }
    _, _, answer = await ask({"session": wish})
    shown = answer["session"]
    assert (shown["instructions"], shown["max_output_tokens"], shown["audio"]["output"]["speed"]) == (
        "Be merry.",
        4096,
        1.2,
    )
    _, _, answer = await ask({"session": wish}, variables={"VOICE_CLIENT_CONFIG": "none"})
    assert (answer["session"]["instructions"], answer["session"]["max_output_tokens"]) == ("", 4096)
