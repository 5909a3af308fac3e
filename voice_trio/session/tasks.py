"""The tasks of a session beside its connections: what works for a turn, and what ends a session in a drain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, assert_never

import trio

from voice_trio import limits
from voice_trio.conversation import commands, events
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.knowledge import CachesPassages
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.session.clock import SessionClock
    from voice_trio.session.ports import DecisionCore, SessionInput, SessionPort
    from voice_trio.session.spend.cost_meter import CostMeter

UNKNOWN_FUNCTION = '{"error":"there is no function of that name"}'

Task: TypeAlias = Callable[[], Awaitable[None]]
TaskCommand: TypeAlias = (
    commands.BeginTurn | commands.EndTurn | commands.StartSearch | commands.CallTool | commands.ScheduleEvent
)


class TurnTasks:
    """The tasks of turns, and their timers. Each task has a cancel scope; the end of its turn cancels it.

    `execute` is synchronous, so it can run between two commands: a task starts at the next checkpoint.
    """

    def __init__(self, nursery: trio.Nursery, clock: SessionClock, knowledge: Knowledge, host: SessionPort) -> None:
        self._nursery = nursery
        self._clock = clock
        self._knowledge = knowledge
        self._host = host
        self._scopes: dict[int, set[trio.CancelScope]] = {}
        """Those of the tasks of each turn that is not over."""

    def execute(self, command: TaskCommand) -> None:
        """Begin or end a turn, or start a task or timer of it; a turn that is over starts nothing."""
        match command:
            case commands.BeginTurn(turn_id):
                self._scopes[turn_id] = set()
            case commands.EndTurn(turn_id, reason):
                for scope in self._scopes.pop(turn_id, ()):
                    scope.cancel(reason=reason)
            case commands.StartSearch(turn_id):
                self._start(turn_id, partial(search, command, self._knowledge, self._host))
            case commands.CallTool(turn_id):
                self._start(turn_id, partial(call_tool, command, self._host))
            case commands.ScheduleEvent(at, event, turn_id):
                self._clock.call_at(at, partial(self._feed, event, turn_id))
            case _:
                assert_never(command)

    def _start(self, turn_id: int, task: Task) -> None:
        scopes = self._scopes.get(turn_id)
        if scopes is not None:
            scope = trio.CancelScope()
            scopes.add(scope)
            self._nursery.start_soon(run_in_scope, scope, scopes, task, name=f"turn {turn_id}")

    def _feed(self, event: SessionInput, turn_id: int | None) -> None:
        """A time has come: that of a turn which may be over by now, or of the session."""
        if turn_id is None or turn_id in self._scopes:
            self._host.feed(event)


# The scope of a turn's task is made before the task runs: a turn may end in the same moment in which it asks for a
# search. The 200 ms of a turn are a `ScheduleEvent`, hence a time of the session's clock, which nothing waits for.


async def run_in_scope(scope: trio.CancelScope, scopes: set[trio.CancelScope], task: Task) -> None:
    """Run a task of a turn, whose end cancels `scope`."""
    with scope:
        await task()
    scopes.discard(scope)


async def search(command: commands.StartSearch, knowledge: Knowledge, host: SessionPort) -> None:
    """Run one query; a failure costs the turn its context, never the session."""
    find = knowledge.search_cached if command.local and isinstance(knowledge, CachesPassages) else knowledge.search
    try:
        with trio.fail_after(host.config.search_seconds_max):
            passages = await find(command.query, host.config.search_limit)
    except (KnowledgeUnavailable, trio.TooSlowError) as error:
        host.log.warning("search_failed", reason=str(error) or "too slow")
        host.feed(events.SearchFailed(command.search_id))
    else:
        host.feed(events.SearchFinished(command.search_id, passages))


async def call_tool(command: commands.CallTool, host: SessionPort) -> None:
    """Run one function call of the model; a call of an unknown function returns an error to the model."""
    tool = host.config.tools.get(command.name)
    if tool is None:
        host.log.warning("unknown_function", name=command.name[:64])
    output = await tool(command.arguments) if tool else UNKNOWN_FUNCTION
    host.feed(events.ToolFinished(command.call_id, output))


async def bill_time(meter: CostMeter) -> None:
    """Time itself costs something: it is billed in small pieces, so that a budget is exceeded by one at most."""
    while True:
        await trio.sleep(limits.TIME_BILLED_SECONDS)
        meter.pass_time(trio.current_time())


async def finish_response_then_end(core: DecisionCore, host: SessionPort) -> None:
    """The server stops: a response in progress may finish, if that takes at most `DRAIN_SECONDS_MAX`."""
    gives_up_at = trio.current_time() + limits.DRAIN_SECONDS_MAX
    while core.is_answering(now := trio.current_time()) and now < gives_up_at:  # noqa: ASYNC110  # it changes by the clock alone, without an event
        await trio.sleep(min(limits.DRAIN_CHECK_SECONDS, gives_up_at - now))
    host.end(Ending.DRAINING)
