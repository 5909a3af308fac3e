"""Items and tools of a client of OpenAI's protocol: only what is named goes upstream, pictures within the message."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from voice_trio import limits
from voice_trio.conversation.passthrough import requests
from voice_trio.errors import EventTooLarge, InvalidEvent
from voice_trio.protocols.openai_client import ClientEventReader, ClientSettings, client_settings
from voice_trio.protocols.realtime import RealtimeConfig

MIB = 1024 * 1024
PNG = "data:image/png;base64,iVBORw0KGgo="
CONFIG = RealtimeConfig(model="m", instructions="Ours.", max_output_tokens=1000)


def settings() -> ClientSettings:
    return ClientSettings(CONFIG, client_settings.SETTING_NAMES)


def read(kind: str, **fields: Any) -> Any:
    return ClientEventReader(settings(), "vt_").read(msgspec.json.encode({"type": kind, **fields}).decode())


def message(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(parts), **fields}


def picture(url: object, **fields: Any) -> dict[str, Any]:
    return message({"type": "input_image", "image_url": url, **fields})


FOREIGN = [
    "http://169.254.169.254/latest/meta-data",
    "https://example.org/a.png",
    "file:///etc/passwd",
    "data:image/svg+xml;base64,AAAA",
    "data:text/html;base64,AAAA",
    "data:image/png,AAAA",
    " data:image/png;base64,AAAA",
    "DATA:image/png;base64,AAAA",
    "data:image/png;base64,",
    "data:image/png;base64,AAAA http://169.254.169.254",
    "data:image/png;base64,AA\nAA",
    "",
    None,
]


@pytest.mark.parametrize("url", FOREIGN)
def test_a_picture_that_is_not_in_the_message_is_refused_wherever_an_item_may_stand_F16(url: str | None) -> None:
    with pytest.raises(InvalidEvent) as refused:
        read("conversation.item.create", item=picture(url))
    assert refused.value.param == "item.content[0].image_url"
    with pytest.raises(InvalidEvent) as refused:
        read("response.create", response={"conversation": "none", "input": [message(), picture(url)]})
    assert refused.value.param == "response.input[1].content[0].image_url"


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_picture_in_the_message_passes(kind: str) -> None:
    url = f"data:image/{kind};base64,iVBORw0KGgo="
    event = read("conversation.item.create", item=picture(url, detail="low"))
    assert event.body["item"]["content"] == [{"type": "input_image", "image_url": url, "detail": "low"}]


def test_a_picture_is_bounded_and_does_not_carry_text_with_it_F16() -> None:
    with pytest.raises(InvalidEvent) as refused:
        read("conversation.item.create", item=picture(PNG + "A" * limits.CLIENT_PICTURE_CHARS_MAX))
    assert refused.value.param == "item.content[0].image_url"
    assert read("conversation.item.create", item=picture(PNG[:-4] + "A" * 2 * MIB)).body
    beside = message({"type": "input_image", "image_url": PNG}, {"type": "input_text", "text": "x" * 2 * MIB})
    with pytest.raises(EventTooLarge):
        read("conversation.item.create", item=beside)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (
            message({"type": "input_text", "text": "hi", "image_url": "http://a"}, id="i1", output="x", name="y"),
            message({"type": "input_text", "text": "hi"}, id="i1"),
        ),
        (
            {"type": "function_call_output", "call_id": "c1", "output": "5", "content": picture("http://a")["content"]},
            {"type": "function_call_output", "call_id": "c1", "output": "5"},
        ),
        (
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "output": "o", "role": "user"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        ),
    ],
)
def test_an_item_keeps_only_the_fields_of_its_type_F16(given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert read("conversation.item.create", item=given).body["item"] == kept
    asked = read("response.create", response={"conversation": "none", "input": [given]})
    assert asked == requests.ResponseRequested({"input": [kept], "conversation": "none"}, out_of_band=True)


FULL = {"type": "function", "name": "weather", "description": "Tells it.", "parameters": {"type": "object"}}


def both(**session: Any) -> list[Any]:
    """What an update and a response send of `session`."""
    return [settings().request_update("u1", {"type": "realtime", **session}), settings().response_body(session)]


def test_a_function_keeps_only_its_four_fields_F16() -> None:
    foreign = {"server_url": "http://169.254.169.254", "server_label": "x", "authorization": "t", "strict": True}
    for sent in both(tools=[FULL | foreign, {"type": "function", "name": "bare"}]):
        assert sent["tools"] == [FULL, {"type": "function", "name": "bare"}]
    shown = settings()
    shown.request_update("u1", {"type": "realtime", "tools": [FULL | foreign]})
    shown.accept_oldest()
    assert shown.visible_session("{}", 0)["tools"] == [FULL]


@pytest.mark.parametrize(
    ("tool", "field"),
    [
        ({"type": "mcp", "server_url": "http://a"}, "type"),
        ({"type": "web_search"}, "type"),
        ({"name": "weather"}, "type"),
        ({"type": "function"}, "name"),
        ({"type": "function", "name": "a b"}, "name"),
        ({"type": "function", "name": "x" * 65}, "name"),
        ({"type": "function", "name": 5}, "name"),
        (FULL | {"description": ["x"]}, "description"),
        (FULL | {"parameters": "{}"}, "parameters"),
    ],
)
def test_a_tool_that_is_no_function_is_refused_by_its_field_F16(tool: dict[str, Any], field: str) -> None:
    for ask, where in ((settings().response_body, "response"), (request, "session")):
        with pytest.raises(InvalidEvent) as refused:
            ask({"tools": [FULL, tool]})
        assert refused.value.param == f"{where}.tools[1].{field}"


def request(session: dict[str, Any]) -> Any:
    return settings().request_update("u1", {"type": "realtime", **session})


def test_functions_are_bounded_in_number_and_in_size() -> None:
    for tools in ([FULL] * 129, [FULL | {"description": "x" * limits.CLIENT_TOOLS_BYTES_MAX}]):
        with pytest.raises(InvalidEvent) as refused:
            request({"tools": tools})
        assert refused.value.param == "session.tools"


def test_the_choice_of_a_tool_and_other_objects_keep_only_what_is_named_F16() -> None:
    audio = {"output": {"voice": {"id": "v1", "url": "http://a"}}}
    for sent in both(
        tool_choice={"type": "function", "name": "weather", "server_label": "x"},
        reasoning={"effort": "low", "url": "http://a"},
        audio=audio,
    ):
        assert sent["tool_choice"] == {"type": "function", "name": "weather"}
        assert sent["reasoning"] == {"effort": "low"}
        assert sent["audio"] == {"output": {"voice": {"id": "v1"}}}
    for choice in ({"type": "mcp", "name": "x"}, {"type": "function"}):
        with pytest.raises(InvalidEvent):
            request({"tool_choice": choice})


@pytest.mark.parametrize(("asked", "sent"), [(5, 5), (1000, 1000), (1001, 1000), (4096, 1000), ("inf", 1000)])
def test_a_client_may_lower_the_bound_of_a_response_and_not_raise_it_F13(asked: object, sent: int) -> None:
    assert [session["max_output_tokens"] for session in both(max_output_tokens=asked)] == [sent, sent]
