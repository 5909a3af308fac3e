"""What the scripted GPT-Live model says, and when: one speech at a time, its words before their sound.

It goes by its own clock: nothing that a client sends, or fails to send, delays it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

WORD_EVERY = 0.2
SOUND_AFTER = 0.2
"""Seconds from a word of the assistant to its sound; 0.18 to 0.37 were recorded."""
GIVES_WAY_AFTER = 0.3
"""Seconds from the user's first sound to the end of the model's, where they overlap: an assumption, not recorded."""


class LiveSpeech:
    """The model's speech: begun, and cut short when the user talks over it."""

    def __init__(self, word: Callable[[str, float, float], None], nursery: trio.Nursery) -> None:
        self._word = word
        self._nursery = nursery
        self._scope = trio.CancelScope()
        self._loud_from = self._loud_until = -math.inf

    @property
    def is_loud(self) -> bool:
        """Whether the model's output is loud now."""
        return self._loud_from <= trio.current_time() < self._loud_until

    @property
    def is_going_on(self) -> bool:
        """Whether it has not said all it has to say."""
        return trio.current_time() < self._loud_until

    def answer_soon(self, text: str, after: float, word_every: float = WORD_EVERY) -> None:
        """Say `text` in `after` seconds, instead of what the model was about to say."""
        self.stop()

        async def answer(scope: trio.CancelScope) -> None:
            with scope:
                await trio.sleep(after)
                await self._say(text, word_every, None)

        self._scope = trio.CancelScope()
        self._nursery.start_soon(answer, self._scope)

    async def say(self, text: str, word_every: float, loud_ms: float | None) -> None:
        """Say `text` from now on; returns after the last word, or when the speech was cut short."""
        self.stop()
        with trio.CancelScope() as self._scope:
            await self._say(text, word_every, loud_ms)

    async def _say(self, text: str, word_every: float, loud_ms: float | None) -> None:
        words = text.split()
        now = trio.current_time()
        self._loud_from = now + SOUND_AFTER
        self._loud_until = self._loud_from + (len(words) * word_every if loud_ms is None else loud_ms / 1000)
        for number, word in enumerate(words):
            at = now + number * word_every
            await trio.sleep_until(at)
            self._word(" " + word, at, at + word_every)

    def stop_soon(self, after: float) -> None:
        """Give way: say nothing more from `after` seconds on."""
        scope = self._scope

        async def give_way() -> None:
            await trio.sleep(after)
            if scope is self._scope:
                self.stop()

        self._nursery.start_soon(give_way)

    def stop(self) -> None:
        """Say nothing more, from now on; what was about to be said is not said either."""
        self._scope.cancel()
        self._loud_until = min(self._loud_until, trio.current_time())
