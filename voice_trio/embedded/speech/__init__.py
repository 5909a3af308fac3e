"""Ears and a voice for one machine, without a network. Needs the `local` extra.

Ears: `ListeningModel.build(documents)` makes what a recogniser needs to understand questions about some documents;
`open_ears(model)` is a pool of worker processes; `pool.listen()` lends one for one utterance: `feed` audio as it comes and
get words while the user speaks, `finish` for the whole with its alternatives. `VoiceActivity` says when to listen: noise
alone decodes to words, so nothing should be fed to the ears outside speech.

    async with open_ears(model, size=2) as ears:
        async with ears.listen(microphone) as hearing:      # ModelUnavailable: all busy
            delta = await hearing.feed(pcm)                  # "" or "how warm", then " should", …
            heard = await hearing.finish()                   # heard.text, heard.alternatives, heard.microphone

Voice: `Voice().speak(text, voice="marin", speed=1.0)` yields chunks of some 60 ms, each with the words that begin in it;
`pcm_of(text, manner)` says a text at once, for tests and sample files.

All audio is PCM16 mono 24 kHz little-endian, as on the Realtime wire. Import from the modules: `ears`, `model`, `activity`,
`voice`; the package itself imports nothing, so that it can be asked what is missing where the extra is not installed.
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
