"""Who is there: each process says every 10 s that it is, and what it is doing; who says nothing for 30 s is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

ANNOUNCE_SECONDS = 10.0
PRESENT_SECONDS = 30.0
"""Two announcements may get lost."""


class InstanceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One process as it was `seen_seconds` ago; `started` is Unix seconds."""

    instance: str
    """Its id in the shared state: another one after every start."""
    host: str
    pid: int
    worker: int | None = None
    """Its slot, where several processes serve one socket."""
    version: str
    started: float
    active: int
    """Sessions open."""
    places: int
    """Sessions it may hold."""
    draining: bool = False
    loop_lag_ms: float = 0.0
    seen_seconds: float = 0.0


def decode_instance(data: bytes, seen_seconds: float) -> InstanceInfo | None:
    """The presence, or None for what is not one (a later version's, say)."""
    try:
        presence = msgspec.json.decode(data, type=InstanceInfo)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return msgspec.structs.replace(presence, seen_seconds=seen_seconds)


class OwnInstance:
    """What this process said last: all that is known without a shared store. `clock` never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: tuple[float, InstanceInfo] | None = None

    def say(self, presence: InstanceInfo) -> None:
        """It is there."""
        self._said = (self._clock(), presence)

    def forget(self) -> None:
        """It is gone."""
        self._said = None

    @property
    def present(self) -> tuple[InstanceInfo, ...]:
        """This process, if it said so lately."""
        if self._said is None or (seen := self._clock() - self._said[0]) >= PRESENT_SECONDS:
            return ()
        return (msgspec.structs.replace(self._said[1], seen_seconds=round(seen, 1)),)
