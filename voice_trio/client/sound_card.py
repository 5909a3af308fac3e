"""What a conversation needs of a sound card, whatever library has it: ears, a mouth, and word when it is gone.

All sound is 16-bit little-endian mono at 24 kHz. The functions given to `open` are called from whatever thread the card
likes, in the midst of its real-time work: they must neither wait nor raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voice_trio.errors import VoiceTrioError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

BLOCK_MS = 20
"""How much sound is handed over at a time: silence begins at most so long after it was asked for."""


class SoundCardUnavailable(VoiceTrioError):
    """There is no such device, it does not do what we need, or it went away; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device by the number and name under which it can be asked for; channels in either direction."""

    number: int
    name: str
    inputs: int
    outputs: int
    is_default_input: bool = False
    is_default_output: bool = False


class SoundCard(Protocol):
    """One microphone and one loudspeaker."""

    def open(
        self,
        hear: Callable[[bytes], None] | None,
        play: Callable[[int, float], bytes],
        lost: Callable[[str], None],
    ) -> AbstractContextManager[None]:
        """Both run inside the block. Raises `SoundCardUnavailable`.

        `hear(pcm)`: what the microphone caught; `None` leaves it closed. `play(size, delay)` returns exactly `size`
        bytes, the first of which will be heard in `delay` seconds. `lost(why)`: it went away.
        """
        ...
