"""Items and function tools of a client of OpenAI's protocol, built anew from the fields that are checked here. Pure.

An upstream fetches an `image_url`, and calls the `server_url` of some tools. So a picture must be in the message
itself, and no field passes that is not named here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from voice_trio import limits
from voice_trio.errors import BadMessage, InvalidEvent
from voice_trio.protocols.audio import decode_audio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voice_trio.protocols.realtime.items import Item, Part

TOOLS_MAX = 128
_Json: TypeAlias = dict[str, Any]

_ITEM_FIELDS = {
    "message": ("role",),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "item_reference": (),
}
_PART_FIELDS = {
    "input_text": ("text",),
    "output_text": ("text",),
    "input_audio": ("audio", "transcript"),
    "output_audio": ("audio", "transcript"),
    "input_image": ("image_url", "detail"),
}
_PICTURE = re.compile(r"data:image/(?:png|jpeg|webp);base64,")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""OpenAI's rule for the names of functions."""


def item_content(item: Item, where: str) -> _Json:
    """The item with the fields that its type has, as JSON values; raises `InvalidEvent` for a picture elsewhere."""
    content = None
    if item.type == "message":
        parts = enumerate(item.content or ())
        content = [_part_content(part, f"{where}.content[{index}]") for index, part in parts]
    written = dict(msgspec.to_builtins(item))
    kept = {name: written[name] for name in ("id", "object", "status", *_ITEM_FIELDS[item.type]) if name in written}
    return {"type": item.type, **kept} | ({} if content is None else {"content": content})


def function_tools(tools: Sequence[Any], param: str) -> list[_Json]:
    """The tools with the fields that a function has; raises `InvalidEvent` for any other tool, and for too much."""
    if len(tools) > TOOLS_MAX:
        raise InvalidEvent(f"More than {TOOLS_MAX} tools.", param=param)
    functions = [_function(tool, f"{param}[{index}]") for index, tool in enumerate(tools)]
    if len(msgspec.json.encode(functions)) > limits.CLIENT_TOOLS_BYTES_MAX:
        raise InvalidEvent(f"Tools of more than {limits.CLIENT_TOOLS_BYTES_MAX} bytes in all.", param=param)
    return functions


def function_choice(choice: str | Mapping[str, Any], param: str) -> str | _Json:
    """A `tool_choice`; raises `InvalidEvent` for the choice of anything but a function."""
    if isinstance(choice, str):
        return choice
    if choice.get("type") != "function" or not isinstance(choice.get("name"), str):
        raise InvalidEvent("Only a function can be chosen.", param=param)
    return {"type": "function", "name": choice["name"]}


def picture_bytes(item: Item) -> int:
    """The size of the item's pictures as they stand in the message."""
    return sum(len(part.image_url or "") for part in item.content or () if part.type == "input_image")


def _part_content(part: Part, where: str) -> _Json:
    if part.type == "input_image":
        _check_picture(part.image_url, f"{where}.image_url")
    written = dict(msgspec.to_builtins(part))
    return {"type": part.type, **{name: written[name] for name in _PART_FIELDS[part.type] if name in written}}


def _check_picture(url: str | None, param: str) -> None:
    head = _PICTURE.match(url or "")
    if url is None or head is None:
        raise InvalidEvent("Expected a data URL of a PNG, JPEG or WebP picture in base64.", param=param)
    if len(url) > limits.CLIENT_PICTURE_CHARS_MAX:
        raise InvalidEvent(f"A picture of more than {limits.CLIENT_PICTURE_CHARS_MAX} characters.", param=param)
    try:
        is_empty = not decode_audio(url[head.end() :])
    except BadMessage as error:
        raise InvalidEvent("The picture is not valid base64.", param=param) from error
    if is_empty:
        raise InvalidEvent("The picture is empty.", param=param)


def _function(tool: Any, where: str) -> _Json:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        raise InvalidEvent("Only tools of type 'function' are supported.", param=f"{where}.type")
    name, description, parameters = tool.get("name"), tool.get("description"), tool.get("parameters")
    if not isinstance(name, str) or _TOOL_NAME.fullmatch(name) is None:
        raise InvalidEvent("A name has 1 to 64 letters, digits, '_' and '-'.", param=f"{where}.name")
    if not isinstance(description, str | None):
        raise InvalidEvent("Expected a text.", code="invalid_type", param=f"{where}.description")
    if not isinstance(parameters, dict | None):
        raise InvalidEvent("Expected an object.", code="invalid_type", param=f"{where}.parameters")
    optional = {"description": description, "parameters": parameters}
    return {"type": "function", "name": name} | {key: value for key, value in optional.items() if value is not None}
