"""What a decoder needs to recognise questions about a set of documents: built once, kept on disk."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import platformdirs
from pocketsphinx import get_model_path

from voice_trio.embedded.speech.recognition.ngrams import GeneralEnglish, WittenBell, write_arpa
from voice_trio.embedded.speech.recognition.pronunciation import dictionary_text, inflections_of, pronounce
from voice_trio.embedded.speech.recognition.questions import QUESTION_FRAMES, ask_about, topics_of
from voice_trio.embedded.speech.recognition.wording import STOP_WORDS, spoken_sentences

if TYPE_CHECKING:
    from collections.abc import Mapping

Progress = Callable[[str, float], None]
"""Called with the step that runs and the share of it that is done, 0 to 1."""

_RECIPE: Final = 1
"""Raised whenever the code that builds a model changes what it builds: old caches are then built anew."""
_WEIGHTS: Final = (0.1, 0.7, 0.2)
"""Documents, questions, general English. On 24 questions for tuning, said in five ways, both models made a tenth more
word errors with .15/.35/.5. With even less general English nothing but such questions could be heard.
"""
GENERAL_WORDS: Final = 2000
CEPSTRAL_MEAN: Final = (58.6, -0.1, -1.5, 21.8, -16.7, 1.3, -9.4, -12.1, -2.9, -6.9, 4.5, -3.5, 0.2)
"""The average cepstrum of our own voices over 420 sentences: what a decoder expects of a microphone it has not heard.

pocketsphinx's own default (40, 3, -1) cost the first utterance of every user a fifth of its content words.
"""


class AcousticModel(msgspec.Struct, frozen=True):
    """How phonemes sound: a model's directory, and means to use in place of its own.

    `second_pass`: go through each utterance again at its end, for some 60 ms. The stock model needs it (it finds a
    tenth of all content words more, and takes back a quarter of the words reported before); the adapted one does not.
    """

    directory: str
    means: str | None
    second_pass: bool

    @classmethod
    def stock(cls) -> AcousticModel:
        """As pocketsphinx ships it: trained on many American speakers."""
        return cls(get_model_path("en-us/en-us"), None, second_pass=True)


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
        key = cache_key(_RECIPE, _WEIGHTS, texts, frames, general_words)
        directory = (cache_dir or default_cache_dir()) / f"language-{key}"
        if not directory.is_dir():
            _build_language(texts, frames, general_words, directory, progress)
        progress("ready to listen", 1.0)
        return cls(acoustic or AcousticModel.stock(), str(directory / "words.dict"), str(directory / "bigrams.arpa"))


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
    files = {"bigrams.arpa": arpa.encode(), "words.dict": dictionary_text(pronunciations).encode()}
    keep_directory(directory, files)


# Built models on disk: one directory each, named after all that went into it.


def default_cache_dir() -> Path:
    """Where models are kept between starts, unless another place is configured."""
    return Path(platformdirs.user_cache_dir("voice-trio")) / "speech"


def cache_key(*matters: Any) -> str:
    """A name for what is built from `matters` with the installed pocketsphinx and espeak-ng."""
    encoded = msgspec.json.encode([*(_version(package) for package in ("pocketsphinx", "espeakng-loader")), *matters])
    return hashlib.sha256(encoded).hexdigest()[:20]


def keep_directory(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write a directory at once: another process sees all of it or nothing, and the first of two builders wins."""
    draft = directory.with_name(f"{directory.name}.{os.getpid()}")
    draft.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (draft / name).write_bytes(content)
    try:
        draft.rename(directory)
    except OSError:
        shutil.rmtree(draft)
        if not directory.is_dir():  # no other process was first: the disk is at fault
            raise


def delete_other_models(cache_dir: Path, kept: ListeningModel) -> None:
    """Delete the language models in `cache_dir` except `kept`: they have words of documents that are gone."""
    for directory in cache_dir.glob("language-*"):
        if directory != Path(kept.dictionary).parent:
            shutil.rmtree(directory, ignore_errors=True)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # the system's espeak-ng serves as well
        return ""
