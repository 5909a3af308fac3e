"""The only writer to the upstream: writes a frame at once, or queues it; audio is bounded in seconds.

Until the upstream is ready the newest seconds of audio are kept, so that a user who speaks at once is heard. After that
a full queue means that the upstream is stalled, and the connection is given up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.errors import LinkClosed, ModelUnavailable
from voice_trio.net.byte_budget import Place

if TYPE_CHECKING:
    from voice_trio.net.byte_budget import ByteAccount
    from voice_trio.net.link import Link

# Two queues, one order. On the voice protocol commands overtake audio: seconds of sound can wait after a connection
# was slow, and a cancel or a truncation behind them would come too late. Audio never overtakes a command, so the order
# of the commands among themselves is that of the conversation. A client of OpenAI's protocol orders its events itself,
# a commit after its appends. So its commands are put behind its audio (`put_in_order`), except those about a response
# that should be over already.


class UpstreamQueue:
    """Frames for the upstream; putting one never waits. `write` is the task that writes what waits.

    As in the client's send queue a frame is written at once while nothing waits, without waking that task.
    """

    def __init__(self) -> None:
        self.account: ByteAccount | None = None
        """Where the size of what waits is counted, if anywhere."""
        self._commands: list[str] = []  # lists: most are empty, and an empty deque has memory for 64 entries
        self._audio: list[tuple[str, float]] = []
        self._audio_ms = 0.0
        self._bytes = 0
        self._bytes_in_link = 0  # of a frame that the link has taken, and has not written whole
        self.is_open = False
        """Whether an upstream takes what is queued."""
        self._early_seconds_max = limits.UPSTREAM_EARLY_SECONDS_MAX
        self._parked_link: Link | None = None
        """The link, while `write` waits for a frame."""
        self._filled = trio.Event()

    def open(self) -> None:
        """The upstream is ready: from now on nothing is dropped."""
        self.is_open = True
        self._early_seconds_max = limits.UPSTREAM_EARLY_SECONDS_MAX

    def close(self) -> None:
        """The upstream is lost: its commands are dropped, the newest audio is kept for the next one."""
        self.is_open = False
        self._parked_link = None
        self._add_bytes(-sum(map(len, self._commands)))
        self._commands.clear()
        self._count_in_link(0)

    def resend(self, frames: list[tuple[str, float]], *, is_speech: bool) -> None:
        """The next upstream shall hear `frames` (with ms) in place of what waits, unless they are less of the same.

        A sentence may be longer than other early sound.
        """
        if sum(duration_ms for _, duration_ms in frames) < self._audio_ms:
            return
        self._add_bytes(sum(len(text) for text, _ in frames) - sum(len(text) for text, _ in self._audio))
        self._audio = list(frames)
        self._audio_ms = sum(duration_ms for _, duration_ms in frames)
        if is_speech:
            self._early_seconds_max = limits.SPEECH_KEPT_SECONDS_MAX

    @property
    def audio(self) -> list[tuple[str, float]]:
        """Frames of sound that wait, with ms."""
        return list(self._audio)

    async def write(self, link: Link) -> str:
        """Write what waits until `link` is closed or too slow; returns why. A cancellation gives the link up."""
        while True:
            if not (self._commands or self._audio or link.is_behind):
                await self._park(link)
                continue  # the link may have been lost meanwhile, and the rest of a frame with it
            with trio.move_on_after(limits.UPSTREAM_SEND_SECONDS_MAX) as stall:
                try:
                    await self._write_next(link)
                except LinkClosed as closed:
                    return str(closed)
            if stall.cancelled_caught:
                return f"send timed out after {limits.UPSTREAM_SEND_SECONDS_MAX:g} s"

    async def _write_next(self, link: Link) -> None:
        """Write one frame, or the rest of one."""
        if not link.is_behind:
            frame = self._take()
            self._count_in_link(len(frame))
            if not link.send_nowait(frame):
                await link.send(frame)
        if link.is_behind:
            await link.drain()
        self._count_in_link(0)

    async def _park(self, link: Link) -> None:
        """Wait for a frame that must wait itself; meanwhile the put methods write."""
        self._filled = trio.Event()
        self._parked_link = link
        try:
            await self._filled.wait()
        finally:
            self._parked_link = None

    def _write_now(self, text: str) -> bool:
        """Give a frame to the link while nothing waits; raises `ModelUnavailable` if the link is closed."""
        link = self._parked_link
        if link is None or self._commands or self._audio:
            return False
        try:
            is_taken = link.send_nowait(text)
        except LinkClosed as closed:
            raise ModelUnavailable(str(closed)) from closed
        if link.is_behind:
            self._filled.set()
            if is_taken:
                self._count_in_link(len(text))
        return is_taken

    def put_command(self, text: str) -> None:
        """Write, or queue before all audio; raises `ModelUnavailable` if too much waits, or the link is closed."""
        if self._write_now(text):
            return
        if len(self._commands) >= limits.UPSTREAM_COMMANDS_QUEUED_MAX:
            raise ModelUnavailable(f"{limits.UPSTREAM_COMMANDS_QUEUED_MAX} commands wait to be sent")
        if self._bytes + len(text) > limits.UPSTREAM_BYTES_QUEUED_MAX:
            raise ModelUnavailable(f"more than {limits.UPSTREAM_BYTES_QUEUED_MAX} bytes wait to be sent")
        self._add_bytes(len(text))
        self._commands.append(text)
        self._filled.set()

    def put_in_order(self, text: str) -> None:
        """Write or queue a command behind the audio put before it; raises as `put_audio` does."""
        self.put_audio(text, 0.0)

    def put_audio(self, text: str, duration_ms: float) -> None:
        """Write or queue sound; raises `ModelUnavailable` if too much waits, or the link is closed."""
        if self._write_now(text):
            return
        if self.is_open and self.audio_seconds > limits.UPSTREAM_QUEUED_SECONDS_MAX:
            raise ModelUnavailable(f"more than {limits.UPSTREAM_QUEUED_SECONDS_MAX:g} s of audio wait to be sent")
        if self._bytes + len(text) > limits.UPSTREAM_BYTES_QUEUED_MAX:
            raise ModelUnavailable(f"more than {limits.UPSTREAM_BYTES_QUEUED_MAX} bytes wait to be sent")
        self._add_bytes(len(text))
        self._audio.append((text, duration_ms))
        self._audio_ms += duration_ms
        while not self.is_open and self.audio_seconds > self._early_seconds_max and len(self._audio) > 1:
            self._pop_audio()
        self._filled.set()

    @property
    def audio_seconds(self) -> float:
        return self._audio_ms / 1000

    @property
    def bytes(self) -> int:
        """The size of all that is queued, nearly: some frames are not all ASCII."""
        return self._bytes + self._bytes_in_link

    def _add_bytes(self, change: int) -> None:
        self._bytes += change
        self._count()

    def _count_in_link(self, size: int) -> None:
        if size != self._bytes_in_link:
            self._bytes_in_link = size
            self._count()

    def _count(self) -> None:
        if self.account is not None:
            self.account.hold(Place.UPSTREAM, self.bytes)

    def _take(self) -> str:
        if not self._commands:
            return self._pop_audio()
        text = self._commands.pop(0)
        self._add_bytes(-len(text))
        return text

    def _pop_audio(self) -> str:
        text, duration_ms = self._audio.pop(0)
        self._audio_ms -= duration_ms
        self._add_bytes(-len(text))
        return text
