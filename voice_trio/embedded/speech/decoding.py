"""Decoding utterances: audio in, stable words out. Synchronous, and it holds the GIL: it runs in a worker."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

from pocketsphinx import Config, Decoder

from voice_trio.embedded.speech.messages import Heard
from voice_trio.embedded.speech.model import CEPSTRAL_MEAN
from voice_trio.embedded.speech.resampling import Resampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.embedded.speech.model import ListeningModel

_RATE_IN, _RATE_DECODER = 24_000, 16_000
_LOOK_BYTES: Final = 2 * _RATE_DECODER // 10
"""The best hypothesis is looked at every 100 ms of audio."""
STABLE_LOOKS: Final = 5
"""A word is told once 5 looks in a row agree on it and all before it: with adapted ears 1 % are wrong in the end."""
ALTERNATIVES_MAX: Final = 10
_ALTERNATIVES_TRIED: Final = 60
"""Many hypotheses differ in silences only; this many are read to find ten that differ in words."""


class Decoding:
    """One decoder; `begin`, then `feed` as audio arrives, then `finish`, and again."""

    def __init__(self, model: ListeningModel) -> None:
        self._resampler = Resampler(_RATE_IN, _RATE_DECODER)
        self._decoder = Decoder(_config_of(model))
        self._first_microphone = self._decoder.get_cmn()
        self._is_open = False

    def begin(self, microphone: str | None = None) -> None:
        """A new utterance; one that was not finished is forgotten."""
        if self._is_open:
            self._decoder.end_utt()
        self._resampler.restart()
        self._decoder.set_cmn(microphone or self._first_microphone)
        self._decoder.start_utt()
        self._is_open = True
        self._looks: list[list[str]] = []
        self._told: list[str] = []
        self._unlooked_bytes = 0

    def feed(self, pcm: bytes) -> list[str]:
        """The words that became stable with this audio (PCM16 mono 24 kHz); 20 to 40 ms at a time."""
        self._unlooked_bytes += self._decode(self._resampler.feed(pcm))
        if self._unlooked_bytes < _LOOK_BYTES:
            return []
        self._unlooked_bytes %= _LOOK_BYTES
        return self._look()

    def finish(self) -> Heard:
        """The whole utterance, which ends here."""
        self._decode(self._resampler.feed(b"", last=True))
        self._decoder.end_utt()
        self._is_open = False
        best = self._decoder.hyp()
        text = best.hypstr if best else ""
        tried = (entry.hypstr for entry in islice(self._decoder.nbest(), _ALTERNATIVES_TRIED)) if text else ()
        alternatives = dict.fromkeys([text, *(entry for entry in tried if entry)])
        return Heard(text, tuple(islice(alternatives, ALTERNATIVES_MAX)), self._decoder.get_cmn())

    def _decode(self, samples: bytes) -> int:
        if samples:  # the decoder raises IndexError for none
            self._decoder.process_raw(samples)
        return len(samples)

    def _look(self) -> list[str]:
        best = self._decoder.hyp()
        self._looks = [*self._looks, best.hypstr.split() if best else []][-STABLE_LOOKS:]
        if len(self._looks) < STABLE_LOOKS:
            return []
        news = _common_start(self._looks)[len(self._told) :]
        self._told += news
        return news


def _common_start(hypotheses: Sequence[Sequence[str]]) -> list[str]:
    columns = zip(*hypotheses, strict=False)
    return [words[0] for words in takewhile(lambda words: len(set(words)) == 1, columns)]


def _config_of(model: ListeningModel) -> Config:
    settings = {
        "hmm": model.acoustic.directory,
        "mean": model.acoustic.means,
        "cmninit": ",".join(map(str, CEPSTRAL_MEAN)),
        "dict": model.dictionary,
        "lm": model.language_model,
        "fwdflat": model.acoustic.second_pass,
        "bestpath": model.acoustic.second_pass,
        "loglevel": "FATAL",
    }
    return Config(**{name: value for name, value in settings.items() if value is not None})
