"""Keeps the WebSockets of a whole process alive from one task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Never, Protocol

import trio

from voice_trio import limits


@dataclass(frozen=True, slots=True)
class Keepalive:
    """A ping every `interval_seconds`; without a pong within `pong_seconds_max` the connection counts as lost.

    So a peer that vanishes is noticed within the sum of both.
    """

    interval_seconds: float = limits.PING_SECONDS
    pong_seconds_max: float = limits.PONG_SECONDS_MAX

    @property
    def pause_seconds(self) -> float:
        """From a pong's deadline to the next ping."""
        return max(0.0, self.interval_seconds - self.pong_seconds_max)


UPSTREAM_KEEPALIVE = Keepalive(limits.UPSTREAM_PING_SECONDS, limits.UPSTREAM_PONG_SECONDS_MAX)
"""For an upstream, whose silence its client hears at once."""


class KeptAlive(Protocol):
    """A link that wants to be kept alive."""

    def ping_or_lose(self, keepalive: Keepalive) -> float | None:
        """Send the next ping, or lose a connection that has not answered one.

        Returns the seconds until the next call; None if the connection is over.
        """
        ...


# A gateway has two links for each session, and a task for each link would take 4 KiB to sleep. The process that has
# `keep_links_alive` running makes do with one. Elsewhere (checks, tests) each link has a task of its own.


async def sleep_for_readers(seconds: float) -> None:
    """Sleep, and let the tasks run first that wait for something that has come.

    After a pause of the whole process the deadline of a pong has passed, and the pong is there too.
    """
    await trio.sleep(seconds)
    await trio.lowlevel.checkpoint()


class LinkKeeper:
    """The links that one task keeps alive, how, and when it looks at each of them next."""

    def __init__(self, keepalive: Keepalive) -> None:
        self._keepalive = keepalive
        self._due: dict[KeptAlive, tuple[float, Keepalive]] = {}

    def add(self, link: KeptAlive, keepalive: Keepalive | None = None) -> None:
        """Look after a link until `discard`, if need be with a `Keepalive` of its own."""
        keepalive = keepalive or self._keepalive
        self._due[link] = (trio.current_time() + keepalive.interval_seconds, keepalive)

    def discard(self, link: KeptAlive) -> None:
        """The link is closed. No effect the second time."""
        self._due.pop(link, None)

    async def run(self) -> Never:
        """Look after the links, until cancelled."""
        while True:
            await sleep_for_readers(min(limits.PING_CHECK_SECONDS, self._keepalive.pong_seconds_max))
            now = trio.current_time()
            for link, keepalive in [(link, keepalive) for link, (at, keepalive) in self._due.items() if at <= now]:
                seconds = link.ping_or_lose(keepalive)
                if seconds is None:
                    self.discard(link)
                else:
                    self._due[link] = (now + seconds, keepalive)


_keeper: trio.lowlevel.RunVar[LinkKeeper | None] = trio.lowlevel.RunVar("link_keeper", default=None)


async def keep_link_alive(link: KeptAlive, keepalive: Keepalive) -> None:
    """Look after one link, until its connection is over."""
    seconds: float | None = keepalive.interval_seconds
    while seconds is not None:
        await sleep_for_readers(seconds)
        seconds = link.ping_or_lose(keepalive)


def running_keeper() -> LinkKeeper | None:
    """The keeper that runs in this event loop, if there is one."""
    return _keeper.get()


async def keep_links_alive(keepalive: Keepalive | None = None) -> Never:
    """Look after every link that is opened meanwhile, until cancelled; by `keepalive` if it has none of its own."""
    keeper = LinkKeeper(keepalive or Keepalive())
    token = _keeper.set(keeper)
    try:
        await keeper.run()
    finally:
        _keeper.reset(token)
