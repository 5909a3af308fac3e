"""The embedded server on TCP, with engines that need no extra."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from structlog.testing import capture_logs
from trio_websocket import connect_websocket_url

from tests.support.embedded_fixture import CONTEXT
from tests.support.fake_caller import LISTENING, FakeCaller
from tests.support.fake_engines import FakeSynthesisStream, FakeSynthesizer, fake_engines, quiet, voice
from voice_trio.embedded import server
from voice_trio.embedded.server import ServerSettings, serve_embedded
from voice_trio.errors import ConfigurationError, ModelRefused, ModelUnavailable
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.protocols.realtime import RealtimeConfig
from voice_trio.session.config import RetryPolicy
from voice_trio.session.upstream.connect import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.embedded.engines import Engines


@asynccontextmanager
async def serving(engines: Engines | None = None, **settings: Any) -> AsyncIterator[tuple[str, trio.Nursery]]:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            url = await nursery.start(
                serve_embedded, "127.0.0.1", 0, engines or fake_engines(), ServerSettings(**settings)
            )
            yield url, nursery
            nursery.cancel_scope.cancel()


async def call(nursery: trio.Nursery, url: str, **headers: str) -> FakeCaller:
    link = await open_link(nursery, url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    caller = FakeCaller(link)
    nursery.start_soon(caller.read)
    return caller


async def test_a_question_is_answered_over_tcp() -> None:
    async with serving() as (url, nursery):
        caller = await call(nursery, f"{url}?model=gpt-realtime-2.1")
        assert (await caller.hears("session.created")).event["session"]["model"] == "gpt-realtime-2.1"
        await caller.send("session.update", session=LISTENING)
        await caller.speak(quiet(400) + voice(2000) + quiet(600), faster=10)
        await caller.hears("conversation.item.input_audio_transcription.completed")
        await caller.type(CONTEXT, "system")
        await caller.send("response.create")
        await caller.hears("response.done")
        assert "32 to 35" in caller.said()


async def test_the_gateways_own_handshake_finds_it_ready() -> None:
    async with serving() as (url, nursery):
        config = RealtimeConfig(model="gpt-realtime-2.1", instructions="Be kind.", language="en")
        model = await connect(lambda inside: open_link(inside, url), nursery, config, RetryPolicy(attempts_max=1))
        assert not model.transcription_fallback
        assert model.updated.create_response is False
        assert model.updated.interrupt_response is True
        assert model.updated.voice == "marin"
        await model.link.aclose()


async def test_intent_transcription_opens_a_session_that_only_transcribes() -> None:
    async with serving() as (url, nursery):
        caller = await call(nursery, f"{url}?intent=transcription")
        assert (await caller.hears("session.created")).event["session"]["type"] == "transcription"


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer s3cret"}, {"authorization": "bearer  s3cret"}, {"api_key": "s3cret"}]
)
async def test_a_client_with_the_token_is_accepted(headers: dict[str, str]) -> None:
    async with serving(token="s3cret") as (url, nursery):
        await (await call(nursery, url, **headers)).hears("session.created")


async def test_a_browser_brings_the_token_as_a_subprotocol() -> None:
    async with serving(token="s3cret") as (url, nursery):
        offered = ["realtime", "openai-insecure-api-key.s3cret", "openai-agents-sdk.0.20"]
        connection = await connect_websocket_url(nursery, url, subprotocols=offered)
        assert connection.subprotocol == "realtime"
        assert "session.created" in await connection.get_message()
        await connection.aclose()


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic s3cret"}])
async def test_a_client_without_it_is_refused_before_the_upgrade(headers: dict[str, str]) -> None:
    async with serving(token="s3cret") as (url, nursery):
        with pytest.raises(ModelRefused, match="HTTP 401 invalid_api_key"):
            await call(nursery, url, **headers)


async def test_other_paths_are_not_found() -> None:
    async with serving() as (url, nursery):
        with pytest.raises(ModelRefused, match="HTTP 404 not_found"):
            await call(nursery, url.replace("/v1/realtime", "/v1/chat"))
        await (await call(nursery, url.replace("/v1/", "/openai/v1/"))).hears("session.created")


async def test_the_beta_interface_is_refused_by_the_apis_code() -> None:
    async with serving() as (url, nursery):
        with pytest.raises(ModelRefused, match="beta_api_shape_disabled"):
            await call(nursery, url, openai_beta="realtime=v1")


async def test_one_session_too_many_is_refused_until_another_ends() -> None:
    async with serving(sessions_max=1) as (url, nursery):
        first = await call(nursery, url)
        await first.hears("session.created")
        with pytest.raises(ModelUnavailable, match="HTTP 429 session_limit_reached"):
            await call(nursery, url)
        await first.link.aclose()
        await trio.sleep(0.1)
        await (await call(nursery, url)).hears("session.created")


class _Broken(FakeSynthesizer):
    def say(self, text: str, *, voice: str, speed: float) -> FakeSynthesisStream:
        raise RuntimeError("a bug")


async def test_a_session_that_crashes_takes_no_other_with_it() -> None:
    with capture_logs() as logs:
        await _crash_one_session()
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["session_crashed"]


async def _crash_one_session() -> None:
    async with serving(fake_engines(synthesizer=_Broken())) as (url, nursery):
        other, victim = await call(nursery, url), await call(nursery, url)
        await other.hears("session.created")
        await victim.hears("session.created")
        await victim.send("response.create")
        await trio.sleep(0.2)
        assert victim.lost is not None
        assert victim.lost.code == 1011
        await other.type("still here")
        await other.hears("conversation.item.done")


async def test_a_server_that_ends_says_that_it_goes_away() -> None:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as inner:
                url = await inner.start(serve_embedded, "127.0.0.1", 0, fake_engines())
                caller = await call(nursery, url)
                await caller.hears("session.created")
                inner.cancel_scope.cancel()
            await caller.link.aclose()
        assert caller.lost is not None
        assert caller.lost.code == 1001


async def test_a_client_that_sends_no_request_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HANDSHAKE_SECONDS_MAX", 0.05)
    async with serving() as (url, _):
        host, port = url.removeprefix("ws://").split("/")[0].split(":")
        stream = await trio.open_tcp_stream(host, int(port))
        assert await stream.receive_some() == b""
        await stream.aclose()


async def test_garbage_instead_of_a_handshake_is_survived() -> None:
    async with serving() as (url, nursery):
        host, port = url.removeprefix("ws://").split("/")[0].split(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no HTTP at all\r\n\r\n")
            await stream.receive_some()
        await (await call(nursery, url)).hears("session.created")


async def test_a_port_that_is_taken_is_a_configuration_error() -> None:
    async with serving() as (url, _):
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(ConfigurationError, match="cannot listen"):
            await serve_embedded("127.0.0.1", port, fake_engines())
