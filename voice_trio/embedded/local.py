"""The only door to `voice_trio.embedded.speech`. Importing this module needs no extra."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from voice_trio.embedded.engines import Engines
from voice_trio.embedded.speech import missing_packages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

__all__ = ["missing_packages", "open_local_engines", "write_question"]


@asynccontextmanager
async def open_local_engines(
    documents: Iterable[str],
    *,
    recognizers_max: int = 2,
    adapted: bool = True,
    cache_dir: Path | None = None,
    language_dir: Path | None = None,
    learned_dir: Path | None = None,
    progress: Callable[[str, float], None] = lambda step, share: None,
) -> AsyncIterator[Engines]:
    """The engines of this machine: a recognizer for the words of `documents`, and a synthesizer.

    `recognizers_max` users may speak at once. An `adapted` recognizer understands synthetic voices better. Without the
    `local` extra there are no engines, only `missing`; such a server answers typed input.

    `language_dir` keeps what is made of the documents; by default that is in `cache_dir` with the rest. `learned_dir`
    keeps what is made of those that the engines `learn` later; without it they do not learn.

    The first start on a machine takes some 12 s of two cores, later ones less than one. A thread calls `progress` with
    the step and the share that is done, 0 to 1. Raises `ModelUnavailable` when a recognition worker cannot start.
    """
    if missing := missing_packages():
        yield Engines(missing=f"Speech needs {', '.join(missing)}: install voice-trio[local].")
        return
    from voice_trio.embedded.speech.local_engines import open_speech  # here: it needs the extra

    async with open_speech(
        documents, recognizers_max, adapted, (cache_dir, language_dir, learned_dir), progress
    ) as engines:
        yield engines


def write_question(path: Path, text: str) -> None:
    """Write `text`, spoken, to a WAV file: 24 kHz mono, 0.3 s of silence before it and 1 s after. Needs the extra."""
    from voice_trio.embedded.speech.synthesis import voice  # here: it needs the extra

    voice.write_question(path, text)
