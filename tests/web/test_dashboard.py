"""The dashboard's files are public, have a strict policy, and contain no statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.gateway_fixture import make_gateway, token
from voice_trio.web.files import DASHBOARD_FILES
from voice_trio.web.routes import make_http_app

if TYPE_CHECKING:
    import trio


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_the_shell_is_open_and_fetches_nothing_from_elsewhere(nursery: trio.Nursery, prefix: str) -> None:
    client = make_http_app(make_gateway(nursery)).test_client()
    page = await client.get(f"{prefix}/v1/voice/dashboard")
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in ("dashboard.html", *DASHBOARD_FILES):
        wanted = 404 if name.endswith(".html") else 200
        answer = await client.get(f"{prefix}/v1/voice/dashboard/{name}")
        assert answer.status_code == wanted, name
        body = (await answer.get_data(as_text=True)).replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in body, name
        assert "https://" not in body, name
    assert (await client.get(f"{prefix}/v1/voice/dashboard/index.html")).status_code == 404


async def test_a_browser_that_knows_the_file_gets_nothing_twice(nursery: trio.Nursery) -> None:
    client = make_http_app(make_gateway(nursery)).test_client()
    first = await client.get("/v1/voice/dashboard")
    again = await client.get("/v1/voice/dashboard", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, await again.get_data()) == (304, b"")


async def test_the_statistics_need_an_administrator(nursery: trio.Nursery) -> None:
    client = make_http_app(make_gateway(nursery)).test_client()
    assert (await client.get("/v1/voice/stats")).status_code == 401
    refused = await client.get("/v1/voice/stats", headers={"Authorization": f"Bearer {token()}"})
    assert refused.status_code == 403
