"""Turns of a deployed gateway reach an OpenTelemetry collector; an unavailable collector delays no session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.deployment import gateway_process
from tests.support.otlp_receiver import collector

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.deployment import Deployment

QUESTION = "how warm must the brooder be"
ANSWER = "Thirty-four degrees, mind the chicks."


async def one_turn(deployment: Deployment) -> str:
    """A question and its response; returns the session's id."""
    assert deployment.process is not None
    async with trio.open_nursery() as nursery:
        deployment.model.answers_with(ANSWER, audio_ms=100, first_audio_after=0.1)
        client = await deployment.join(nursery)
        ready = (await client.hears("connection.ready")).event
        await client.type(QUESTION)
        await client.hears("response.done")
        await trio.sleep(0.5)  # until it was played
        await client.end_session()
        await client.is_closed()
        deployment.process.signal(signal.SIGTERM)
        await deployment.process.ended.wait()
        nursery.cancel_scope.cancel()
    return str(ready["session_id"])


async def test_a_turn_is_a_trace_of_its_stages_and_holds_nothing_that_was_said(tmp_path: Path) -> None:
    with collector() as it, trio.fail_after(30):
        began_at = time.time()
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": it.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=voice",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        }
        async with gateway_process(tmp_path, **variables) as deployment:
            session_id = await one_turn(deployment)
        (turn,) = it.turns
        assert turn.name == "turn"
        assert turn.attributes["session.id"] == session_id
        assert turn.attributes["voice.status"] == "completed"
        assert turn.attributes["voice.typed"] is True
        assert turn.attributes["voice.passages"] == 1
        assert turn.attributes["gen_ai.request.model"] == "gpt-realtime-2.1"
        assert len(turn.attributes["user.hash"]) == 32
        parts = {part.name: part for part in it.parts_of(turn)}
        assert set(parts) == {"wait for documents", "model thinks", "to the client", "answer"}
        assert 0.1 <= parts["model thinks"].ends - parts["model thinks"].begins < 2
        assert all(turn.begins <= part.begins <= part.ends <= turn.ends + 1e-6 for part in parts.values())
        assert began_at < turn.begins < turn.ends < time.time()
        assert {"committed", "asked", "first_audio_out"} <= set(turn.events)
        assert it.headers[0]["x-tenant"] == "voice"
        resource = it.resources[0]
        assert (resource["service.name"], resource["deployment.environment"]) == ("voice-trio", "test")
        assert resource["service.instance.id"]
        everything = b"".join(it.raw).lower()
        for secret in ("warm", "brooder", "thirty", "eyj"):
            assert secret.encode() not in everything, secret


@pytest.mark.parametrize(
    ("variables", "count", "name"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_off"}, 0, ""),
        ({"OTEL_SDK_DISABLED": "true"}, 0, ""),
        ({"OTEL_TRACES_EXPORTER": "none"}, 0, ""),
        ({"OTEL_SERVICE_NAME": "our gateway"}, 1, "our gateway"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_the_standard_variables_rule(tmp_path: Path, variables: dict[str, str], count: int, name: str) -> None:
    with collector() as it, trio.fail_after(30):
        async with gateway_process(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=it.url, **variables) as deployment:
            await one_turn(deployment)
        assert len(it.turns) == count
        assert [resource["service.name"] for resource in it.resources] == [name] * count


async def test_a_collector_that_is_away_is_named_once_and_holds_nobody_up(tmp_path: Path) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with trio.fail_after(30):
        async with gateway_process(tmp_path, **variables) as deployment:
            assert deployment.process is not None
            began_at = trio.current_time()
            await one_turn(deployment)
            assert trio.current_time() - began_at < 6
            assert deployment.process.returncode == 0
            assert not [line for line in deployment.process.log if '"level": "error"' in line]
            (trouble,) = deployment.process.events("traces_failed")
            assert trouble["level"] == "warning"


def test_without_the_extra_there_is_one_clear_warning() -> None:
    code = (
        "import sys; sys.modules['opentelemetry.sdk.trace'] = None\n"
        "from voice_trio.observability.tracing import NoTraces, start_traces\n"
        "traces = start_traces(instance='i', version='1', model='m', environ={'OTEL_EXPORTER_OTLP_ENDPOINT': 'x'})\n"
        "assert isinstance(traces, NoTraces)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "pip install 'voice-trio[otel]'" in line


def test_who_wants_no_traces_does_not_pay_for_them() -> None:
    code = (
        "import sys; from voice_trio.observability.tracing import start_traces\n"
        "start_traces(instance='i', version='1', model='m', environ={})\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "[]"


def start_in_a_process(*more: str, **variables: str) -> str:
    """The output of a process that starts traces and then runs `more`."""
    lines = (
        "import logging",
        "from voice_trio.observability.tracing import start_traces",
        "print(type(start_traces(instance='i', version='1', model='m')).__name__)",
        *more,
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | variables
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ("api-key: NRAK-AB12CD34EF56GH78IJ90", "NRAK-AB12"),
        ("x-honeycomb-team hny7AB12CD34", "hny7AB12"),
        ("Authorization=Basic QWxhZGRpbjpzZXNhbWU=;x", "QWxhZGRp"),
    ],
)
@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
def test_headers_that_cannot_be_read_are_complained_of_without_their_values(
    headers: str, secret: str, variable: str
) -> None:
    written = start_in_a_process(**{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", variable: headers})
    assert "OTEL_EXPORTER_OTLP_HEADERS is malformed" in written
    assert secret not in written


@pytest.mark.parametrize("headers", ["api-key=NRAK-AB12CD34", "api-key=NRAK%2DAB12CD34", "a=b,api-key: NRAK-AB12CD34"])
def test_whatever_the_library_complains_of_the_headers_values_are_blacked_out(headers: str) -> None:
    complain = (
        "import voice_trio.observability.tracing as it",
        "it._capture_sdk_warnings(it.os.environ)",  # the minute without a repeated warning starts again
        "logging.getLogger('opentelemetry.x').error('refused: %s', 'NRAK-AB12CD34 at http://me:mypass@host/v1')",
    )
    written = start_in_a_process(
        *complain, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_HEADERS=headers
    )
    assert "refused: *** at http://***@host/v1" in written
    assert "NRAK-AB12" not in written


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_BSP_MAX_QUEUE_SIZE": "10"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "-17"},
        {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "some-17"},
        {"OTEL_BSP_SCHEDULE_DELAY": "-17"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_a_value_that_the_library_does_not_take_is_one_warning_and_no_end(variables: dict[str, str]) -> None:
    written = start_in_a_process(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **variables)
    (warning,) = [line for line in written.splitlines() if "traces_not_sent" in line]
    assert next(iter(variables)) in warning
    assert "NoTraces" in written
    assert "Traceback" not in written
    assert "-17" not in written
