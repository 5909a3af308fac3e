"""Keys: a terminal that hands them over one by one, and what they mean. Ctrl-C is left to the terminal."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from voice_trio.client import Ask, InterruptResponse, Leave

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from voice_trio.client import UserAction

QUESTION_CHARACTERS_MAX = 4000  # the protocol's own limit
ESCAPE, BACKSPACES, CLEAR_LINE, END_OF_INPUT = "\x1b", "\x7f\b", "\x15", "\x04"


class LineEditor:
    """The line being typed. Enter asks it, or interrupts if it is empty; Esc interrupts."""

    def __init__(self) -> None:
        self.text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")

    def feed(self, pressed: bytes) -> list[UserAction]:
        """Take the bytes of one read; returns the user's actions."""
        typed = self._decoder.decode(pressed)
        if typed.startswith(ESCAPE):
            if len(typed) > 1:  # an arrow or function key
                return []
            self.text = ""
            return [InterruptResponse()]
        return [action for key in typed for action in self._press(key)]

    def _press(self, key: str) -> list[UserAction]:
        if key in "\r\n":
            question, self.text = self.text.strip(), ""
            return [Ask(question) if question else InterruptResponse()]
        if key == END_OF_INPUT and not self.text:
            return [Leave()]
        if key in BACKSPACES:
            self.text = self.text[:-1]
        elif key == CLEAR_LINE:
            self.text = ""
        elif key.isprintable() and len(self.text) < QUESTION_CHARACTERS_MAX:
            self.text += key
        return []


@contextmanager
def unbuffered_keys() -> Iterator[int | None]:
    """The terminal hands over each key at once and shows none; the block gets its descriptor.

    It is as it was afterwards, however the block ends. `None` where there is no terminal that could do it.
    """
    try:
        import termios
        import tty
    except ImportError:  # not a Unix
        yield None
        return
    if not sys.stdin.isatty():
        yield None
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield terminal
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


async def pressed_keys(terminal: int) -> AsyncIterator[bytes]:
    """Bytes as keys are pressed; ends when the terminal is closed."""
    while True:
        await trio.lowlevel.wait_readable(terminal)
        pressed = os.read(terminal, 1024)
        if not pressed:
            return
        yield pressed
