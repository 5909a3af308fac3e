"""What works for a turn: its searches and functions, and that they end with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
import trio

from tests.support.session_fixture import SessionFixture
from voice_trio.conversation import commands, events
from voice_trio.session.tasks import UNKNOWN_FUNCTION, call_tool

if TYPE_CHECKING:
    from trio.testing import MockClock


async def weather(arguments: str) -> str:
    await trio.lowlevel.checkpoint()
    return f"sun at {arguments}"


async def test_a_known_function_is_run_and_a_missing_one_is_logged_and_answered_for_F73(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, tools={"weather": weather})
    await session.ready()
    host = session.under_test
    fed: list[object] = []
    host.feed = lambda event, now=None: fed.append(event)  # type: ignore[method-assign]  # what is fed is the result
    with structlog.testing.capture_logs() as lines:
        await call_tool(commands.CallTool(1, "c1", "weather", "noon"), host)
        assert lines == []
        await call_tool(commands.CallTool(1, "c2", "w" * 100, "noon"), host)
    assert [(line["event"], line["log_level"], line["name"]) for line in lines] == [
        ("unknown_function", "warning", "w" * 64)
    ]
    assert fed == [events.ToolFinished("c1", "sun at noon"), events.ToolFinished("c2", UNKNOWN_FUNCTION)]
