"""Speech recognition and synthesis on one machine, without a network. Needs the `local` extra.

    recognition/    webrtcvad finds speech, pocketsphinx recognises it in worker processes
    synthesis/      espeak-ng speaks
    local_engines   both behind the protocols of `voice_trio.embedded.engines`

The rest of the package enters by `voice_trio.embedded.local` alone, so that these engines can be replaced.

Recognition: `prepare_model(documents)` makes what a recognizer needs to understand questions about some documents: some
12 s the first time, then cached. `open_recognizer(model)` is a pool of worker processes. `listen()` lends one for one
utterance: `feed` it audio as it comes and get words while the user speaks, then `finish` for the whole with its
alternatives. `VoiceActivity` says when to listen. Noise alone decodes to words: feed speech and its padding only.

    model = prepare_model(documents)                                    # adaptation.py; blocks: use a thread
    async with open_recognizer(model, size=2) as recognizer:            # recognizer.py
        async with recognizer.listen(microphone) as recognition:        # ModelUnavailable when all are busy
            delta = await recognition.feed(pcm)                         # "", or "how warm", then " should", …
            result = await recognition.finish()                         # .text, .alternatives, .microphone

Synthesis: `SynthesisVoice().speak(text, voice="marin", speed=1.0)` yields chunks of some 60 ms, each with the words
that begin in it; `question_pcm` and `write_question` make recordings of questions. All in `synthesis/voice.py`.

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
    """The packages that speech needs and this machine lacks, by their names on PyPI; empty when all are there.

    espeakng-loader is not among them: the system's espeak-ng does as well. Without either, `SynthesisVoice()` raises.
    """
    return [package for module, package in _NEEDED.items() if find_spec(module) is None]
