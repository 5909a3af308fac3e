"""The ears' whole preparation in one call, with its two halves side by side."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import msgspec

from voice_trio.embedded.speech.adaptation import SENTENCES, adapting
from voice_trio.embedded.speech.model import GENERAL_WORDS, ListeningModel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from voice_trio.embedded.speech.model import Progress


def prepare_model(
    documents: Iterable[str],
    *,
    adapted: bool = True,
    cache_dir: Path | None = None,
    progress: Progress = lambda step, share: None,
    general_words: int = GENERAL_WORDS,
    sentences: int = SENTENCES,
) -> ListeningModel:
    """What the ears need to understand questions about `documents`.

    `adapted` to synthetic voices, as the demo and the tests need it, or as pocketsphinx ships it for people. The first
    time on a machine it takes some 12 s on two cores, 3 s if not adapted; later 3 s when documents have changed, or a
    few ms. Fewer `general_words` and `sentences` read out make it faster and worse. Blocking: call it in a thread.
    Raises `ConfigurationError`.
    """
    with nullcontext() if not adapted else adapting(cache_dir, sentences=sentences) as adaptation:
        stock = ListeningModel.build(documents, cache_dir=cache_dir, progress=progress, general_words=general_words)
        acoustic = adaptation.result(progress) if adaptation else stock.acoustic
    return msgspec.structs.replace(stock, acoustic=acoustic)
