"""What a decoder needs to recognise questions about a set of documents: built once, kept on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
import platformdirs
from pocketsphinx import get_model_path

from voice_trio.embedded.speech.arpa import WittenBell, write_arpa
from voice_trio.embedded.speech.general import GeneralEnglish
from voice_trio.embedded.speech.pronunciation import inflections_of, pronounce
from voice_trio.embedded.speech.questions import QUESTION_FRAMES, ask_about, topics_of
from voice_trio.embedded.speech.wording import STOP_WORDS, spoken_sentences

Progress = Callable[[str, float], None]
"""Told what is being done, and how much of it is (0 to 1)."""

_RECIPE: Final = 1
"""Raised whenever the code that builds a model changes what it builds: old caches are then built anew."""
_WEIGHTS: Final = (0.15, 0.35, 0.5)
"""Documents, questions, general English; flat around these values in a trial with 40 questions."""
GENERAL_WORDS: Final = 3000
_STOCK_CEPSTRAL_MEAN: Final = "40,3,-1"
"""pocketsphinx's own `cmninit`."""


class AcousticModel(msgspec.Struct, frozen=True):
    """How phonemes sound: a model's directory, means to use in place of its own, the cepstrum to begin with."""

    directory: str
    means: str | None
    cepstral_mean: str

    @classmethod
    def stock(cls) -> AcousticModel:
        """As pocketsphinx ships it: trained on many American speakers."""
        return cls(get_model_path("en-us/en-us"), None, _STOCK_CEPSTRAL_MEAN)


class ListeningModel(msgspec.Struct, frozen=True):
    """All that a decoder loads, as paths: small enough to hand to a worker process."""

    acoustic: AcousticModel
    dictionary: str
    language_model: str

    @classmethod
    def build(
        cls,
        documents: Iterable[str],
        *,
        acoustic: AcousticModel | None = None,
        cache_dir: Path | None = None,
        progress: Progress = lambda step, share: None,
        frames: Sequence[str] = QUESTION_FRAMES,
        general_words: int = GENERAL_WORDS,
    ) -> ListeningModel:
        """The model for questions about `documents` (plain text or Markdown): 3 s of CPU, or some ms if it is cached.

        `acoustic` is `AcousticModel.stock()` unless given. `cache_dir` is the user's cache directory unless given; what
        is in it is keyed by all that matters. Blocking: call it in a thread.
        """
        texts = list(documents)
        directory = (cache_dir or default_cache_dir()) / f"language-{_key(texts, frames, general_words)}"
        if not directory.is_dir():
            _build_language(texts, frames, general_words, directory, progress)
        progress("ready to listen", 1.0)
        return cls(acoustic or AcousticModel.stock(), str(directory / "words.dict"), str(directory / "bigrams.arpa"))


def default_cache_dir() -> Path:
    """Where models are kept between starts."""
    return Path(platformdirs.user_cache_dir("voice-trio")) / "speech"


def _build_language(
    texts: Sequence[str], frames: Sequence[str], general_words: int, directory: Path, progress: Progress
) -> None:
    progress("counting words", 0.0)
    stated = [words for text in texts for words in spoken_sentences(text)]
    asked = ask_about(topics_of(texts), frames)
    general = GeneralEnglish(general_words)
    own = {word for words in [*stated, *asked] for word in words}
    inflections = inflections_of(own - STOP_WORDS) - own
    progress("looking up pronunciations", 0.2)
    pronunciations = pronounce(sorted({*own, *inflections, *general.vocabulary}))
    progress("mixing with general English", 0.4)
    parts = (WittenBell(stated, pronunciations, inflections), WittenBell(asked, pronunciations), general)
    arpa = write_arpa(list(zip(_WEIGHTS, parts, strict=True)), pronunciations)
    _keep(directory, {"bigrams.arpa": arpa, "words.dict": _dictionary_text(pronunciations)})


def _dictionary_text(pronunciations: dict[str, tuple[str, ...]]) -> str:
    return "".join(
        f"{word}{f'({index})' if index > 1 else ''} {phones}\n"
        for word, all_phones in sorted(pronunciations.items())
        for index, phones in enumerate(all_phones, 1)
    )


def _keep(directory: Path, files: dict[str, str]) -> None:
    """Write a directory at once: another process sees all of it or nothing, and the first of two builders wins."""
    draft = directory.with_name(f"{directory.name}.{os.getpid()}")
    draft.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (draft / name).write_text(text, encoding="utf-8")
    try:
        draft.rename(directory)
    except OSError:
        for name in files:
            (draft / name).unlink()
        draft.rmdir()


def _key(texts: Sequence[str], frames: Sequence[str], general_words: int) -> str:
    versions = [version("pocketsphinx"), version("espeakng-loader")]
    matters = msgspec.json.encode([_RECIPE, versions, _WEIGHTS, texts, frames, general_words])
    return hashlib.sha256(matters).hexdigest()[:20]
