"""JSON whose texts are no Unicode: half an emoji (a lone surrogate) is read and written as U+FFFD, never lost.

A text that is cut after 16-bit units, as JavaScript counts them, ends in half a pair: `"\\ud83d"`. RFC 8259 (8.2)
permits it in JSON and leaves open what a reader makes of it; msgspec refuses the whole frame. Well-formed frames never
come here: only a read or a write that failed is tried again.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

# Escapes from left to right, so that an escaped backslash before "ud83d" is no escape of a surrogate.
_ESCAPE = re.compile(
    r"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\.",
    re.DOTALL,
)
_SURROGATE = re.compile("[\ud800-\udfff]")

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What a decoder of msgspec raises for a frame that it cannot read."""


def well_formed(frame: str | bytes) -> str:
    """The frame with U+FFFD in place of all that is no Unicode: lone surrogates, escaped or not, and wrong bytes."""
    text = frame if isinstance(frame, str) else bytes(frame).decode("utf-8", "replace")
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _ESCAPE.sub(lambda escape: "\\ufffd" if escape["lone"] else escape[0], text) if "\\u" in text else text


def as_text(frame: str | bytes) -> str:
    """The text of a frame: some servers send their JSON in binary frames. What is no UTF-8 becomes U+FFFD."""
    return frame if isinstance(frame, str) else bytes(frame).decode("utf-8", "replace")


def decode(frame: str | bytes) -> Any:
    """The value of a JSON text; raises one of `UNREADABLE` for what is no JSON."""
    try:
        return msgspec.json.decode(frame)
    except UNREADABLE:
        return msgspec.json.decode(well_formed(frame))


def decode_leniently(text: str) -> Any:
    """The value of a text that is almost JSON: with control characters in texts, or with NaN; `None` if it is not."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def encode(value: Any) -> str:
    """The JSON text of a value, of dicts and lists or of structs."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return well_formed(json.dumps(msgspec.to_builtins(value), separators=(",", ":")))
