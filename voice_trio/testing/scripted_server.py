"""What the scripted servers have in common: connections in memory, and logs of what both sides said.

Times are seconds since the server was made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING

import trio

from voice_trio.testing.links import MemoryLink, memory_link_pair
from voice_trio.testing.model_session import Latch
from voice_trio.testing.recorder import ModelHandshake, Received, Recorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_trio.errors import LinkClosed, VoiceTrioError
    from voice_trio.net.link import Link


class ScriptedServer:
    """Serves connections in memory, and keeps what clients sent. `nursery` is needed only to connect."""

    def __init__(self, nursery: trio.Nursery | None, kept: int | None) -> None:
        self.losses: list[LinkClosed] = []
        self._nursery = nursery
        self._heard = Recorder(kept)
        self._refusals: list[VoiceTrioError] = []

    def _connect(self, serve: Callable[[Link], Awaitable[None]]) -> MemoryLink:
        """The client's end of a new connection that `serve` serves; raises the next refusal, if any."""
        if self._refusals:
            raise self._refusals.pop(0)
        if self._nursery is None:
            raise RuntimeError(f"a {type(self).__name__} needs a nursery to serve what connects to it")
        ours, theirs = memory_link_pair()
        self._nursery.start_soon(partial(serve, ours))
        return theirs

    @property
    def received(self) -> list[Received]:
        """Every client event, in order."""
        return self._heard.entries

    @property
    def now(self) -> float:
        return self._heard.now

    async def hears(self, event_type: str) -> Received:
        """The next client event of a type that no earlier call returned; waits for it. Cancelling loses none."""
        return await self._heard.hears(event_type)

    def heard(self, event_type: str) -> list[Received]:
        """Every client event of a type so far."""
        return self._heard.heard(event_type)


class ScriptedSpeaker(ScriptedServer, ABC):
    """A scripted server that speaks. It keeps what it sent, and can stop sending."""

    def __init__(self, nursery: trio.Nursery | None, kept: int | None) -> None:
        super().__init__(nursery, kept)
        self.handshakes: list[ModelHandshake] = []
        self.send_latch = Latch()
        self._said = Recorder(kept)
        self._arrivals = trio.lowlevel.ParkingLot()

    @property
    @abstractmethod
    def _link(self) -> Link:
        """That of the newest connection; raises `RuntimeError` before the first."""

    def refuse_next_connection(self, error: VoiceTrioError) -> None:
        """The next `connect` raises `error`; called several times, the next several do."""
        self._refusals.append(error)

    @property
    def said(self) -> list[Received]:
        """Every server event, in order, with the time at which it was decided."""
        return self._said.entries

    async def says(self, event_type: str) -> Received:
        """The next server event of a type that no earlier call returned; waits for it. Cancelling loses none."""
        return await self._said.hears(event_type)

    def stall(self) -> None:
        """Send nothing and, on a link in memory, read nothing, until `resume`."""
        self.send_latch.close()
        if isinstance(link := self._link, MemoryLink):
            link.stall()

    def resume(self) -> None:
        """Send and read again."""
        self.send_latch.open()
        if isinstance(link := self._link, MemoryLink):
            link.resume()
