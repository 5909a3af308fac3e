"""The OpenAPI document has every route of the application and none more, and responses are as it says (F57)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
from jsonschema import Draft202012Validator

from tests.support.gateway_fixture import make_gateway, settings, token
from tests.support.reference_http import METHODS, OPENAPI, resolved, urls
from voice_trio.auth.tokens import User, issue_token
from voice_trio.state.rollout import Rollout
from voice_trio.state.session_directory import LiveSession
from voice_trio.state.session_record import SessionRecord
from voice_trio.web.application import WEBSOCKET_PATHS
from voice_trio.web.routes import make_http_app

if TYPE_CHECKING:
    from quart_trio import QuartTrio
    from trio.testing import MockClock

ADMIN = issue_token(settings().tokens, User("root", is_admin=True))
DOCUMENT = {"enabled": True, "percent": 25, "beta_users": [], "plans": ["elite"], "barred": []}
RECORD = SessionRecord(session_id="vs_2", user_id="ann", instance="another", started=1.8e9, duration_seconds=600.0)
SCHEMAS = OPENAPI["components"]["schemas"]


@pytest.fixture
async def app(autojump_clock: MockClock, nursery: trio.Nursery) -> QuartTrio:
    gateway = make_gateway(nursery, VOICE_CONSOLE="true", METRICS_TOKEN="8f41c2a97be05d36")
    live = LiveSession(
        session_id="vs_1",
        user="0" * 32,
        plan="elite",
        since=1.8e9,
        connected_seconds=1.5,
        cost_usd=0.25,
        state="answering",
        protocol="voice",
        instance="another",
        turns=1,
    )
    await gateway.state.directory.report([live], {"vs_2": "ann"})
    await gateway.state.put_record(RECORD)
    return make_http_app(gateway)


async def test_the_document_has_every_route_of_the_application_and_none_more_F57(app: QuartTrio) -> None:
    await trio.lowlevel.checkpoint()
    served = {
        (method.lower(), re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or ())
        # Quart answers HEAD and OPTIONS by itself; only the preflight of client secrets is a route of its own.
        if method not in ("HEAD", "OPTIONS") or rule.endpoint.endswith("_preflight")
    }
    served = {(method, rule) for method, rule in served if method != "head"} | {
        ("get", path) for path in WEBSOCKET_PATHS
    }
    documented = {
        (method, url)
        for path, item in OPENAPI["paths"].items()
        for method in METHODS
        if method in item
        for url in urls(path)
    }
    assert documented == served


@pytest.mark.parametrize(
    ("method", "path", "bearer", "body", "status"),
    [
        ("get", "/v1/voice/health", "", None, 200),
        ("get", "/livez", "", None, 200),
        ("get", "/readyz", "", None, 200),
        ("get", "/metrics", "8f41c2a97be05d36", None, 200),
        ("get", "/metrics", "", None, 401),
        ("get", "/v1/voice/stats?user=ann", ADMIN, None, 200),
        ("get", "/v1/voice/stats", token(), None, 403),
        ("get", "/v1/voice/rollout", ADMIN, None, 200),
        ("put", "/v1/voice/rollout", ADMIN, DOCUMENT | {"version": 0}, 200),
        ("put", "/v1/voice/rollout", ADMIN, DOCUMENT | {"version": 9}, 409),
        ("put", "/v1/voice/rollout", ADMIN, DOCUMENT, 400),
        ("put", "/v1/voice/rollout/barred?user=ann", ADMIN, None, 200),
        ("delete", "/v1/voice/rollout/barred?user=ann", ADMIN, None, 200),
        ("delete", "/v1/voice/rollout/barred", ADMIN, None, 400),
        ("get", "/v1/voice/sessions", ADMIN, None, 200),
        ("get", "/v1/voice/sessions/vs_1", ADMIN, None, 200),
        ("get", "/v1/voice/sessions/vs_2?words=true", ADMIN, None, 200),
        ("get", "/v1/voice/sessions/vs_2?words=perhaps", ADMIN, None, 400),
        ("get", "/v1/voice/sessions/vs_3", ADMIN, None, 404),
        ("delete", "/v1/voice/sessions/vs_3", ADMIN, None, 404),
        ("delete", "/v1/voice/sessions?user=ann", ADMIN, None, 200),
        ("delete", "/v1/voice/limits?user=ann", ADMIN, None, 200),
        ("delete", "/v1/voice/limits", ADMIN, None, 400),
        ("post", "/v1/realtime/client_secrets", token(), {"expires_after": {"seconds": 60}}, 200),
        ("post", "/v1/realtime/client_secrets", token(), {"expires_after": {"seconds": 1}}, 400),
        ("post", "/v1/realtime/client_secrets", "", None, 401),
        ("options", "/v1/realtime/client_secrets", "", None, 204),
        ("get", "/v1/voice/openapi.json", "", None, 200),
        ("get", "/v1/voice/schema.json", "", None, 200),
        ("get", "/v1/voice/dashboard", "", None, 200),
        ("get", "/v1/voice/dashboard/dashboard.js", "", None, 200),
        ("get", "/v1/voice/dashboard/none.js", "", None, 404),
        ("get", "/client/voice.js", "", None, 200),
        ("get", "/", "", None, 200),
        ("get", "/console/console.js", "", None, 200),
        ("get", "/console/introduction", token(), None, 200),
        ("get", "/console/introduction", "", None, 401),
    ],
)
async def test_a_response_is_as_the_document_says_F57(
    app: QuartTrio, method: str, path: str, bearer: str, body: Any, status: int
) -> None:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    data = b"" if body is None else json.dumps(body).encode()
    answer = await getattr(app.test_client(), method)(path, headers=headers, data=data)
    described = resolved(_operation(method, path)["responses"][str(answer.status_code)])
    assert answer.status_code == status
    if content := described.get("content"):
        kind = answer.headers["Content-Type"].split(";")[0]
        schema = content[kind]["schema"]
        if kind == "application/json":
            Draft202012Validator(schema | {"components": OPENAPI["components"]}).validate(await answer.get_json())


def _operation(method: str, path: str) -> dict[str, Any]:
    bare = path.split("?")[0]
    for known, item in OPENAPI["paths"].items():
        if method in item and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), bare):
            return dict(item[method])
    raise AssertionError(path)


@pytest.mark.parametrize("struct", [LiveSession, Rollout])
def test_an_object_has_the_fields_of_its_struct_F57(struct: type[msgspec.Struct]) -> None:
    described = SCHEMAS[struct.__name__]
    fields = msgspec.structs.fields(struct)
    assert list(described["properties"]) == [field.name for field in fields]
    assert described["required"] == [field.name for field in fields if field.required]


def test_every_schema_is_valid_and_every_reference_has_a_target_F57() -> None:
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(OPENAPI)):
        assert resolved({"$ref": reference})
