"""Voice activity: where speech begins and ends in a stream of PCM16 mono 24 kHz. Pure; the stream is its only clock."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
import webrtcvad

from voice_trio.speech.detector import VoiceActivityStarted, VoiceActivityStopped
from voice_trio.speech.resampling import Resampler

_RATE_IN, _RATE_VAD = 24_000, 16_000
FRAME_MS: Final = 20
_FRAME_BYTES: Final = 2 * _RATE_VAD * FRAME_MS // 1000

_ONSET_WINDOW, _ONSET_VOICED = 8, 6
"""Speech begins when 6 of the last 8 frames hold a voice: 120 ms, longer than a click, shorter than a word."""
_RESUME_VOICED: Final = 2
"""A pause ends with two frames in a row that hold a voice; one may be a bump against the table."""
_LIVELY_WINDOW: Final = 25
_LIVELY_DB: Final = 3.0
"""Speech rises and falls; hiss and hum do not. Levels of noise spread over 1 to 2 dB in half a second, those of
speech over 6 and more. Needed because webrtcvad takes a noise that begins after silence for speech, for seconds.
"""


class VoiceActivity:
    """Detects speech; feed it audio in pieces of any size. About 10 µs a frame of 20 ms.

    `threshold` is OpenAI's, 0 to 1: the higher, the louder and the more voice-like speech must be. It becomes a mode of
    webrtcvad (1 below 0.3, 2 below 0.7, else 3) and a level below which all is silence (-60 dBFS at 0, -45 at 0.5, -30
    at 1). A start is reported some 130 ms after it happened, dated back. The clock counts the audio received, in ms.
    """

    def __init__(self, *, threshold: float = 0.5, prefix_padding_ms: int = 300, silence_duration_ms: int = 500) -> None:
        self._resampler = Resampler(_RATE_IN, _RATE_VAD)
        self._pending_in = b""
        self._pending_vad = b""
        self._frames = 0
        self._recent: deque[bool] = deque(maxlen=_ONSET_WINDOW)
        self._levels: deque[float] = deque(maxlen=_LIVELY_WINDOW)
        self._stopped_ms = 0
        self._last_voiced_ms = 0
        self.is_speaking = False
        self.retune(threshold=threshold, prefix_padding_ms=prefix_padding_ms, silence_duration_ms=silence_duration_ms)

    def retune(self, *, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        """Other settings from here on, in the middle of speech too; the clock runs on."""
        self._prefix_padding_ms = prefix_padding_ms
        self._silence_duration_ms = silence_duration_ms
        self._detector = webrtcvad.Vad(1 if threshold < 0.3 else 2 if threshold < 0.7 else 3)
        self._level_min_dbfs = -60 + 30 * threshold

    def feed(self, pcm: bytes) -> list[VoiceActivityStarted | VoiceActivityStopped]:
        """The starts and stops in the next audio; any number of bytes, even half a sample."""
        pcm = self._pending_in + pcm
        whole = len(pcm) & ~1
        self._pending_in = pcm[whole:]
        frames = self._pending_vad + self._resampler.feed(pcm[:whole])
        count = len(frames) // _FRAME_BYTES
        self._pending_vad = frames[count * _FRAME_BYTES :]
        found = (self._hear(frames[i * _FRAME_BYTES : (i + 1) * _FRAME_BYTES]) for i in range(count))
        return [event for event in found if event]

    def forget(self) -> None:
        """The audio so far was cleared or committed by hand: no stop will be reported for it. The clock runs on."""
        self.is_speaking = False
        self._recent.clear()
        self._levels.clear()
        self._stopped_ms = self._now_ms

    @property
    def _now_ms(self) -> int:
        return self._frames * FRAME_MS

    def _hear(self, frame: bytes) -> VoiceActivityStarted | VoiceActivityStopped | None:
        self._frames += 1
        self._recent.append(self._is_voiced(frame))
        return self._wait_for_silence() if self.is_speaking else self._wait_for_speech()

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

    def _wait_for_speech(self) -> VoiceActivityStarted | None:
        if not any(self._recent):
            self._levels.clear()
        if sum(self._recent) < _ONSET_VOICED or not self._is_lively():
            return None
        self.is_speaking = True
        self._last_voiced_ms = self._now_ms
        began_ms = self._now_ms - FRAME_MS * (len(self._recent) - self._recent.index(True))
        return VoiceActivityStarted(max(began_ms - self._prefix_padding_ms, self._stopped_ms))

    def _wait_for_silence(self) -> VoiceActivityStopped | None:
        if all(list(self._recent)[-_RESUME_VOICED:]) and self._is_lively():
            self._last_voiced_ms = self._now_ms
        if self._now_ms - self._last_voiced_ms < self._silence_duration_ms:
            return None
        self.forget()
        return VoiceActivityStopped(self._now_ms)


def _level_dbfs(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    return float(10 * np.log10(np.dot(samples, samples) / len(samples) / 32768**2 + 1e-10))
