"""What detectors of speech have in common: frames of 20 ms, the clock of the audio, and where speech begins and ends.

A subclass judges frames. Pure; the stream is its only clock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from voice_trio.speech.detector import VoiceActivityStarted, VoiceActivityStopped

FRAME_MS: Final = 20
_ONSET_WINDOW, _ONSET_VOICED = 8, 6
"""Speech begins when 6 of the last 8 frames hold a voice: 120 ms, longer than a click, shorter than a word."""


class FramedActivity(ABC):
    """Detects speech in a stream of so many samples a second, of 16 bits each."""

    def __init__(self, rate: int, *, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        self._frame_bytes = 2 * rate * FRAME_MS // 1000
        self._pending = b""
        self._frames = 0
        self._recent: deque[bool] = deque(maxlen=_ONSET_WINDOW)
        self._stopped_ms = 0
        self._last_voiced_ms = 0
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
        size = self._frame_bytes
        count = len(pcm) // size
        self._pending = pcm[count * size :]
        found = (self._hear(pcm[i * size : (i + 1) * size]) for i in range(count))
        return [event for event in found if event]

    def forget(self) -> None:
        """The audio so far was cleared or committed by hand: no stop will be reported for it. The clock runs on."""
        self.is_speaking = False
        self._recent.clear()
        self._stopped_ms = self._now_ms

    @abstractmethod
    def _is_voiced(self, frame: bytes) -> bool:
        """Whether the next frame holds a voice, as far as one frame can tell."""

    @abstractmethod
    def _goes_on(self) -> bool:
        """Whether speech that has begun goes on with the newest frame."""

    def _is_onset(self) -> bool:
        """Whether enough of the last frames hold a voice for speech to begin."""
        return sum(self._recent) >= _ONSET_VOICED

    @property
    def _now_ms(self) -> int:
        return self._frames * FRAME_MS

    def _hear(self, frame: bytes) -> VoiceActivityStarted | VoiceActivityStopped | None:
        self._frames += 1
        self._recent.append(self._is_voiced(frame))
        return self._wait_for_silence() if self.is_speaking else self._wait_for_speech()

    def _wait_for_speech(self) -> VoiceActivityStarted | None:
        if not self._is_onset():
            return None
        self.is_speaking = True
        self._last_voiced_ms = self._now_ms
        began_ms = self._now_ms - FRAME_MS * (len(self._recent) - self._recent.index(True))
        return VoiceActivityStarted(max(began_ms - self._prefix_padding_ms, self._stopped_ms))

    def _wait_for_silence(self) -> VoiceActivityStopped | None:
        if self._goes_on():
            self._last_voiced_ms = self._now_ms
        if self._now_ms - self._last_voiced_ms < self._silence_duration_ms:
            return None
        self.forget()
        return VoiceActivityStopped(self._now_ms)
