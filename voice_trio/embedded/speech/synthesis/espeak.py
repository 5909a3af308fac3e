"""The espeak-ng library, through ctypes: text to 22 kHz samples and to phonemes. It knows no voice names of OpenAI.

espeak-ng is one global machine: its voice, its rate and its callback belong to the process, and nothing in it is safe
to use from two threads. So there is one `Espeak` a process (`load_espeak`), and one lock around everything it does.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
from dataclasses import dataclass
from functools import cache

from voice_trio.errors import ConfigurationError

ESPEAK_RATE = 22_050
"""Samples a second; all its voices have it, and `load_espeak` refuses a library with another rate."""

# From speak_lib.h of espeak-ng 1.52.
_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_END_PAUSE = 0x1000
_POSITION_IS_CHARACTER = 1
_PARAMETER_RATE, _PARAMETER_PITCH, _PARAMETER_WORD_GAP = 1, 3, 7
_EVENT_END_OF_LIST, _EVENT_WORD = 0, 1
_PHONEMES_AS_IPA = 0x02
_BUFFER_MS = 60


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class SpeakingStyle:
    """How to say something: an espeak voice (`en-us+f3`), its speed, its pitch (0 to 99), and silence between words."""

    voice: str
    words_per_minute: int = 165
    pitch: int = 50
    word_gap: int = 0


@dataclass(frozen=True, slots=True)
class Synthesised:
    """16-bit samples at `ESPEAK_RATE`, and where each word begins: (character in the text, sample in the audio)."""

    samples: bytes
    words: tuple[tuple[int, int], ...]


class Espeak:
    """The one espeak-ng of this process; every method takes its lock, and holds it for some milliseconds at most."""

    def __init__(self, library: ctypes.CDLL, data_path: str | None) -> None:
        rate = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data_path and data_path.encode(), _DO_NOT_EXIT)
        if rate != ESPEAK_RATE:
            raise ConfigurationError(f"espeak-ng did not start: sample rate {rate} instead of {ESPEAK_RATE}")
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._library = library
        self._lock = threading.Lock()
        self._samples = bytearray()
        self._words: list[tuple[int, int]] = []
        self._voice = ""
        self._callback = _Callback(self._collect)  # espeak keeps the pointer: Python must keep the object
        library.espeak_SetSynthCallback(self._callback)

    def synthesise(self, text: str, style: SpeakingStyle, *, pause_after: bool = False) -> Synthesised:
        """`text` as audio, some 500 times faster than it lasts; `pause_after` adds the silence that ends a sentence."""
        encoded = text.replace("\0", " ").encode()
        flags = _UTF8 | (_END_PAUSE if pause_after else 0)
        with self._lock:
            self._become(style)
            self._samples.clear()
            self._words.clear()
            failed = self._library.espeak_Synth(
                encoded, len(encoded) + 1, 0, _POSITION_IS_CHARACTER, 0, flags, None, None
            )
            if failed:
                raise ConfigurationError(f"espeak-ng could not speak: error {failed}")
            return Synthesised(bytes(self._samples), tuple(self._words))

    def phonemes(self, text: str, voice: str) -> str:
        """`text` in IPA as `voice` says it, phonemes separated by `_`, words by spaces; no audio is made."""
        clauses: list[str] = []
        with self._lock:
            self._become(SpeakingStyle(voice))
            rest = ctypes.c_char_p(text.replace("\0", " ").encode())
            while rest.value is not None:  # one clause a call; the pointer is null after the last
                said = self._library.espeak_TextToPhonemes(
                    ctypes.byref(rest), _UTF8, _PHONEMES_AS_IPA | (ord("_") << 8)
                )
                clauses.append((said or b"").decode())
        return " ".join(clauses).strip()

    def has_voice(self, voice: str) -> bool:
        """Whether `voice` (a name, a language, with or without a variant) can speak."""
        with self._lock:
            return self._take_voice(voice)

    def _become(self, style: SpeakingStyle) -> None:
        if not self._take_voice(style.voice):
            raise ConfigurationError(f"espeak-ng has no voice {style.voice!r}")
        self._library.espeak_SetParameter(_PARAMETER_RATE, style.words_per_minute, 0)
        self._library.espeak_SetParameter(_PARAMETER_PITCH, style.pitch, 0)
        self._library.espeak_SetParameter(_PARAMETER_WORD_GAP, style.word_gap, 0)

    def _take_voice(self, voice: str) -> bool:
        if voice != self._voice:  # setting it reads files: a third of a short synthesis
            self._voice = "" if self._library.espeak_SetVoiceByName(voice.encode()) else voice
        return self._voice == voice

    def _collect(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        index = 0
        while (event := events[index]).type != _EVENT_END_OF_LIST:
            if event.type == _EVENT_WORD:
                self._words.append((event.text_position - 1, event.sample))
            index += 1
        if count:  # the last call has none, and a null pointer
            self._samples += ctypes.string_at(samples, 2 * count)
        return 0


@cache
def load_espeak() -> Espeak:
    """The process's espeak-ng: the espeakng-loader wheel's, else the system's; `ConfigurationError` without either."""
    try:
        import espeakng_loader
    except ImportError:
        return _load_system_library()
    try:
        return Espeak(ctypes.CDLL(espeakng_loader.get_library_path()), espeakng_loader.get_data_path())
    except (OSError, RuntimeError):  # a wheel for another C library or a broken one: the system's may do
        return _load_system_library()


def _load_system_library() -> Espeak:
    name = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
    try:
        return Espeak(ctypes.CDLL(name), None)
    except OSError as error:
        raise ConfigurationError(
            "no espeak-ng: install voice-trio[local], or your system's libespeak-ng1 package"
        ) from error
