"""A passage: one piece of a document that a search found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """One piece of a document, best first in any sequence of them.

    `score` is comparable within one search only: higher is better, its scale is the store's own.
    """

    id: str
    title: str
    text: str
    source: str
    score: float = 0.0
