"""The interface of a sound card: record, play, and report that the device was lost.

All audio is 16-bit little-endian mono PCM at 24 kHz. The functions given to `open` may be called from any thread,
also from a real-time audio callback: they neither wait nor raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voice_trio.errors import VoiceTrioError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

BLOCK_MS = 20
"""Milliseconds of audio in one block: after a flush, playback stops at most this much later."""


class SoundCardUnavailable(VoiceTrioError):
    """A device does not exist, does not support 24 kHz mono, or was lost. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device. `PortAudioCard` accepts its number or part of its name."""

    number: int
    name: str
    inputs: int
    """Number of input channels; 0: no microphone."""
    outputs: int
    """Number of output channels; 0: no loudspeaker."""
    is_default_input: bool = False
    is_default_output: bool = False


class SoundCard(Protocol):
    """One microphone and one loudspeaker. Any class with this method will do; see examples/custom_sound_card.py."""

    def open(
        self,
        hear: Callable[[bytes], None] | None,
        play: Callable[[int, float], bytes],
        lost: Callable[[str], None],
    ) -> AbstractContextManager[None]:
        """Record and play until the block ends. Raises `SoundCardUnavailable` if a device cannot be opened.

        `hear(pcm)` takes what the microphone has recorded. If it is `None`, the microphone stays closed.

        `play(size, delay)` returns the next `size` bytes for the loudspeaker, silence if nothing is queued. `delay` is
        the time in seconds until the first of these bytes is heard: the latency of the device.

        `lost(why)` reports that a device was lost; `why` is the message of the error that ends the conversation.

        All three may be called from any thread. They neither wait nor raise, so that they may be called from a
        real-time audio callback. Call `hear` and `play` about every 20 ms: an interruption takes effect at the next
        call of `play`.
        """
        ...
