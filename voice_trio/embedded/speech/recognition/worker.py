"""A recognition worker: one decoder in a process of its own, driven through its standard input and output.

It is a process because pocketsphinx keeps the interpreter's lock while it decodes: in the gateway's own process it
would hold up every session. It ends when its input does, so it never outlives its parent.
"""

from __future__ import annotations

import os
import sys
from itertools import islice, takewhile
from typing import TYPE_CHECKING, BinaryIO, Final, assert_never

import msgspec
from pocketsphinx import Config, Decoder

from voice_trio.embedded.speech.recognition.messages import (
    LENGTH_BYTES,
    AudioBlock,
    BeginUtterance,
    DecodedUtterance,
    FinishUtterance,
    StableWords,
    WorkerReady,
    WorkerReply,
    WorkerRequest,
    decode_length,
    decode_request,
    encode,
)
from voice_trio.embedded.speech.recognition.model import CEPSTRAL_MEAN, ListeningModel
from voice_trio.speech.resampling import Resampler

if TYPE_CHECKING:
    from collections.abc import Sequence

_RATE_IN, _RATE_DECODER = 24_000, 16_000
_LOOK_BYTES: Final = 2 * _RATE_DECODER // 10
"""The best hypothesis is looked at every 100 ms of audio."""
STABLE_LOOKS: Final = 5
"""A word is reported once 5 looks in a row agree on it and all before it; adapted, 1 % are wrong in the end."""
ALTERNATIVES_MAX: Final = 10
_ALTERNATIVES_TRIED: Final = 60
"""Many hypotheses differ in silences only; this many are read to find ten that differ in words."""


def main() -> None:
    """Read a `ListeningModel`, then answer requests until the input ends."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a C library prints must not end up among the replies
    first = _receive(requests)
    if first is None:
        return
    decoding = Decoding(msgspec.msgpack.decode(first, type=ListeningModel))
    replies.write(encode(WorkerReady()))
    while (message := _receive(requests)) is not None:
        replies.write(encode(_answer(decoding, decode_request(message))))


def _answer(decoding: Decoding, request: WorkerRequest) -> WorkerReply:
    match request:
        case BeginUtterance(microphone):
            decoding.begin(microphone)
            return WorkerReady()
        case AudioBlock(pcm):
            return StableWords(decoding.feed(pcm))
        case FinishUtterance():
            return decoding.finish()
        case _:
            assert_never(request)


def _receive(stream: BinaryIO) -> bytes | None:
    header = stream.read(LENGTH_BYTES)
    if len(header) < LENGTH_BYTES:
        return None
    length = decode_length(header)
    body = stream.read(length)
    return body if len(body) == length else None


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

    def finish(self) -> DecodedUtterance:
        """The whole utterance, which ends here."""
        self._decode(self._resampler.feed(b"", last=True))
        self._decoder.end_utt()
        self._is_open = False
        best = self._decoder.hyp()
        text = best.hypstr if best else ""
        tried = (entry.hypstr for entry in islice(self._decoder.nbest(), _ALTERNATIVES_TRIED)) if text else ()
        alternatives = dict.fromkeys([text, *(entry for entry in tried if entry)])
        return DecodedUtterance(text, tuple(islice(alternatives, ALTERNATIVES_MAX)), self._decoder.get_cmn())

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


if __name__ == "__main__":
    main()
