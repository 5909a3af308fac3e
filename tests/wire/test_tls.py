"""wss://, ended by the gateway itself."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.certificates import certificate
from tests.support.deployment import gateway, token
from voice_trio.errors import ModelUnavailable
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.testing import FakeClient

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_session_over_tls_speaks_http_1_only(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=tls.certfile)
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    with trio.fail_after(10):
        async with gateway(tmp_path, tls) as deployment, trio.open_nursery() as nursery:
            stream = await trio.open_ssl_over_tcp_stream("localhost", deployment.port, ssl_context=trusting)
            await stream.do_handshake()
            assert stream.selected_alpn_protocol() == "http/1.1"
            await trio.aclose_forcefully(stream)
            url = f"wss://localhost:{deployment.port}/v1/ws/voice"
            link = await open_link(nursery, url, headers={"Authorization": f"Bearer {token()}"}, ssl_context=trusting)
            client = FakeClient(link)
            nursery.start_soon(client.run)
            await client.hears("connection.ready")
            await client.end_session()
            assert (await client.is_closed()).code == 1000
            nursery.cancel_scope.cancel()


async def test_an_untrusted_certificate_is_refused_by_our_side(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path, certificate(tmp_path)) as deployment, trio.open_nursery() as nursery:
            with pytest.raises(ModelUnavailable, match=r"no TLS with localhost: .*certificate verify failed"):
                await open_link(nursery, f"wss://localhost:{deployment.port}/v1/ws/voice")
