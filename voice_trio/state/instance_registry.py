"""The instances that share one state: a process announces itself every 10 s, and expires after 30 s."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable


class InstanceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One process as it was `seen_seconds` ago; `started` is Unix seconds."""

    instance: str
    """Its id in the shared state; a restart gets another one."""
    host: str
    pid: int
    worker: int | None = None
    """Its slot, where several processes serve one socket."""
    version: str
    started: float
    active: int
    """Open sessions."""
    places: int
    """Sessions that it may hold."""
    draining: bool = False
    loop_lag_ms: float = 0.0
    seen_seconds: float = 0.0


def decode_instance(data: bytes, seen_seconds: float) -> InstanceInfo | None:
    """Decode an announcement; None if `data` is none, for example one of a later version."""
    try:
        info = msgspec.json.decode(data, type=InstanceInfo)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return msgspec.structs.replace(info, seen_seconds=seen_seconds)


class OwnInstance:
    """The last announcement of this process, the only one known without a shared store. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._announced: tuple[float, InstanceInfo] | None = None

    def announce(self, info: InstanceInfo) -> None:
        """Keep `info` for 30 s."""
        self._announced = (self._clock(), info)

    def withdraw(self) -> None:
        """Drop the announcement."""
        self._announced = None

    @property
    def instances(self) -> tuple[InstanceInfo, ...]:
        """This process, if it was announced within the last 30 s."""
        if self._announced is None or (seen := self._clock() - self._announced[0]) >= limits.INSTANCE_EXPIRY_SECONDS:
            return ()
        return (msgspec.structs.replace(self._announced[1], seen_seconds=round(seen, 1)),)
