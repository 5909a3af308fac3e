"""OpenAI's packages for Python with default settings, connected to the gateway with our token as their key."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("websockets", reason="SKIPPED LOUDLY: the clients' socket comes with openai[realtime]")
pytest.importorskip("agents", reason="SKIPPED LOUDLY: openai-agents is not installed")

from tests.support.sdk_expectations import (
    BROODING,
    INTERRUPTED,
    PLAYING,
    had_the_whole_conversation,
    saw_only_what_openai_says,
    was_asked_with_context_first,
    was_truncated_once,
)
from tests.support.sdk_gateway import IS_DIRECT, ClientReport, run_together, sdk_target
from tests.support.sdk_likeness import comparable

if TYPE_CHECKING:
    from tests.support.sdk_gateway import SdkTarget

ROOT = Path(__file__).parents[2]


async def run(sdk_target: SdkTarget, client: str) -> ClientReport:
    return await sdk_target.run((sys.executable, "-m", f"tests.sdk.clients.{client}"), cwd=ROOT)


async def test_openai_for_python_and_an_agent_in_python_have_their_conversations_at_the_same_time(
    plain: SdkTarget,
) -> None:
    report = await run_together({name: partial(run, plain, name) for name in ("openai_async", "agents_python")})
    a_client_had_its_conversation(report["openai_async"])
    an_agent_had_its_conversation(report["agents_python"])


def a_client_had_its_conversation(report: ClientReport) -> None:
    saw_only_what_openai_says(report)
    had_the_whole_conversation(report)
    was_truncated_once(report, INTERRUPTED)
    was_asked_with_context_first(report, answers=6, with_context=3)
    assert report.more["wrong"]["error"]["event_id"] == "wrong"
    assert report.more["wrong"]["error"]["code"] == "item_delete_invalid_item_id"
    for kind in ("response.created", "response.done"):
        told = [event["response"].get("metadata") for event in report.of(kind)]
        assert told == [None, {"client_event_id": "mine"}, None, None, None, None]


def an_agent_had_its_conversation(report: ClientReport) -> None:
    """This package validates every event that it gets."""
    saw_only_what_openai_says(report)
    had_the_whole_conversation(report, spoken_after=2)
    was_truncated_once(report, INTERRUPTED, PLAYING)
    was_asked_with_context_first(report, answers=7, with_context=4)
    assert {"agent_start", "audio", "audio_interrupted", "tool_start", "tool_end"} <= set(report.more["seen"])
    assert [item["role"] for item in report.more["history"] if item["type"] == "message"] == ["user", "assistant"] * 6


@pytest.mark.skipif(IS_DIRECT, reason="the scripted model sells no client secrets")
async def test_openai_for_python_buys_a_client_secret_and_talks_with_it(plain: SdkTarget) -> None:
    report = await run(plain, "openai_sync")
    saw_only_what_openai_says(report)
    assert report.more["secret"]["value"].startswith("ek_")
    assert report.texts == [BROODING]
    assert report.of("response.output_text.done")  # as the secret presets


@pytest.mark.skipif(IS_DIRECT, reason="the scripted model speaks no TLS")
async def test_openai_for_python_finds_azures_addresses_and_its_api_key_header(behind_tls: SdkTarget) -> None:
    older = await run(behind_tls, "openai_azure")
    newer = ClientReport(older.more["newer"], older.errors, text=older.text)
    for report in (older, newer):
        saw_only_what_openai_says(report)
        assert report.texts == [BROODING]


async def test_event_by_event_the_gateway_cannot_be_told_from_the_model_behind_it(tmp_path: Path) -> None:
    (tmp_path / "direct").mkdir()
    async with sdk_target(tmp_path) as gateway, sdk_target(tmp_path / "direct", direct=True) as model:
        places = {"gateway": gateway, "model": model}
        report = await run_together({name: partial(run, place, "openai_everything") for name, place in places.items()})
    assert report["gateway"].errors == report["model"].errors == []
    assert comparable(report["gateway"]) == comparable(report["model"])


@pytest.mark.skipif(IS_DIRECT, reason="the scripted model refuses nobody")
async def test_openai_for_python_knows_refusals_and_the_end_of_a_session_by_its_own_names(tmp_path: Path) -> None:
    async with sdk_target(tmp_path, MAX_SESSION_DURATION="2") as place:
        report = await run(place, "openai_troubles")
    told = report.more["told"]
    at_the_door, at_the_shop = told["stranger"]
    assert (at_the_door["status"], code_of(at_the_door)) == (401, "invalid_api_key")
    assert at_the_shop == {"class": "AuthenticationError", "status": 401, "code": "invalid_api_key"}
    at_the_door, at_the_shop = told["customer"]
    assert (at_the_door["status"], code_of(at_the_door)) == (403, "plan_required")
    assert at_the_shop == {"class": "PermissionDeniedError", "status": 403, "code": "plan_required"}
    assert (told["transcriber"]["status"], code_of(told["transcriber"])) == (400, "invalid_value")
    assert report.events[-1]["error"]["code"] == "session_expired"
    assert told["end"]["code"] == 1001


def code_of(answer: dict[str, Any]) -> str:
    return str(json.loads(answer["body"])["error"]["code"])
