"""Which detector of speech this machine has."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voice_trio.speech.detector import VoiceActivityDetector

_NEEDED = ("numpy", "soxr", "webrtcvad")


def has_webrtcvad() -> bool:
    """Whether the packages of the better detector are installed."""
    return all(find_spec(name) is not None for name in _NEEDED)


def make_detector(*, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> VoiceActivityDetector:
    """The best detector that is installed."""
    settings = {"prefix_padding_ms": prefix_padding_ms, "silence_duration_ms": silence_duration_ms}
    if has_webrtcvad():
        from voice_trio.speech.activity import VoiceActivity  # numpy, soxr, webrtcvad: an extra

        return VoiceActivity(threshold=threshold, **settings)
    from voice_trio.speech.energy import EnergyActivity  # needed only where they are missing

    return EnergyActivity(threshold=threshold, **settings)
