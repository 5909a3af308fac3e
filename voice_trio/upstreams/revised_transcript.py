"""Transcripts that an upstream repeats while they grow, as words that are only ever added. Pure.

A recogniser that reads the same speech again revises its last words: "Hello?" becomes "Hello, my name is". A word
counts once two versions in a row have it at the same place (local agreement, Liu et al. 2020). The final transcript
corrects the rest.
"""

from __future__ import annotations

from itertools import takewhile


class RevisedTranscript:
    """The words of the newest item; an upstream transcribes one at a time."""

    def __init__(self) -> None:
        self._item_id = ""
        self._last: list[str] = []
        self._added = 0

    def revised(self, item_id: str, transcript: str) -> str:
        """The words that a new version makes certain, each with a space before it; "" for none."""
        if item_id != self._item_id:
            self._item_id, self._last, self._added = item_id, [], 0
        words = transcript.split()
        pairs = zip(self._last, words, strict=False)
        agreed = sum(1 for _ in takewhile(lambda pair: _letters(pair[0]) == _letters(pair[1]), pairs))
        self._last = words
        new = words[self._added : agreed]
        self._added = max(self._added, agreed)
        return "".join(f" {word}" for word in new)


def _letters(word: str) -> str:
    """A word as it is compared: its marks change with what follows."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())
