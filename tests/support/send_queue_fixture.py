"""A send queue with its writer running: a link that records when each frame left, and a session that records calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import trio

from voice_trio.net.link import Link
from voice_trio.session.client.frame import Frame, Lane
from voice_trio.session.client.send_queue import SendQueue
from voice_trio.session.summary import Summary

if TYPE_CHECKING:
    from voice_trio.session.endings import Ending
    from voice_trio.session.ports import SessionPort


class RecordingLink(Link):
    """Records each frame with the time when it had been sent; `stall` holds sends until `resume`."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, float]] = []
        self._began = trio.current_time()
        self._flows = trio.Event()
        self._flows.set()
        self._held: str | bytes | None = None

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.sent]

    def stall(self) -> None:
        self._flows = trio.Event()

    def resume(self) -> None:
        self._flows.set()

    def send_nowait(self, message: str | bytes) -> bool:
        if self._held is not None:
            return False
        if self._flows.is_set():
            self._record(message)
        else:
            self._held = message
        return True

    @property
    def is_behind(self) -> bool:
        return self._held is not None

    async def drain(self) -> None:
        await self._flows.wait()
        if self._held is not None:
            self._record(self._held)
            self._held = None

    async def send(self, message: str | bytes) -> None:
        while not self.send_nowait(message):
            await self.drain()
        await self.drain()

    def lose_rest(self) -> None:
        """What was not sent in full is lost with the connection."""
        self._held = None

    def _record(self, message: str | bytes) -> None:
        self.sent.append((str(message), trio.current_time() - self._began))

    async def receive(self) -> str | bytes:
        await trio.sleep_forever()
        raise AssertionError

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        await trio.lowlevel.checkpoint()


class RecordingSession:
    """The part of `SessionPort` that a send queue uses."""

    def __init__(self) -> None:
        self.summary = Summary("test")
        self.fed: list[object] = []
        self.endings: list[Ending] = []
        self.executed: list[object] = []

    def audio_sent(self, item_id: str, duration_ms: float, now: float) -> None:
        self.fed.append((item_id, duration_ms))

    def observe(self, event: object) -> None:
        self.fed.append(event)

    def execute(self, command: object, now: float) -> None:
        self.executed.append(command)

    def end(self, ending: Ending) -> None:
        self.endings.append(ending)


class SendQueueFixture:
    """Writes from the first moment on if there is a nursery; otherwise a test takes the frames itself."""

    def __init__(self, nursery: trio.Nursery | None = None, **options: Any) -> None:
        self.link = RecordingLink()
        self.session = RecordingSession()
        self.queue = SendQueue(self.link, cast("SessionPort", self.session), **options)
        if nursery is not None:
            self.queue.start(nursery)

    def put_audio(self, text: str, audio_ms: float, item_id: str = "item") -> None:
        self.queue.put(Frame(text, Lane.RESPONSE, item_id, audio_ms, dies_with_response=True))
