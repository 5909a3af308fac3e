"""Ears and a voice for one machine, without a network. Needs the `local` extra.

Ears: `prepare_model(documents)` makes what a recogniser needs to understand questions about some documents (some 12 s
the first time, then cached); `open_ears(model)` is a pool of worker processes; `listen()` lends one for one utterance:
`feed` it audio as it comes and get words while the user speaks, `finish` for the whole with its alternatives.
`VoiceActivity` says when to listen. Noise alone decodes to words: feed the ears nothing but speech and its padding.

    model = prepare_model(documents)                                    # preparation.py; blocks: use a thread
    async with open_ears(model, size=2) as ears:                        # ears.py
        async with ears.listen(microphone) as hearing:                  # ModelUnavailable when all are busy
            delta = await hearing.feed(pcm)                             # "", or "how warm", then " should", …
            heard = await hearing.finish()                              # .text, .alternatives, .microphone

Voice: `Voice().speak(text, voice="marin", speed=1.0)` yields chunks of some 60 ms, each with the words that begin in
it (`voice.py`); `question_pcm` and `write_question` make recordings of questions (`samples.py`).

All audio is PCM16 mono 24 kHz little-endian, as on the Realtime wire. The package itself imports none of its modules,
so that it can say what is missing where the extra is not installed.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

_NEEDED: Final = {
    "numpy": "numpy",
    "soxr": "soxr",
    "pocketsphinx": "pocketsphinx",
    "webrtcvad": "webrtcvad-wheels",
}


def missing_packages() -> list[str]:
    """The packages that ears and voice need and this machine lacks, by their names on PyPI; empty when all are there.

    espeakng-loader is not among them: the system's espeak-ng does as well, and `Voice()` says when there is neither.
    """
    return [package for module, package in _NEEDED.items() if find_spec(module) is None]
