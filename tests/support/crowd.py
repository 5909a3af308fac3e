"""A process of its own that tries to begin N sessions of one user at once: `python -m tests.support.crowd URL N`."""

from __future__ import annotations

import sys
from contextlib import suppress

import trio

from tests.support.redis_fixture import instance
from voice_trio.errors import StateUnavailable
from voice_trio.state.state import Granted


async def storm(url: str, attempts: int) -> int:
    """How many of `attempts` simultaneous ones were granted."""
    granted: list[int] = []
    async with instance(url) as state:

        async def attempt(number: int) -> None:
            with suppress(StateUnavailable):  # the machine may be too slow to serve them all in time
                if isinstance(await state.admit("ann", f"{state.instance}-{number}"), Granted):
                    granted.append(number)

        say("ready")
        await trio.to_thread.run_sync(sys.stdin.readline)
        async with trio.open_nursery() as nursery:
            for number in range(attempts):
                nursery.start_soon(attempt, number)
        assert state.health.available, state.health.fault
    return len(granted)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    say(f"granted {trio.run(storm, sys.argv[1], int(sys.argv[2]))}")
