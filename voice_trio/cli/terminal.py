"""Texts of documents, users, upstreams and file names, made safe for a terminal.

A terminal obeys control characters: ESC and the C1 range move the cursor, change the title or answer to the shell.
Bidirectional overrides show a text in another order than it has. All of them are printed as escapes.
"""

from __future__ import annotations

import json
import re

_COMMANDS = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 and C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional marks, embeddings, overrides and isolates
    "\u2028\u2029\ud800-\udfff"  # line separators; halves of characters and bytes that are not UTF-8
    "\U000e0000-\U000e007f]"  # tags: an invisible copy of ASCII
)


def printable(text: str, *, line_breaks: bool = False) -> str:
    """`text` on one line, with each character that a terminal obeys as an escape; `line_breaks` and tabs stay if asked.

    For `rich` put the result into a `rich.text.Text`, which reads no markup.
    """
    kept = "\n\t" if line_breaks else ""
    if line_breaks:
        text = text.replace("\r\n", "\n")
    return _COMMANDS.sub(lambda found: found[0] if found[0] in kept else ascii(found[0])[1:-1], text)


def printable_json(text: str) -> str:
    """The JSON `text` with what `printable` escapes as JSON's own escapes: it means the same."""
    return _COMMANDS.sub(lambda found: "\n" if found[0] == "\n" else json.dumps(found[0])[1:-1], text)
