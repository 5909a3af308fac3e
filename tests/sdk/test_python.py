"""OpenAI's packages for Python at their default settings, pointed at the gateway with a token of ours for a key."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.sdk.expectations import (
    BROODING,
    INTERRUPTED,
    PLAYING,
    had_the_whole_conversation,
    saw_only_what_openai_says,
    was_asked_with_context_first,
    was_cut_once,
)
from tests.sdk.gateway import IS_DIRECT, Seen, desk
from tests.sdk.likeness import comparable

if TYPE_CHECKING:
    from tests.sdk.gateway import Desk

ROOT = Path(__file__).parents[2]


async def run(desk: Desk, client: str) -> Seen:
    return await desk.run((sys.executable, "-m", f"tests.sdk.clients.{client}"), cwd=ROOT)


async def test_openai_for_python_has_its_conversation_and_finds_its_ids_and_metadata_as_sent(plain: Desk) -> None:
    pytest.importorskip("websockets", reason="the client's socket comes with openai[realtime]")
    seen = await run(plain, "openai_async")
    saw_only_what_openai_says(seen)
    had_the_whole_conversation(seen)
    was_cut_once(seen, plain.model, INTERRUPTED)
    was_asked_with_context_first(plain.model, answers=6)
    assert seen.more["wrong"]["error"]["event_id"] == "wrong"
    assert seen.more["wrong"]["error"]["code"] == "item_delete_invalid_item_id"
    for kind in ("response.created", "response.done"):
        told = [event["response"].get("metadata") for event in seen.of(kind)]
        assert told == [None, {"client_event_id": "mine"}, None, None, None, None]


async def test_an_agent_in_python_validates_every_event_and_complains_of_none(plain: Desk) -> None:
    pytest.importorskip("agents", reason="SKIPPED LOUDLY: openai-agents is not installed")
    seen = await run(plain, "agents_python")
    saw_only_what_openai_says(seen)
    had_the_whole_conversation(seen, spoken_after=2)
    was_cut_once(seen, plain.model, INTERRUPTED, PLAYING)
    was_asked_with_context_first(plain.model, answers=7)
    assert {"agent_start", "audio", "audio_interrupted", "tool_start", "tool_end"} <= set(seen.more["seen"])
    assert [item["role"] for item in seen.more["history"] if item["type"] == "message"] == ["user", "assistant"] * 6


@pytest.mark.skipif(IS_DIRECT, reason="the scripted model sells no client secrets")
async def test_openai_for_python_buys_a_client_secret_and_talks_with_it(plain: Desk) -> None:
    seen = await run(plain, "openai_sync")
    saw_only_what_openai_says(seen)
    assert seen.more["secret"]["value"].startswith("ek_")
    assert seen.said == [BROODING]
    assert seen.of("response.output_text.done")  # as the secret presets


@pytest.mark.skipif(IS_DIRECT, reason="the scripted model speaks no TLS")
async def test_openai_for_python_finds_azures_addresses_and_its_api_key_header(behind_tls: Desk) -> None:
    older = await run(behind_tls, "openai_azure")
    newer = Seen(older.more["newer"], older.errors, {}, older.text)
    for seen in (older, newer):
        saw_only_what_openai_says(seen)
        assert seen.said == [BROODING]


async def test_event_by_event_the_gateway_cannot_be_told_from_the_model_behind_it(tmp_path: Path) -> None:
    seen: dict[bool, Seen] = {}

    async def ask_for_everything(*, direct: bool) -> None:
        folder = tmp_path / str(direct)
        folder.mkdir()
        async with desk(folder, direct=direct) as place:
            seen[direct] = await run(place, "openai_everything")

    async with trio.open_nursery() as nursery:
        for direct in (True, False):
            nursery.start_soon(partial(ask_for_everything, direct=direct))
    assert seen[True].errors == seen[False].errors == []
    assert comparable(seen[False]) == comparable(seen[True])


@pytest.mark.skipif(IS_DIRECT, reason="the scripted model refuses nobody")
async def test_openai_for_python_knows_refusals_and_the_end_of_a_session_by_its_own_names(tmp_path: Path) -> None:
    async with desk(tmp_path, MAX_SESSION_DURATION="2") as place:
        seen = await run(place, "openai_troubles")
    told = seen.more["told"]
    at_the_door, at_the_shop = told["stranger"]
    assert (at_the_door["status"], code_of(at_the_door)) == (401, "invalid_api_key")
    assert at_the_shop == {"class": "AuthenticationError", "status": 401, "code": "invalid_api_key"}
    at_the_door, at_the_shop = told["customer"]
    assert (at_the_door["status"], code_of(at_the_door)) == (403, "plan_required")
    assert at_the_shop == {"class": "PermissionDeniedError", "status": 403, "code": "plan_required"}
    assert (told["transcriber"]["status"], code_of(told["transcriber"])) == (400, "invalid_value")
    assert seen.events[-1]["error"]["code"] == "session_expired"
    assert told["end"]["code"] == 1001


def code_of(answer: dict[str, Any]) -> str:
    return str(json.loads(answer["body"])["error"]["code"])
