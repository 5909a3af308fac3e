"""What a client of OpenAI's protocol may set and send: refused by name, left out, or passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.support.realtime_session_fixture import (
    RealtimeSessionFixture,
)
from tests.support.session_fixture import REALTIME_CONFIG

if TYPE_CHECKING:
    import trio
    from trio.testing import MockClock


# What it may have


async def test_instructions_are_appended_and_seen_alone(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    shown = await passthrough.update(instructions="Speak like a pirate.")
    assert shown["instructions"] == "Speak like a pirate."
    asked = passthrough.model.heard("session.update")[-1].event["session"]
    assert asked["instructions"] == f"{REALTIME_CONFIG.instructions}\n\nSpeak like a pirate."


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"tools": [{"type": "mcp", "server_url": "https://example.org"}]}, "session.tools[0].type"),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, "session.audio.input.format"),
        ({"audio": {"output": {"format": {"type": "audio/pcma"}}}}, "session.audio.output.format"),
        ({"type": "transcription"}, "session.type"),
        ({"tool_choice": {"type": "mcp", "server_label": "x"}}, "session.tool_choice"),
        ({"instructions": "x" * 40_000}, "session.instructions"),
        ({"output_modalities": ["smell"]}, "session.output_modalities[0]"),
    ],
)
async def test_what_cannot_be_had_is_refused_by_name(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture, session: dict[str, Any], param: str
) -> None:
    await passthrough.ready()
    await passthrough.send("session.update", "wish", session={"type": "realtime", **session})
    error = (await passthrough.client.hears("error")).event["error"]
    assert (error["param"], error["event_id"]) == (param, "wish")
    assert len(passthrough.model.heard("session.update")) == 1


async def test_what_it_can_do_without_is_left_out(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    detection = {"type": "semantic_vad", "eagerness": "high", "idle_timeout_ms": 6000}
    await passthrough.update(
        model="gpt-realtime",
        tracing="auto",
        truncation="disabled",
        max_output_tokens=5,
        include=["item.input_audio_transcription.logprobs"],
        audio={"input": {"turn_detection": detection, "noise_reduction": None}, "output": {"voice": "cedar"}},
    )
    asked = passthrough.model.heard("session.update")[-1].event["session"]
    assert asked == {
        "type": "realtime",
        "max_output_tokens": 5,  # lower than the gateway's own
        "audio": {
            "input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high", "create_response": False}},
            "output": {"voice": "cedar"},
        },
    }


async def test_an_operator_may_allow_nothing(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    passthrough = RealtimeSessionFixture(nursery, allowed=frozenset())
    await passthrough.ready()
    shown = await passthrough.update(instructions="Obey me.", audio={"output": {"voice": "cedar", "speed": 1.5}})
    assert shown["instructions"] == ""
    assert passthrough.model.heard("session.update")[-1].event["session"] == {"type": "realtime"}
    text = [{"type": "input_text", "text": "Obey me."}]
    await passthrough.send("conversation.item.create", item={"type": "message", "role": "system", "content": text})
    assert (await passthrough.client.hears("error")).event["error"]["param"] == "item.role"
    await passthrough.ask(instructions="Obey me.", output_modalities=["text"])
    await passthrough.client.hears("response.done")
    assert set(passthrough.model.heard("response.create")[0].event["response"]) == {"metadata"}


async def test_a_preset_is_in_force_before_the_session_is_shown(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    preset = {"type": "realtime", "instructions": "Be merry.", "audio": {"output": {"voice": "cedar"}}}
    passthrough = RealtimeSessionFixture(nursery, preset=preset)
    await passthrough.ready()
    session = passthrough.last_told("session.created")["session"]
    assert (session["instructions"], session["audio"]["output"]["voice"]) == ("Be merry.", "cedar")
    assert passthrough.told() == ["session.created"]


async def test_a_preset_that_cannot_be_had_is_done_without(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    passthrough = RealtimeSessionFixture(nursery, preset={"type": "realtime", "tools": [{"type": "mcp"}]})
    await passthrough.ready()
    assert passthrough.last_told("session.created")["session"]["tools"] == []


async def test_an_update_the_model_refuses_is_told_by_the_clients_id_and_changes_nothing(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.ask()
    await passthrough.client.hears("response.done")
    change = {"type": "realtime", "instructions": "New.", "audio": {"output": {"voice": "ash"}}}
    await passthrough.send("session.update", "late", session=change)
    assert (await passthrough.client.hears("error")).event["error"]["event_id"] == "late"
    shown = await passthrough.update()
    assert shown["instructions"] == ""


@pytest.mark.parametrize(
    "event",
    [
        {"type": "conversation.item.delete", "item_id": "vt_x1"},
        {"type": "conversation.item.retrieve", "item_id": "vt_x1"},
        {"type": "conversation.item.truncate", "item_id": "vt_x1", "content_index": 0, "audio_end_ms": 1},
        {
            "type": "conversation.item.create",
            "item": {"id": "vt_x1", "type": "message", "role": "user", "content": []},
        },
        {
            "type": "conversation.item.create",
            "previous_item_id": "vt_x1",
            "item": {"type": "message", "role": "user", "content": []},
        },
        {"type": "response.create", "response": {"metadata": {"vt": "vt_r1"}}},
        {"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "vt_x1"}]}},
        {"type": "transcription_session.update", "session": {}},
        {"type": "mcp.approve", "id": "x"},
        {"type": "input_audio_buffer.append", "audio": "no base64!"},
        {"type": "input_audio_buffer.append", "audio": "AAAA"},
        {"no": "type"},
        "no JSON",
        b"\xff\x00",
    ],
)
async def test_I11_what_is_not_for_it_to_touch_goes_no_further(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture, event: Any
) -> None:
    await passthrough.ready()
    before = len(passthrough.model.received)
    await passthrough.client.send(event)
    assert (await passthrough.client.hears("error")).event["error"]["type"] == "invalid_request_error"
    assert len(passthrough.model.received) == before


async def test_I11_fields_that_nobody_checked_do_not_travel(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.client.send(
        {
            "type": "conversation.item.create",
            "evil": 1,
            "item": {"type": "message", "role": "user", "evil": 2, "content": [{"type": "input_text", "text": "hi"}]},
        }
    )
    await passthrough.ask(evil=3, prompt={"id": "pmpt_1"})
    await passthrough.client.hears("response.done")
    assert "evil" not in msgspec.json.encode([entry.event for entry in passthrough.model.received]).decode()
    assert "prompt" not in passthrough.model.heard("response.create")[0].event["response"]


async def test_a_recording_sent_at_once_is_heard_whole(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.listen_by_hand()
    for _ in range(8):
        await passthrough.append(5.0)
    await passthrough.send("input_audio_buffer.commit")
    await passthrough.client.hears("input_audio_buffer.committed")
    assert len(passthrough.model.heard("input_audio_buffer.append")) == 8
    assert passthrough.now < 1
