"""The commands of the documentation, as they stand in its pages."""

from __future__ import annotations

import re
import shlex
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def shell_blocks(text: str) -> list[str]:
    """The blocks of a page that are for a shell, without their indentation."""
    return [dedent(block) for block in re.findall(r"^ *```(?:sh|bash)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]


def shell_lines(page: Path) -> list[str]:
    """The lines of a page's shell blocks; a continued line is one line."""
    blocks = shell_blocks(page.read_text("utf-8"))
    return [line for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]


def invocations(page: Path) -> list[list[str]]:
    """The arguments of every `voice-trio …` in the shell blocks of a page, in order."""
    lines = (line.split(" #")[0] for line in shell_lines(page))
    found = (
        text
        for line in lines
        for text in re.findall(r"(?:^|[\s(/])voice-trio ([a-z][^|&;)>]*)", re.sub(r" \d?>.*", "", line))
    )
    given = (shlex.split(text, comments=True) for text in found)
    return [arguments for arguments in given if arguments[0] != "voice-trio"]  # a user's name, too
