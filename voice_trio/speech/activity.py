"""Voice activity: where speech begins and ends in a stream of PCM16 mono 24 kHz. Pure; the stream is its only clock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np
import webrtcvad

from voice_trio.speech.framed_activity import FramedActivity
from voice_trio.speech.resampling import Resampler

if TYPE_CHECKING:
    from voice_trio.speech.detector import VoiceActivityStarted, VoiceActivityStopped

_RATE_IN, _RATE_VAD = 24_000, 16_000
_RESUME_VOICED: Final = 2
"""A pause ends with two frames in a row that hold a voice; one may be a bump against the table."""
_LIVELY_WINDOW: Final = 25
_LIVELY_DB: Final = 3.0
"""Speech rises and falls; hiss and hum do not. Levels of noise spread over 1 to 2 dB in half a second, those of
speech over 6 and more. Needed because webrtcvad takes a noise that begins after silence for speech, for seconds.
"""


class VoiceActivity(FramedActivity):
    """Detects speech; feed it audio in pieces of any size. About 10 µs a frame of 20 ms.

    `threshold` is OpenAI's, 0 to 1: the higher, the louder and the more voice-like speech must be. It becomes a mode of
    webrtcvad (1 below 0.3, 2 below 0.7, else 3) and a level below which all is silence (-60 dBFS at 0, -45 at 0.5, -30
    at 1). A start is reported some 130 ms after it happened, dated back. The clock counts the audio received, in ms.
    """

    def __init__(self, *, threshold: float = 0.5, prefix_padding_ms: int = 300, silence_duration_ms: int = 500) -> None:
        self._resampler = Resampler(_RATE_IN, _RATE_VAD)
        self._pending_in = b""
        self._levels: deque[float] = deque(maxlen=_LIVELY_WINDOW)
        super().__init__(
            _RATE_VAD,
            threshold=threshold,
            prefix_padding_ms=prefix_padding_ms,
            silence_duration_ms=silence_duration_ms,
        )

    def retune(self, *, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        """Other settings from here on, in the middle of speech too; the clock runs on."""
        super().retune(
            threshold=threshold, prefix_padding_ms=prefix_padding_ms, silence_duration_ms=silence_duration_ms
        )
        self._detector = webrtcvad.Vad(1 if threshold < 0.3 else 2 if threshold < 0.7 else 3)

    def feed(self, pcm: bytes) -> list[VoiceActivityStarted | VoiceActivityStopped]:
        """The starts and stops in the next audio; any number of bytes, even half a sample."""
        pcm = self._pending_in + pcm
        whole = len(pcm) & ~1
        self._pending_in = pcm[whole:]
        return super().feed(self._resampler.feed(pcm[:whole]))

    def forget(self) -> None:
        """The audio so far was cleared or committed by hand: no stop will be reported for it. The clock runs on."""
        super().forget()
        self._levels.clear()

    def _is_voiced(self, frame: bytes) -> bool:
        samples = np.frombuffer(frame, np.int16).astype(np.float32)
        # Asked for every frame, loud or not: it learns what the background is.
        if not self._detector.is_speech(frame, _RATE_VAD) or _level_dbfs(samples) < self._level_min_dbfs:
            return False
        # Differences raise the high tones: the few low ones of a rumble make its level waver nearly as speech does.
        self._levels.append(_level_dbfs(np.diff(samples)))
        return True

    def _is_lively(self) -> bool:
        # Without the quietest: a noise that sets in within a frame fills a part of it only.
        levels = sorted(self._levels)[1:]
        return len(levels) > 1 and levels[-1] - levels[len(levels) // 10] >= _LIVELY_DB

    def _is_onset(self) -> bool:
        if not any(self._recent):
            self._levels.clear()
        return super()._is_onset() and self._is_lively()

    def _goes_on(self) -> bool:
        return all(list(self._recent)[-_RESUME_VOICED:]) and self._is_lively()


def _level_dbfs(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    return float(10 * np.log10(np.dot(samples, samples) / len(samples) / 32768**2 + 1e-10))
