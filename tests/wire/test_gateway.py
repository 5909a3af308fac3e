"""A whole session as deployed: hypercorn, the scripted model on TCP, a client; and every way of being refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import trio

from tests.support.deployment import UPGRADE, Deployment, gateway, http, reset_on_close, token, wait_until_empty
from voice_trio.client import connect_voice
from voice_trio.errors import ModelUnavailable

if TYPE_CHECKING:
    from pathlib import Path

METRICS_TOKEN = "a bearer of Prometheus"
QUICKLY: dict[str, Any] = {
    "first_word_after": 0.05,
    "word_every": 0.05,
    "lasts": 0.6,
    "silence": 0.1,
    "completed_after": 0.2,
}


async def test_a_spoken_question_is_answered_from_the_documents(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            deployment.model.answers_with("Thirty-four degrees.", audio_ms=400)
            client = await deployment.join(nursery)
            ready = await client.hears("connection.ready")
            assert ready.event["protocol"] == 1
            await client.hears("session.updated")
            nursery.start_soon(client.speak, 0.4)
            nursery.start_soon(hear, deployment, "how warm must the brooder be in the first week")
            context = await client.hears("context.injected")
            (passage,) = context.event["passages"]
            assert (passage["title"], passage["source"]) == ("Brooding", "Brooding.md")
            done = await client.hears("response.done")
            assert done.event["status"] == "completed"
            await client.send(json.dumps({"type": "passage.get", "id": passage["id"]}))
            assert "34 degrees" in (await client.hears("passage")).event["text"]
            assert client.audio_received_ms(client.heard_of("response.audio.delta")[0].event["item_id"]) == 400
            assert await deployment.active_sessions() == 1
            stats = (await deployment.get("/v1/voice/stats", token("root", is_admin=True))).json
            assert stats["latency_ms"]["1h"]["commit_to_first_audio_out"] == {"count": 0}  # sent when the turn is over
            await client.end_session()
            closed = await client.is_closed()
            assert (closed.code, closed.reason) == (1000, "Session ended")
            await wait_until_empty(deployment)
            stats = (await deployment.get("/v1/voice/stats", token("root", is_admin=True))).json
            assert stats["latency_ms"]["1h"]["commit_to_first_audio_out"]["count"] == 1
            assert stats["sessions"]["by_ending"] == {"client_ended": 1}
            nursery.cancel_scope.cancel()


async def hear(deployment: Deployment, words: str) -> None:
    await deployment.model.hear_speech(words, **QUICKLY)


async def test_the_model_is_told_key_model_and_a_hashed_user(tmp_path: Path) -> None:
    with trio.fail_after(10):
        variables = {"OPENAI_API_KEY": "sk-hidden", "OPENAI_REALTIME_MODEL": "m1"}
        async with gateway(tmp_path, **variables) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            shaken = deployment.model.handshakes[0]
            assert shaken.path == "/v1/realtime?model=m1"
            assert shaken.headers["authorization"] == "Bearer sk-hidden"
            assert len(shaken.headers["openai-safety-identifier"]) == 32
            assert "ada" not in shaken.headers["openai-safety-identifier"]
            assert "sk-hidden" not in str(client.heard)
            nursery.cancel_scope.cancel()


REFUSALS: list[tuple[dict[str, str], dict[str, Any], int, str, str]] = [
    ({"ENABLE_VOICE_REALTIME": "false"}, {}, 1008, "Voice realtime feature disabled", "feature_disabled"),
    ({}, {"shown": "nonsense"}, 1008, "Token missing or invalid", "token_invalid"),
    ({}, {"shown": token(plan="free")}, 4003, "Voice is reserved for plans elite, intelia", "plan_required"),
    ({"VOICE_ROLLOUT_PERCENT": "0"}, {}, 1008, "Feature not available for your account", "not_in_rollout"),
    (
        {"OPENAI_REALTIME_URL": "wss://api.openai.com/v1/realtime"},
        {},
        1011,
        "OpenAI connection failed",
        "upstream_unavailable",
    ),
]


@pytest.mark.parametrize(("variables", "how", "code", "reason", "error"), REFUSALS, ids=lambda value: str(value)[:40])
async def test_a_refusal_is_an_error_event_and_a_close_with_a_reason(
    tmp_path: Path, variables: dict[str, str], how: dict[str, Any], code: int, reason: str, error: str
) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path, **variables) as deployment, trio.open_nursery() as nursery:
            await is_refused(deployment, nursery, code, reason, error, **how)
            await wait_until_empty(deployment)
            nursery.cancel_scope.cancel()


async def is_refused(
    deployment: Deployment, nursery: trio.Nursery, code: int, reason: str, error: str, **how: Any
) -> None:
    client = await deployment.join(nursery, **how)
    closed = await client.is_closed()
    assert [entry.event["error"]["code"] for entry in client.heard] == [error]
    assert (closed.code, closed.reason) == (code, reason)


async def test_limits_refuse_the_next_session_and_the_third_refusal_comes_at_the_handshake(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path, MAX_SESSIONS_PER_USER_PER_HOUR="2") as deployment, trio.open_nursery() as nursery:
            for _ in range(2):
                client = await deployment.join(nursery)
                await client.hears("connection.ready")
                await client.end_session()
                await client.is_closed()
            for _ in range(2):
                await is_refused(deployment, nursery, 1008, "Rate limit exceeded (2 sessions/hour max)", "rate_limited")
            with pytest.raises(ModelUnavailable, match="HTTP 429"):
                await deployment.join(nursery)
            answer = await http(deployment.port, f"/api/v1/ws/voice?token={token()}", UPGRADE)
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) > 3500
            assert answer.json["error"]["code"] == "rate_limited"
            nursery.cancel_scope.cancel()


async def test_two_sessions_of_a_user_are_enough(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            for _ in range(2):
                await (await deployment.join(nursery)).hears("connection.ready")
            await is_refused(deployment, nursery, 1008, "Too many concurrent sessions", "too_many_sessions")
            await (await deployment.join(nursery, shown=token("grace"))).hears("connection.ready")
            nursery.cancel_scope.cancel()


async def test_a_session_that_never_became_ready_gives_its_rate_slot_back_I12(tmp_path: Path) -> None:
    limits = {"MAX_SESSIONS_PER_USER_PER_HOUR": "1", "UPSTREAM_MAX_ATTEMPTS": "1"}
    with trio.fail_after(10):
        async with gateway(tmp_path, **limits) as deployment, trio.open_nursery() as nursery:
            deployment.model.refuse_key()
            await is_refused(deployment, nursery, 1011, "OpenAI connection failed", "upstream_unavailable")
            assert (await deployment.get("/v1/voice/health")).json["status"] == "degraded"
            deployment.model.behave()
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            nursery.cancel_scope.cancel()


async def test_a_token_may_come_as_the_first_message_or_in_the_address(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery, shown=None)
            await client.authenticate(token())
            await client.hears("connection.ready")
            other = await deployment.join(nursery, f"{deployment.url}?token={token()}", shown=None)
            await other.hears("connection.ready")
            nursery.cancel_scope.cancel()


async def test_blanks_and_newlines_around_a_token_do_not_matter_wherever_it_is_sent_F19(tmp_path: Path) -> None:
    shown = f" {token()}\n"
    with trio.fail_after(10):
        async with (
            gateway(tmp_path, MAX_CONCURRENT_SESSIONS_PER_USER="9") as deployment,
            trio.open_nursery() as nursery,
        ):
            late = await deployment.join(nursery, shown=None)
            await late.authenticate(shown)
            await late.hears("connection.ready")
            for url, given in ((deployment.url, shown), (f"{deployment.url}?token={quote(shown)}", None)):
                async with connect_voice(url, given) as voice:  # of the client library, which the commands use
                    assert voice.ready.session_id
            answer = await http(deployment.port, f"/v1/ws/voice?token={quote(shown)}", UPGRADE)
            assert answer.status == 101
            for name, value in (("Authorization", f"Bearer\t{token()} "), ("api-key", f"{token()} ")):
                assert (await http(deployment.port, "/v1/realtime", UPGRADE | {name: value})).status == 101
            nursery.cancel_scope.cancel()


async def test_a_first_message_that_is_no_token_is_refused(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery, shown=None)
            await client.ping()
            closed = await client.is_closed()
            assert (closed.code, closed.reason) == (1008, "Token missing or invalid")
            nursery.cancel_scope.cancel()


async def test_a_resume_token_that_is_none_opens_nothing(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            url = f"{deployment.url}?resume=abc"
            await is_refused(deployment, nursery, 1008, "Resume not possible", "resume_invalid", url=url)
            nursery.cancel_scope.cancel()


async def test_a_page_of_a_foreign_origin_gets_no_socket(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path, ALLOWED_ORIGINS="https://app.example.com") as deployment:
            path = f"/v1/ws/voice?token={token()}"
            foreign = await http(deployment.port, path, UPGRADE | {"Origin": "https://evil.example.com"})
            assert (foreign.status, foreign.json["error"]["code"]) == (403, "not_allowed")
            ours = await http(deployment.port, path, UPGRADE | {"Origin": "https://app.example.com"})
            assert ours.status == 101


async def test_compression_is_never_agreed_to(tmp_path: Path) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment:
            answer = await http(deployment.port, f"/v1/ws/voice?token={token()}", UPGRADE | offer)
            assert answer.status == 101
            assert "sec-websocket-extensions" not in answer.headers


async def test_there_is_no_other_websocket(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment:
            assert (await http(deployment.port, "/v1/ws/elsewhere", UPGRADE)).status == 404


@pytest.mark.parametrize("size", [2**20 + 1, 3 * 2**20])
async def test_a_message_over_the_limit_ends_with_1009(tmp_path: Path, size: int) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            await client.send("x" * size)
            assert (await client.is_closed()).code == 1009
            await wait_until_empty(deployment)
            nursery.cancel_scope.cancel()


async def test_a_first_message_over_the_limit_is_told_so(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery, shown=None)
            await client.send("x" * (2**20 + 1))
            closed = await client.is_closed()
            assert (closed.code, closed.reason) == (1009, "Message over the limit")
            assert client.heard_of("error")[0].event["error"]["code"] == "bad_message"
            nursery.cancel_scope.cancel()


async def test_F65_a_model_that_cannot_be_reached_is_not_dialled_for_ever(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            deployment.model.refuse_key()
            told = [await told_unavailable(deployment, nursery, f"user{number}") for number in range(15)]
            assert told[:5] == [{}] * 5
            assert {"retry_after": 1} in told
            assert deployment.model.connections < 15
            assert (await deployment.get("/v1/voice/health")).json["status"] == "degraded"
            assert b"voice_trio_upstream_failing 1.0" in (await deployment.get("/metrics")).body
            deployment.model.behave()
            await trio.sleep(4.0)  # the longest pause
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            nursery.cancel_scope.cancel()


async def told_unavailable(deployment: Deployment, nursery: trio.Nursery, user: str) -> dict[str, Any]:
    """What the error event of the refusal has beside its code and its message."""
    client = await deployment.join(nursery, shown=token(user))
    assert (await client.is_closed()).code == 1011
    error = dict(client.heard_of("error")[0].event["error"])
    assert error.pop("code") == "upstream_unavailable"
    assert error.pop("message")
    return error


async def test_a_message_at_the_limit_is_only_complained_about(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            await client.send("x" * 2**20)
            assert (await client.hears("error")).event["error"]["code"] == "bad_message"
            await client.ping("still here")
            assert (await client.hears("pong")).event["id"] == "still here"
            nursery.cancel_scope.cancel()


async def test_after_a_reset_nothing_is_left_within_a_second_I8(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment:
            stream = await trio.open_tcp_stream("127.0.0.1", deployment.port)
            lines = [f"{name}: {value}" for name, value in UPGRADE.items()]
            request = [f"GET /v1/ws/voice?token={token()} HTTP/1.1", "Host: x", *lines, "", ""]
            await stream.send_all("\r\n".join(request).encode())
            model = await deployment.model.wait_for_session()
            assert await deployment.active_sessions() == 1
            reset_on_close(stream)
            await trio.aclose_forcefully(stream)
            with trio.fail_after(1):
                await model.over.wait()
                await wait_until_empty(deployment)


async def test_health_readiness_liveness_and_metrics(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path, METRICS_TOKEN=METRICS_TOKEN) as deployment, trio.open_nursery() as nursery:
            health = await deployment.get("/api/v1/voice/health")
            assert (health.status, health.json["status"]) == (200, "healthy")
            assert health.json["redis"]["using_fallback"] is False
            assert (await deployment.get("/livez")).status == (await deployment.get("/readyz")).status == 200
            assert (await deployment.get("/metrics")).status == 401
            await (await deployment.join(nursery)).hears("connection.ready")
            metrics = await deployment.get("/metrics", METRICS_TOKEN)
            assert b"voice_trio_active_sessions 1.0" in metrics.body
            assert (await deployment.get("/")).status == 404
            nursery.cancel_scope.cancel()


async def test_stats_are_for_administrators(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment:
            assert (await deployment.get("/v1/voice/stats")).status == 401
            assert (await deployment.get("/v1/voice/stats", token())).status == 403
            stats = await deployment.get("/v1/voice/stats", token("root", is_admin=True))
            assert stats.json["configuration"]["JWT_SECRET"] == ["**********"]


async def test_a_full_process_is_not_ready(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path, MAX_CONCURRENT_SESSIONS="1") as deployment, trio.open_nursery() as nursery:
            await (await deployment.join(nursery)).hears("connection.ready")
            assert (await deployment.get("/readyz")).status == 503
            await is_refused(deployment, nursery, 1013, "At capacity", "at_capacity", shown=token("grace"))
            nursery.cancel_scope.cancel()
