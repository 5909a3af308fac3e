"""The commands of the documentation, as they stand in its pages."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def shell_blocks(page: Path) -> list[str]:
    """The blocks of a page that are for a shell; a continued line is one line."""
    text = page.read_text("utf-8")
    found = re.findall(r"^( *)```(?:sh|bash)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"\\\n\s*", "", block) for _, block in found]


def invocations(page: Path) -> list[list[str]]:
    """The arguments of every `voice-trio …` in the shell blocks of a page, in order."""
    lines = (line.split(" #")[0] for block in shell_blocks(page) for line in block.splitlines())
    found = (
        text
        for line in lines
        for text in re.findall(r"(?:^|[\s(/])voice-trio ([a-z][^|&;)>]*)", re.sub(r" \d?>.*", "", line))
    )
    given = (shlex.split(text, comments=True) for text in found)
    return [arguments for arguments in given if arguments[0] != "voice-trio"]  # a user's name, too
