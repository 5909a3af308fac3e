"""The engines of this machine, or a clear word about what they need. Importing it needs no extra."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from voice_trio.embedded.engines import Engines
from voice_trio.embedded.speech import missing_packages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path


@asynccontextmanager
async def open_local_engines(
    documents: Iterable[str],
    *,
    ears_max: int = 2,
    adapted: bool = True,
    cache_dir: Path | None = None,
    progress: Callable[[str, float], None] = lambda step, share: None,
) -> AsyncIterator[Engines]:
    """What this machine has: ears that know the words of `documents`, for `ears_max` speakers at once, and a voice.

    Without the `local` extra: no engines, and what is missing; such a server serves typed input. `adapted` ears
    understand synthetic voices better. The first start on a machine takes some 12 s of two cores, later ones less than
    one; `progress` is told about it, from a thread. Raises `ModelUnavailable` when a hearing worker cannot start.
    """
    if missing := missing_packages():
        yield Engines(missing=f"Speech needs {', '.join(missing)}: install voice-trio[local].")
        return
    from voice_trio.embedded.local_speech import open_speech  # here: it needs the extra

    async with open_speech(documents, ears_max, adapted, cache_dir, progress) as engines:
        yield engines
