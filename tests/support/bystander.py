"""A client whose conversation must go on, whatever else happens to its gateway."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.errors import LinkClosed

if TYPE_CHECKING:
    from voice_trio.testing import FakeClient

PING_PAUSE_SECONDS = 0.05
QUESTION_PAUSE_SECONDS = 1.2 / limits.QUESTIONS_PER_SECOND


class Bystander:
    """Pings and asks all the time, and counts what was answered."""

    def __init__(self, client: FakeClient) -> None:
        self.pings = self.pongs = 0
        self.questions = self.answers = 0
        self.slowest_pong_seconds = 0.0
        self._client = client
        self._answered = trio.Event()
        self._stopping = trio.Event()

    @property
    def heard_everything(self) -> bool:
        """Whether every question and every ping was answered; for the time after `talk`."""
        return 0 < self.questions == self.answers and 0 < self.pings == self.pongs

    async def talk(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Talk until `stop`, or until the connection ends; has started once the first question was answered."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wait_for_the_end, nursery.cancel_scope)
            async with trio.open_nursery() as talking:
                talking.start_soon(self._ping)
                talking.start_soon(self._ask)
                await self._answered.wait()
                task_status.started()
            nursery.cancel_scope.cancel()

    def stop(self) -> None:
        """Let `talk` end with what is under way."""
        self._stopping.set()

    async def _wait_for_the_end(self, talking: trio.CancelScope) -> None:
        await self._client.is_closed()
        talking.cancel()

    async def _ping(self) -> None:
        with suppress(LinkClosed):
            while not self._stopping.is_set():
                self.pings += 1
                started_at = trio.current_time()
                await self._client.ping(self.pings)
                while (await self._client.hears("pong")).event["id"] != self.pings:
                    pass
                self.pongs += 1
                self.slowest_pong_seconds = max(self.slowest_pong_seconds, trio.current_time() - started_at)
                await trio.sleep(PING_PAUSE_SECONDS)

    async def _ask(self) -> None:
        with suppress(LinkClosed):
            while not self._stopping.is_set():
                self.questions += 1
                await self._client.type(f"What is number {self.questions}?")
                await self._client.hears("response.done")
                self.answers += 1
                self._answered.set()
                with trio.move_on_after(QUESTION_PAUSE_SECONDS):
                    await self._stopping.wait()
