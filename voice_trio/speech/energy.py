"""Voice activity by energy alone, where webrtcvad is not installed: louder than the background for long enough.

It takes a door for a word and music for speech. Pure; the stream is its only clock. About 30 µs a frame of 20 ms.
"""

from __future__ import annotations

import math
import operator
from collections import deque
from typing import Final

from voice_trio.speech.detector import VoiceActivityStarted, VoiceActivityStopped

FRAME_MS: Final = 20
_FRAME_BYTES: Final = 2 * 24 * FRAME_MS
_ONSET_WINDOW, _ONSET_LOUD = 8, 6
"""As for the other detector: 120 ms, longer than a click, shorter than a word."""
_ABOVE_BACKGROUND_DB: Final = 9.0
_BACKGROUND_FALL: Final = 0.2
_BACKGROUND_RISE_DB: Final = 0.06
"""The background follows a quieter frame at once, and a louder one by 3 dB a second: a hum is background soon."""
_SILENCE_DBFS: Final = -90.0


class EnergyActivity:
    """Detects speech; feed it audio in pieces of any size.

    `threshold` is OpenAI's, 0 to 1: the level below which all is silence is -60 dBFS at 0, -45 at 0.5, -30 at 1.
    """

    def __init__(self, *, threshold: float = 0.5, prefix_padding_ms: int = 300, silence_duration_ms: int = 500) -> None:
        self._pending = b""
        self._frames = 0
        self._recent: deque[bool] = deque(maxlen=_ONSET_WINDOW)
        self._background_dbfs = -60.0
        self._stopped_ms = 0
        self._loud_ms = 0
        self.is_speaking = False
        self.retune(threshold=threshold, prefix_padding_ms=prefix_padding_ms, silence_duration_ms=silence_duration_ms)

    def retune(self, *, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        """Other settings from here on, in the middle of speech too; the clock runs on."""
        self._prefix_padding_ms = prefix_padding_ms
        self._silence_duration_ms = silence_duration_ms
        self._level_min_dbfs = -60 + 30 * threshold

    def feed(self, pcm: bytes) -> list[VoiceActivityStarted | VoiceActivityStopped]:
        """The starts and stops in the next audio; any number of bytes, even half a sample."""
        pcm = self._pending + pcm
        count = len(pcm) // _FRAME_BYTES
        self._pending = pcm[count * _FRAME_BYTES :]
        found = (self._hear(pcm[i * _FRAME_BYTES : (i + 1) * _FRAME_BYTES]) for i in range(count))
        return [event for event in found if event]

    def forget(self) -> None:
        """The audio so far was cleared or committed by hand: no stop will be reported for it. The clock runs on."""
        self.is_speaking = False
        self._recent.clear()
        self._stopped_ms = self._now_ms

    @property
    def _now_ms(self) -> int:
        return self._frames * FRAME_MS

    def _hear(self, frame: bytes) -> VoiceActivityStarted | VoiceActivityStopped | None:
        self._frames += 1
        level = _level_dbfs(frame)
        is_loud = level > max(self._level_min_dbfs, self._background_dbfs + _ABOVE_BACKGROUND_DB)
        below = self._background_dbfs - level
        self._background_dbfs += -below * _BACKGROUND_FALL if below > 0 else _BACKGROUND_RISE_DB
        self._recent.append(is_loud)
        return self._wait_for_silence(is_loud) if self.is_speaking else self._wait_for_speech()

    def _wait_for_speech(self) -> VoiceActivityStarted | None:
        if sum(self._recent) < _ONSET_LOUD:
            return None
        self.is_speaking = True
        self._loud_ms = self._now_ms
        began_ms = self._now_ms - FRAME_MS * (len(self._recent) - self._recent.index(True))
        return VoiceActivityStarted(max(began_ms - self._prefix_padding_ms, self._stopped_ms))

    def _wait_for_silence(self, is_loud: bool) -> VoiceActivityStopped | None:
        if is_loud:
            self._loud_ms = self._now_ms
        if self._now_ms - self._loud_ms < self._silence_duration_ms:
            return None
        self.forget()
        return VoiceActivityStopped(self._now_ms)


def _level_dbfs(frame: bytes) -> float:
    samples = memoryview(frame).cast("h")
    power = sum(map(operator.mul, samples, samples)) / len(samples)
    return 10 * math.log10(power / 32768**2) if power else _SILENCE_DBFS
