"""A sound card of your own: the microphone is a WAV file, and the loudspeaker writes another one.

Start a gateway in another terminal with `scripts/run`. It prints an address that ends with `#token=…` and the paths of
recorded questions. Then run

    VOICE_TOKEN=… python examples/custom_sound_card.py question.wav answer.wav

Both files are 24 kHz 16-bit mono. The conversation ends one second after the last sound of the answer. Use the same
class shape for any other audio source, such as a telephone line: `open` starts it, `hear` takes recorded sound, and
`play` returns the sound to be heard.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from voice_trio.client import Leave, Report, connect_voice, converse, read_sound, write_wav

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

BLOCK_SECONDS = 0.02
BLOCK_BYTES = 960  # 20 ms of 16-bit mono at 24 kHz
SILENCE = bytes(BLOCK_BYTES)
QUIET_SECONDS = 1.0  # after the answer, before the conversation ends
ANSWER_SECONDS_MAX = 60.0


class WavSoundCard:
    """A `SoundCard` that records `recording` in real time, then silence, and keeps what it has played."""

    def __init__(self, recording: bytes) -> None:
        self.played = bytearray()
        self._recording = recording
        self._last_sound_at = time.monotonic()
        self._closing = threading.Event()

    @property
    def quiet_seconds(self) -> float:
        """Time since the loudspeaker's last block that was not silence."""
        return time.monotonic() - self._last_sound_at

    @contextmanager
    def open(
        self,
        hear: Callable[[bytes], None] | None,
        play: Callable[[int, float], bytes],
        lost: Callable[[str], None],
    ) -> Iterator[None]:
        # A real card calls `hear` and `play` from its driver's thread; this thread does the same.
        # It also has to call `lost(why)` when the device is unplugged, which a file cannot be.
        thread = threading.Thread(target=self._run, args=(hear, play), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._closing.set()
            thread.join()

    def _run(self, hear: Callable[[bytes], None] | None, play: Callable[[int, float], bytes]) -> None:
        began_at = time.monotonic()
        for number in range(sys.maxsize):
            recorded = self._recording[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
            if hear is not None:
                hear(recorded.ljust(BLOCK_BYTES, b"\0"))
            block = play(BLOCK_BYTES, 0.0)  # 0.0: this loudspeaker has no latency
            if block != SILENCE:
                self._last_sound_at = time.monotonic()
                self.played += block
            # Sleeping until the block's own time, not for 20 ms, keeps delays from adding up.
            if self._closing.wait(began_at + (number + 1) * BLOCK_SECONDS - time.monotonic()):
                return


class Printer:
    """A `Screen` that prints each turn when it is over."""

    def __init__(self) -> None:
        self.answered = trio.Event()

    def turn_changed(self, turn: Report) -> None:
        if turn.was_answered:
            self.answered.set()

    def turn_over(self, turn: Report) -> None:
        print("you:", turn.transcript.strip())
        print("assistant:", turn.answer.strip())

    def told(self, event: dict[str, Any]) -> None:
        if event["type"] == "error":
            print("error:", event["error"]["message"], file=sys.stderr)


async def leave_after_the_answer(card: WavSoundCard, screen: Printer) -> AsyncIterator[Leave]:
    """The only action of this user: an answer is complete before all of it has been played, so wait for silence too."""
    await screen.answered.wait()
    while True:
        seconds_left = QUIET_SECONDS - card.quiet_seconds
        if seconds_left <= 0:
            break
        await trio.sleep(seconds_left)
    yield Leave()


async def main(url: str, token: str | None, recording: bytes) -> bytes:
    """Return the sound of the answer."""
    card, screen = WavSoundCard(recording), Printer()
    with trio.fail_after(ANSWER_SECONDS_MAX):
        async with connect_voice(url, token) as voice:
            closed = await converse(voice, card, screen, leave_after_the_answer(card, screen))
    if closed:
        print("the gateway ended the conversation:", closed, file=sys.stderr)
    return bytes(card.played)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Talk to a gateway with WAV files in place of a sound card.")
    parser.add_argument("question", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--url", default=os.environ.get("VOICE_URL", "ws://127.0.0.1:8000/v1/ws/voice"))
    parser.add_argument("--token", default=os.environ.get("VOICE_TOKEN"), help="also read from VOICE_TOKEN")
    given = parser.parse_args()
    write_wav(given.answer, trio.run(main, given.url, given.token, read_sound(given.question)))
