"""OpenAI's packages for JavaScript with default settings, in Node, connected to the gateway with our token."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.sdk_expectations import (
    BROODING,
    INTERRUPTED,
    PLAYING,
    had_the_whole_conversation,
    saw_only_what_openai_says,
    was_asked_with_context_first,
    was_truncated_once,
)
from tests.support.sdk_gateway import IS_DIRECT, run_together
from tests.support.sdk_node import node_command

if TYPE_CHECKING:
    from tests.support.sdk_gateway import ClientReport, SdkTarget

ROOT = Path(__file__).parents[2]

wants_tls = pytest.mark.skipif(IS_DIRECT, reason="the scripted model speaks no TLS")


@wants_tls
async def test_openai_and_an_agent_in_node_have_their_conversations_at_the_same_time(
    packages: Path, behind_tls: SdkTarget
) -> None:
    """With a user's token in a header, over TLS, which the first of them insists on."""
    report = await run_together(
        {name: partial(behind_tls.run, node_command(name), cwd=packages) for name in ("openai_ws", "agents_node")}
    )
    a_client_had_its_conversation(report["openai_ws"])
    an_agent_had_its_conversation(report["agents_node"])


@pytest.mark.skipif(IS_DIRECT, reason="the scripted model sells no client secrets")
async def test_an_agent_in_a_page_has_its_conversation(chromium: None, packages: Path, plain: SdkTarget) -> None:
    """With a client secret, fetched across origins, among its subprotocols."""
    command = (sys.executable, "-m", "tests.sdk.clients.agents_page")
    an_agent_had_its_conversation(await plain.run(command, cwd=ROOT, PACKAGES=str(packages)))


@wants_tls
async def test_openai_for_pages_talks_with_a_client_secret_among_its_subprotocols(
    packages: Path, behind_tls: SdkTarget
) -> None:
    report = await behind_tls.run(node_command("openai_native"), cwd=packages)
    saw_only_what_openai_says(report)
    assert report.more["secret"]["value"].startswith("ek_")
    assert report.more["protocol"] == "realtime"
    assert report.texts == [BROODING]
    assert report.of("response.output_text.done")  # as the secret presets


@wants_tls
async def test_openai_for_node_finds_azures_address_and_its_api_key_header(
    packages: Path, behind_tls: SdkTarget
) -> None:
    report = await behind_tls.run(node_command("openai_azure"), cwd=packages)
    saw_only_what_openai_says(report)
    assert report.texts == [BROODING]


def a_client_had_its_conversation(report: ClientReport) -> None:
    saw_only_what_openai_says(report)
    had_the_whole_conversation(report)
    was_truncated_once(report, INTERRUPTED)
    was_asked_with_context_first(report, answers=6, with_context=3)
    assert [event["response"].get("metadata") for event in report.of("response.done")][1] == {"client_event_id": "mine"}


def an_agent_had_its_conversation(report: ClientReport) -> None:
    saw_only_what_openai_says(report)
    had_the_whole_conversation(report, spoken_after=2)
    was_truncated_once(report, INTERRUPTED, PLAYING)
    was_asked_with_context_first(report, answers=7, with_context=4)
    assert {"audio", "audio_interrupted", "agent_tool_start", "agent_tool_end"} <= set(report.more["seen"])
    messages = [item for item in report.more["history"] if item["type"] == "message"]
    assert [item["role"] for item in messages] == ["user", "assistant"] * 6
