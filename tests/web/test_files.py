"""The files for browsers: their policy, their origins, their types, and when they are missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.gateway_fixture import make_gateway
from voice_trio.web.files import CLIENT_FILES, CONSOLE_FILES, content_policy
from voice_trio.web.routes import make_http_app

if TYPE_CHECKING:
    from trio.testing import MockClock
    from werkzeug.datastructures import Headers

PAGE = "/"
MODULE = "/client/voice.js"


async def get(
    path: str, headers: dict[str, str] | None = None, host: str = "", **variables: str
) -> tuple[int, Headers, bytes]:
    """One request to a gateway's pages, without a socket."""
    async with trio.open_nursery() as nursery:
        client = make_http_app(make_gateway(nursery, **variables)).test_client()
        answer = await client.get(path, headers=(headers or {}) | ({"Host": host} if host else {}))
        body = await answer.get_data(as_text=False)
    return answer.status_code, answer.headers, bytes(body)


async def test_the_console_is_there_only_where_it_is_switched_on(autojump_clock: MockClock) -> None:
    assert (await get(PAGE))[0] == 404
    assert (await get("/console/console.js"))[0] == 404
    status, headers, body = await get(PAGE, VOICE_CONSOLE="true")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<title>voice_trio</title>" in body


async def test_the_page_allows_nothing_but_its_own_files_and_its_own_socket(autojump_clock: MockClock) -> None:
    _, headers, body = await get(PAGE, host="voice.example:8443", VOICE_CONSOLE="true")
    rules = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["style-src"] == "'self'"
    assert rules["connect-src"] == "'self' ws://voice.example:8443 wss://voice.example:8443"
    assert rules["frame-ancestors"] == "'none'"
    assert headers["Permissions-Policy"].startswith("microphone=(self)")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    for inline in (b"<style", b"style=", b"onclick=", b"javascript:", b"http://", b"https://"):
        assert inline not in body
    assert body.count(b"<script") == body.count(b'<script type="module" src="/console/')


@pytest.mark.parametrize("host", ["evil; script-src *", "a b", "x\tws://evil", "[::1", "", "evil,*"])
def test_a_host_that_is_none_adds_nothing_to_the_policy(host: str) -> None:
    assert "connect-src 'self';" in content_policy(host)
    assert "evil" not in content_policy(host)


async def test_the_client_is_for_every_front_end_with_or_without_a_console(autojump_clock: MockClock) -> None:
    for name in CLIENT_FILES:
        status, headers, body = await get(f"/client/{name}", {"Origin": "https://shop.example"})
        assert status == 200
        assert headers["Content-Type"].startswith("text/javascript" if name.endswith(".js") else "text/plain")
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert body


async def test_only_allowed_origins_may_read_the_client_when_they_are_named(autojump_clock: MockClock) -> None:
    allowed = {"ALLOWED_ORIGINS": "https://shop.example,https://other.example"}
    _, headers, _ = await get(MODULE, {"Origin": "https://shop.example"}, **allowed)
    assert headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert headers["Vary"] == "Origin"
    _, headers, _ = await get(MODULE, {"Origin": "https://evil.example"}, **allowed)
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", [MODULE, "/console/console.css", "/v1/voice/schema.json", PAGE])
async def test_files_are_asked_for_again_and_sent_again_only_when_changed(path: str, autojump_clock: MockClock) -> None:
    status, headers, body = await get(path, VOICE_CONSOLE="true")
    assert (status, headers["Cache-Control"]) == (200, "no-cache")
    assert body
    status, again, body = await get(path, {"If-None-Match": f'"other", {headers["ETag"]}'}, VOICE_CONSOLE="true")
    assert (status, body, again["ETag"]) == (304, b"", headers["ETag"])


@pytest.mark.parametrize("path", ["/client/console.js", "/client/..%2fpages.py", "/client/", "/console/nothing.js"])
async def test_nothing_else_is_served(path: str, autojump_clock: MockClock) -> None:
    assert (await get(path, VOICE_CONSOLE="true"))[0] == 404


async def test_every_file_of_the_page_is_served(autojump_clock: MockClock) -> None:
    for name in CONSOLE_FILES:
        status, headers, _ = await get(f"/console/{name}", VOICE_CONSOLE="true")
        assert status == 200
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_the_schema_is_served(prefix: str, autojump_clock: MockClock) -> None:
    status, headers, body = await get(f"{prefix}/v1/voice/schema.json")
    assert (status, headers["Content-Type"]) == (200, "application/schema+json")
    assert {"ClientMessage", "GatewayMessage"} < json.loads(body)["$defs"].keys()
