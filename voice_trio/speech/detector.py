"""What a detector of speech says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class VoiceActivityStarted:
    """Speech began; `at_ms` on the clock of the audio received, the prefix padding included."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class VoiceActivityStopped:
    """Speech ended; `at_ms` on the clock of the audio received, after the silence that ended it."""

    at_ms: int


class VoiceActivityDetector(Protocol):
    """Finds speech in one stream of audio. Pure: the audio is its only clock."""

    def feed(self, pcm: bytes) -> Sequence[VoiceActivityStarted | VoiceActivityStopped]:
        """The starts and stops in the next audio."""
        ...

    def forget(self) -> None:
        """The audio so far was cleared or committed: no stop is reported for it. The clock runs on."""
        ...

    def retune(self, *, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        """Use other settings from here on; `threshold` is 0 to 1."""
        ...
